"""The hooks of pytest-xdist 3.8, so that conftests and plugins that implement them load without it.

Names, arguments and ``firstresult`` are those of ``xdist.newhooks``; nodes, gateways and specs are our own objects with
the same attributes. Most public implementations do not say ``optionalhook``, and without these specs pytest would
refuse them. All are called in the controller.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest


@pytest.hookspec()
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[object]) -> None:
    """React to the run's beginning; there is one spec for each worker, and none of them is configured yet."""


@pytest.hookspec()
def pytest_xdist_newgateway(gateway: object) -> None:
    """React to a worker's gateway (``id``, ``spec``), before ``pytest_configure_node`` for the same worker."""


@pytest.hookspec()
def pytest_xdist_rsyncstart(source: str | os.PathLike[str], gateways: Sequence[object]) -> None:
    """Do nothing: never called, because all workers are local and nothing is copied."""


@pytest.hookspec()
def pytest_xdist_rsyncfinish(source: str | os.PathLike[str], gateways: Sequence[object]) -> None:
    """Do nothing: never called, because all workers are local and nothing is copied."""


@pytest.hookspec(firstresult=True)
def pytest_xdist_getremotemodule() -> object:
    """Do nothing: never called, because a forked worker loads no module to begin with."""


@pytest.hookspec()
def pytest_configure_node(node: object) -> None:
    """Put values that pickle into ``node.workerinput``; the worker finds them in ``config.workerinput``."""


@pytest.hookspec()
def pytest_testnodeready(node: object) -> None:
    """React to a worker that is born and waits for its first test."""


@pytest.hookspec()
def pytest_testnodedown(node: object, error: object | None) -> None:
    """React to a worker's end.

    ``error`` is None after a clean one, and only then ``node.workeroutput`` holds what the worker left behind.
    """


@pytest.hookspec()
def pytest_xdist_node_collection_finished(node: object, ids: Sequence[str]) -> None:
    """React to the node ids that a worker will be able to run: here always those that the controller collected."""


@pytest.hookspec(firstresult=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Do nothing: not called, because schedulers are of another kind here; see ``pytest_parpool_make_scheduler``."""


@pytest.hookspec(firstresult=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return the number of workers for ``-n auto`` and ``-n logical``, or None to leave it to others.

    ``config.option.numprocesses`` still holds the word that was given.
    """


@pytest.hookspec(firstresult=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: object) -> object | None:
    """Change the report about a test that crashed its worker, before it is shown.

    ``sched`` is None: running the test once more is not offered. An answer other than None keeps other implementations
    from being asked.
    """
