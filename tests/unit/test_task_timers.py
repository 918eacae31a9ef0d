"""What is due is said once, and not before."""

from __future__ import annotations

from pytest_parpool.model.notices import Overdue, Stalled
from pytest_parpool.model.task_actions import SetTimer
from pytest_parpool.model.task_notices import TimeUp
from pytest_parpool.workload.timers import LEAVE_SECONDS, STALL_SECONDS, Timers
from tests.task_dispatching import GW0, GW1


def test_nothing_is_due_without_a_reason() -> None:
    """There is nothing to wait for, then."""
    timers = Timers()
    timers.note(GW0, 1.0)
    assert timers.seconds_to_next(100.0, []) is None
    assert timers.due(100.0, []) == []


def test_a_task_has_its_time() -> None:
    """From its begin on."""
    timers = Timers()
    timers.limit(SetTimer(GW0, 7, at=10.0, seconds=5.0))
    assert timers.seconds_to_next(12.0, []) == 3.0
    assert timers.due(14.9, []) == []
    assert timers.due(15.0, []) == [TimeUp(GW0, 7)]
    assert timers.due(16.0, []) == []


def test_a_worker_leaves_in_time() -> None:
    """Its clock is forgotten with its process."""
    timers = Timers()
    timers.await_exit(GW0, 1.0)
    timers.await_exit(GW1, 2.0)
    assert timers.seconds_to_next(2.0, []) == LEAVE_SECONDS - 1.0
    timers.forget(GW0)
    assert timers.due(2.0 + LEAVE_SECONDS, []) == [Overdue(GW1)]


def test_who_holds_more_must_not_be_silent() -> None:
    """It is said again after the same time."""
    timers = Timers()
    timers.note(GW0, 1.0)
    timers.note(GW1, 1.01)
    assert timers.seconds_to_next(1.0, [GW0, GW1]) is not None
    assert timers.due(1.0 + STALL_SECONDS, [GW0, GW1]) == [Stalled(GW0)]
    assert timers.due(1.001 + STALL_SECONDS, [GW0]) == []
    assert timers.seconds_to_next(5.0, [GW0]) == 0.0
