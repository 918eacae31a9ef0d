"""pytest-cov in a worker.

It was started in the controller, with the same ``Coverage`` object that measures here. Its ``no_cover`` and
``--cov-context`` go on working in a worker; what it does at the end of the run loop, combining the data files of all
processes, is the controller's to do. Nothing has to be known of its versions beyond the names it registers under.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from coverage import Coverage

_PLUGIN = "_cov"
_CONTEXTS = "_cov_contexts"


def is_in_charge(config: pytest.Config, cov: Coverage) -> bool:
    """Whether it is pytest-cov that has started ``cov``, and will combine and report."""
    return _controller(config, cov) is not None


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


def _leave_to_controller() -> None:
    """Do nothing: the worker measures until its fixtures are torn down, and saves its part then."""
