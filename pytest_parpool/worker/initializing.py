"""Calls what users want called in each new worker, before its first test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_parpool.hookspecs import StartedWorker
from pytest_parpool.model.ids import WorkerId


def initialize_worker(config: pytest.Config, initialize: Callable[[], None]) -> None:
    """Call the initializers, then the hook.

    Args:
        config: Pytest's, in a worker that has its identity.
        initialize: Calls the initializers.

    Raises:
        BaseException: What they raise.
    """
    workerinput: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]
    me = StartedWorker(WorkerId(workerinput["workerid"]), workerinput["workercount"], workerinput["testrunuid"])
    initialize()
    config.hook.pytest_parpool_worker_started(config=config, worker=me)
