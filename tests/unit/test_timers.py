"""``controller.timers``: what is due when."""

from __future__ import annotations

import pytest

from pytest_parpool.controller.timers import STALL_SECONDS, Timers
from pytest_parpool.model.ids import WorkerId, worker_ids

GW0, GW1 = worker_ids(2)


def timers(*holders: WorkerId) -> Timers:
    """Return timers of a run in which these workers hold items behind the one that they run."""
    return Timers(holders.__contains__)


def test_nothing_is_due_at_first() -> None:
    """A loop with nothing to wait for by itself waits without end."""
    assert timers().seconds_left(5.0) is None
    assert timers().take_overdue(5.0) == timers().take_stalled(5.0) == []


def test_an_exit_is_overdue_once() -> None:
    """A worker that is to be gone is named when its time has come, and not again."""
    found = timers()
    found.expect_exit(GW0, 10.0)
    assert found.seconds_left(8.0) == pytest.approx(2.0)
    assert found.take_overdue(9.9) == []
    assert found.take_overdue(10.0) == [GW0]
    assert found.take_overdue(11.0) == []


def test_of_two_times_the_earlier_holds() -> None:
    """A second reason to leave does not give a worker more time."""
    found = timers()
    found.expect_exit(GW0, 10.0)
    found.expect_exit(GW0, 60.0)
    assert found.seconds_left(12.0) == 0.0
    found.expect_exit(GW1, 60.0)
    found.expect_exit(GW1, 11.0)
    assert found.take_overdue(11.0) == [GW0, GW1]


def test_a_stalled_worker_is_named_once_per_item() -> None:
    """What is held behind a long item is asked back once."""
    found = timers(GW0)
    found.item_began(GW0, 1.0)
    assert found.seconds_left(1.0) == pytest.approx(STALL_SECONDS)
    assert found.take_stalled(1.0 + STALL_SECONDS) == [GW0]
    assert found.take_stalled(2.0) == []
    found.item_began(GW0, 3.0)
    assert found.take_stalled(4.0) == [GW0]


def test_who_holds_nothing_does_not_stall() -> None:
    """A long item with nothing behind it wakes nobody."""
    found = timers()
    found.item_began(GW0, 1.0)
    assert found.seconds_left(1.0) is None
    assert found.take_stalled(9.0) == []


def test_an_item_that_ended_does_not_stall() -> None:
    """Between two items nothing is measured."""
    found = timers(GW0)
    found.item_began(GW0, 1.0)
    found.item_ended(GW0)
    assert found.take_stalled(9.0) == []


def test_a_worker_that_is_gone_has_no_times() -> None:
    """Its replacement does not inherit them."""
    found = timers(GW0)
    found.expect_exit(GW0, 5.0)
    found.item_began(GW0, 1.0)
    found.worker_gone(GW0)
    assert found.seconds_left(9.0) is None
