"""pytest-cov in a worker: it works with the ``Coverage`` object that measures here, and starts none of its own.

Its ``no_cover``, ``--cov-context`` and the fixture ``cov`` go on working; what it does at the end of the run loop,
combining the data files of all processes, is the controller's to do. Of its versions nothing has to be known beyond the
names it registers under and, in a spawned worker, which begins with no ``Coverage``, those of what would start one.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import pytest
from coverage import Coverage

_PLUGIN = "_cov"
_CONTEXTS = "_cov_contexts"


def is_in_charge(config: pytest.Config, cov: Coverage) -> bool:
    """Whether it is pytest-cov that has started ``cov``, and will combine and report."""
    return _controller(config, cov) is not None


def changes_contexts(config: pytest.Config) -> bool:
    """Whether it changes coverage's context from test to test (``--cov-context=test``)."""
    return config.pluginmanager.hasplugin(_CONTEXTS)


def become_worker(config: pytest.Config, cov: Coverage) -> None:
    """Have pytest-cov leave the end of the run loop to the controller."""
    controller = _controller(config, cov)
    if controller is None:
        return
    controller.finish = _leave_to_controller
    # In a controller that has workers it does not call itself started, and would not switch contexts.
    controller.started = True
    plugin: Any = config.pluginmanager.getplugin(_PLUGIN)
    # Versions before 7 start measuring anew when they find themselves in a process that they were not started in.
    plugin.pid = os.getpid()
    _have_children_measured(controller)


def become_spawned_worker(start: Callable[[], Coverage], finish: Callable[[], None]) -> None:
    """Have pytest-cov call these instead, whatever it takes this process for. Before it is told to measure.

    It looks at ``-n`` and at the worker's identity, and what it would do first is to erase data files: those of the
    children of tests that other workers have run.

    Args:
        start: Returns what measures here, and has it measure.
        finish: Called at the end of the run loop, when it would stop.
    """
    engine: Any = importlib.import_module("pytest_cov.engine")

    class WorkerController(engine.CovController):  # type: ignore[misc]  # its base is not typed
        def start(self) -> None:
            self.cov = start()
            _have_children_measured(self)
            super().start()

        def finish(self) -> None:
            finish()
            super().finish()

    engine.Central = engine.DistMaster = engine.DistWorker = WorkerController


def finish_worker(config: pytest.Config, cov: Coverage) -> None:
    """Tell pytest-cov's part in the controller that this worker was measured."""
    controller = _controller(config, cov)
    if controller is not None:
        controller.started = False
        config.workeroutput["cov_worker_node_id"] = config.workerinput["workerid"]  # type: ignore[attr-defined]


def _controller(config: pytest.Config, cov: Coverage) -> Any:
    """Return pytest-cov's object that holds ``cov``; contexts are switched through the same one."""
    controller = getattr(config.pluginmanager.getplugin(_PLUGIN), "cov_controller", None)
    return controller if getattr(controller, "cov", None) is cov else None


def _have_children_measured(controller: Any) -> None:
    """Set the variables by which versions before 7 do that; they set none in a controller that has workers."""
    if hasattr(controller, "set_env"):
        controller.set_env()


def _leave_to_controller() -> None:
    """Do nothing: the worker measures until its fixtures are torn down, and saves its part then."""
