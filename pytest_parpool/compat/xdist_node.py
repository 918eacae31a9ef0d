"""What other plugins know a worker by in the controller: pytest-xdist's ``node``, its gateway and its spec.

The names and shapes are those that released plugins use (docs/reference/xdist-surface.md); nothing of ours needs them.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from pytest_parpool.model.ids import WorkerId


class Spec:
    """As ``execnet.XSpec`` of a ``popen`` gateway."""

    popen = True
    chdir: str | None = None
    python: str | None = None
    execmodel = "main_thread_only"

    def __init__(self, id: str) -> None:  # noqa: A002  -- execnet's word
        self.id = id
        self.env: dict[str, str] = {}

    def __str__(self) -> str:
        return "popen"


class RInfo:
    """As what ``execnet.Gateway._rinfo`` returns."""

    platform = sys.platform
    version_info = tuple(sys.version_info)
    executable = sys.executable

    def __init__(self, cwd: str) -> None:
        self.cwd = cwd


class Gateway:
    """As ``execnet.Gateway``, as far as plugins look."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.id = spec.id

    def __repr__(self) -> str:
        return f"<Gateway id={self.id!r} forked>"

    def _rinfo(self, update: bool = False) -> RInfo:  # noqa: FBT001, FBT002  -- execnet's signature
        """Return where the worker runs, which is here."""
        return RInfo(cwd=os.getcwd())


class NodeManager:
    """As ``xdist.workermanage.NodeManager``, as far as plugins look."""

    def __init__(self, config: pytest.Config, specs: list[Spec], testrunuid: str) -> None:
        self.config = config
        self.specs = specs
        self.testrunuid = testrunuid
        self.roots: list[Any] = []


class WorkerNode:
    """As ``xdist.workermanage.WorkerController``: one worker process, hashable by identity.

    Attributes:
        workerinput: What the worker will find as ``config.workerinput``; hooks may put plain values into it.
        workerinfo: Where and what the worker is; pytest shows it with a failure.
        workeroutput: What ``config.workeroutput`` was at the worker's end; there only after a clean finish.
    """

    workeroutput: dict[str, Any]

    def __init__(self, manager: NodeManager, gateway: Gateway) -> None:
        self.nodemanager = manager
        self.gateway = gateway
        self.config = manager.config
        self.workerinput: dict[str, Any] = {
            "workerid": gateway.id,
            "workercount": len(manager.specs),
            "testrunuid": manager.testrunuid,
            "mainargv": list(sys.argv),
        }
        self.workerinfo: dict[str, Any] = {
            "id": gateway.id,
            "sysplatform": sys.platform,
            "platform": sys.platform,
            "version": sys.version,
            "version_info": tuple(sys.version_info),
            "executable": sys.executable,
            "cwd": os.getcwd(),
            "spec": gateway.spec,
        }

    @property
    def id(self) -> WorkerId:
        """The slot."""
        return WorkerId(self.gateway.id)

    def __repr__(self) -> str:
        return f"<WorkerNode {self.gateway.id}>"
