"""The hooks of our own that conftests and other plugins may implement. Those of pytest-xdist are in ``compat``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_parpool.model.records import Record, record

if TYPE_CHECKING:
    from pytest_parpool.model.ids import WorkerId
    from pytest_parpool.model.plan import Plan
    from pytest_parpool.policy.schedulers.protocol import Scheduler


@record
class StartedWorker(Record):
    """What ``pytest_parpool_worker_started`` is told about the worker it runs in.

    Attributes:
        id: ``gw0`` to ``gwN-1``; a replacement has its predecessor's.
        count: Number of workers in the pool, N.
        testrunuid: The same in all workers of a run, and in no other run.
    """

    id: WorkerId
    count: int
    testrunuid: str


@pytest.hookspec()
def pytest_parpool_worker_started(config: pytest.Config, worker: StartedWorker) -> None:
    """Prepare a new worker; called in it, before its first test and after the ``--worker-initializer`` functions.

    Also called in each replacement. An exception ends the run with exit code 3 and is shown once, with its traceback.
    """


@pytest.hookspec(firstresult=True)
def pytest_parpool_make_scheduler(config: pytest.Config, plan: Plan) -> Scheduler | None:
    """Return a scheduler to be used instead of the one that ``--dist`` names, or None to leave it.

    Called in the controller after collection. The first answer that is not None counts. The pool has one worker for
    each entry of ``config.option.tx``, named as in ``pytest_parpool.model.ids.worker_ids``.
    """
