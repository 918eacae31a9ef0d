"""Makes a process the worker that the controller says: what it says of itself, and what plugins ask for."""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from pytest_parpool.compat import pytest_internals
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import BaseTempAsked
from pytest_parpool.runtime.link import WorkerLink


def take_identity(config: pytest.Config, workerinput: dict[str, Any]) -> None:
    """Be the worker that ``workerinput`` names: variables, ``config`` and options as in a worker of pytest-xdist."""
    os.environ["PYTEST_XDIST_WORKER"] = workerinput["workerid"]
    os.environ["PYTEST_XDIST_WORKER_COUNT"] = str(workerinput["workercount"])
    os.environ["PYTEST_XDIST_TESTRUNUID"] = workerinput["testrunuid"]
    config.workerinput = workerinput  # type: ignore[attr-defined]
    config.workeroutput = {}  # type: ignore[attr-defined]
    option = config.option
    option.numprocesses = option.maxprocesses = None
    option.dist = "no"
    option.distload = option.looponfail = option.usepdb = False
    option.tx = []


def own_temp_directory(config: pytest.Config, link: WorkerLink, worker: WorkerId) -> None:
    """Have temporary directories of this worker live in a place of its own below the run's base directory."""
    pytest_internals.renew_temp_path_factory(config, functools.partial(_find_temp_directory, link, worker))


def _find_temp_directory(link: WorkerLink, worker: WorkerId) -> Path | None:
    """Ask the controller for the run's base directory, and return this worker's place in it.

    Late, because most suites need none, and making one means clearing away those of earlier runs. Whoever may not talk
    to the controller (a child, a thread) gets None.
    """
    if not link.is_own_process or threading.current_thread() is not threading.main_thread():
        return None
    link.post(BaseTempAsked())
    link.flush()
    while (path := link.inbox.base_temp) is None:
        link.receive()
    return Path(path) / f"popen-{worker}" if path else None
