"""Handing out work: by need, never waited for, and nothing twice."""

from __future__ import annotations

import pytest

from pytest_parpool.model.actions import AwaitExit, Send
from pytest_parpool.model.ids import ItemIndex, WorkerId, worker_ids
from pytest_parpool.model.messages import Asked, BaseTempAsked, Drain, Event, Proceed, Wait, WarningSeen
from pytest_parpool.model.notices import Gone
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.limits import Limits
from pytest_parpool.policy.schedulers.each import EachScheduler
from pytest_parpool.policy.slot import DispatchError
from tests.dispatching import CLEAN, GW0, GW1, READY, SEGFAULT, Bench, finished, passed, respawn, run, spawn, started
from tests.plans import plan_of

DRAINED = [Send(GW0, Drain()), AwaitExit(GW0, is_interrupted=False)]


def test_one_item_from_birth_to_end() -> None:
    """A worker is born, given its item, drained when it asks for more, and the run is over when it is gone."""
    bench = Bench(1)
    assert bench.first_actions == [spawn(GW0)]
    assert bench.hear(GW0, READY) == [Send(GW0, run(0))]
    assert bench.hear(GW0, started(0), passed(0)) == []
    assert bench.dispatcher.running(GW0) == 0
    assert bench.hear(GW0, Asked()) == DRAINED
    assert bench.hear(GW0, finished(0)) == []
    assert bench.observed == [(0, 0.5)]
    assert bench.leave(GW0) == []
    assert bench.dispatcher.is_over
    assert bench.not_run() == ()
    assert bench.dispatcher.state(GW0) is WorkerState.RETIRED


def test_nothing_to_run() -> None:
    """Without items nobody is born, and the run is over."""
    bench = Bench(0, workers=2)
    assert bench.first_actions == []
    assert bench.dispatcher.is_over


def test_nothing_is_held_behind_an_item_of_unknown_duration() -> None:
    """A worker gets the next item only when it asks, at the teardown, and before the running one is over."""
    bench = Bench(2)
    assert bench.hear(GW0, READY, started(0), passed(0)) == [Send(GW0, run(0))]
    assert bench.hear(GW0, Asked()) == [Send(GW0, run(1))]
    assert bench.hear(GW0, finished(0), started(1)) == []


def test_short_items_come_by_the_hand() -> None:
    """Some 50 ms of short items are sent at once, topped up when half of them are begun."""
    bench = Bench(12, seconds=[0.01] * 12)
    assert bench.hear(GW0, READY) == [Send(GW0, run(0, 1, 2, 3, 4))]
    assert bench.hear(GW0, started(0), finished(0), started(1), finished(1)) == []
    assert bench.hear(GW0, started(2)) == [Send(GW0, run(5, 6))]


def test_a_long_item_ends_a_hand() -> None:
    """An item of long or unknown duration is the last one sent."""
    assert Bench(4, seconds=[0.01, 30.0, 0.01, 0.01]).hear(GW0, READY) == [Send(GW0, run(0, 1))]
    assert Bench(4, seconds=[0.01, None, 0.01, 0.01]).hear(GW0, READY) == [Send(GW0, run(0, 1))]
    assert Bench(4, seconds=[30.0, 0.01, 0.01, 0.01]).hear(GW0, READY) == [Send(GW0, run(0))]


def test_a_hand_has_no_more_than_there_is() -> None:
    """The last hand is as long as the rest; after it nothing is sent."""
    bench = Bench(2, seconds=[0.001] * 2)
    assert bench.hear(GW0, READY) == [Send(GW0, run(0, 1))]
    assert bench.hear(GW0, started(0), finished(0), started(1)) == []


@pytest.mark.parametrize(("most", "first"), [(0, (0,)), (1, (0,)), (2, (0, 1))])
def test_a_hand_may_be_limited(most: int, first: tuple[int, ...]) -> None:
    """``--maxschedchunk`` limits what a worker holds, however short the items are."""
    bench = Bench(9, seconds=[0.0] * 9, limits=Limits(restarts=0, hand=most))
    assert bench.hear(GW0, READY) == [Send(GW0, run(*first))]
    topped_up = bench.hear(GW0, started(0))
    assert topped_up == ([Send(GW0, run(first[-1] + 1))] if most else [])


def test_a_question_whose_answer_is_under_way() -> None:
    """A worker that asks while items travel to it is not answered a second time."""
    bench = Bench(3)
    assert bench.hear(GW0, READY, Asked()) == [Send(GW0, run(0))]
    assert bench.dispatcher.state(GW0) is WorkerState.BUSY


def test_a_question_behind_the_drain() -> None:
    """A worker that was drained is told nothing more, whatever it asks."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), Asked())
    assert bench.hear(GW0, Asked()) == []


@pytest.mark.parametrize("event", [WarningSeen(b""), BaseTempAsked(), passed(0)])
def test_what_the_dispatcher_has_no_part_in(event: Event) -> None:
    """Warnings, reports of passed phases and the like change nothing."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0))
    assert bench.hear(GW0, event) == []


class ReluctantScheduler(EachScheduler):
    """Offers something to the worker that it favours only, and never says that there is nothing."""

    favoured: WorkerId = GW0

    def peek(self, worker: WorkerId) -> ItemIndex | None:
        """See `Scheduler.peek`."""
        return super().peek(worker) if worker == self.favoured else None

    def is_exhausted(self, worker: WorkerId) -> bool:
        """See `Scheduler.is_exhausted`."""
        return not self.remaining()


def test_waiting() -> None:
    """A worker that may yet be given something is told to wait, once, and answered when there is something."""
    scheduler = ReluctantScheduler(plan_of(4), worker_ids(2))
    bench = Bench(4, workers=2, dist=scheduler)
    assert bench.hear(GW1, READY) == [Send(GW1, Wait())]
    assert bench.hear(GW1, Asked()) == []
    bench.hear(GW0, READY)
    scheduler.favoured = GW1
    assert Send(GW1, run(2)) in bench.lose(GW0)
    assert bench.dispatcher.state(GW1) is WorkerState.BUSY


def test_who_waits_is_drained_at_last() -> None:
    """When nothing is left to wait for, those who wait are drained."""
    scheduler = ReluctantScheduler(plan_of(2), worker_ids(2))
    bench = Bench(2, workers=2, dist=scheduler)
    bench.hear(GW0, READY, started(0), finished(0))
    assert bench.hear(GW0, Asked()) == [Send(GW0, Wait())]
    scheduler.favoured = GW1
    bench.hear(GW1, READY)
    assert bench.hear(GW1, started(1)) == DRAINED
    bench.hear(GW1, finished(1))
    bench.hear(GW1, Asked())
    bench.leave(GW1)
    bench.leave(GW0)
    assert bench.dispatcher.is_over


def test_quiet_seconds() -> None:
    """The controller may look away for as long as every worker surely has enough in hand."""
    bench = Bench(3, workers=2, seconds=[0.02] * 6)
    assert bench.dispatcher.quiet_seconds() == 0.0
    bench.hear(GW0, READY)
    assert bench.dispatcher.quiet_seconds() == 0.0
    bench.hear(GW1, READY, started(3))
    assert bench.dispatcher.quiet_seconds() == pytest.approx(0.06)
    bench.hear(GW1, finished(3), started(4))
    assert bench.dispatcher.quiet_seconds() == pytest.approx(0.04)
    bench.hear(GW1, finished(4), started(5))
    assert bench.dispatcher.quiet_seconds() == 0.0


def test_quiet_seconds_of_unknown_items() -> None:
    """Nobody knows how long an item of unknown duration takes, so nobody looks away; nor at the end."""
    bench = Bench(1)
    bench.hear(GW0, READY)
    assert bench.dispatcher.quiet_seconds() == 0.0
    bench.hear(GW0, started(0), finished(0), Asked())
    bench.leave(GW0)
    assert bench.dispatcher.quiet_seconds() == 0.0


def test_a_share_is_taken_over() -> None:
    """Under ``load`` a worker that is through gets what another has not begun."""
    bench = Bench(4, workers=2, dist="load")
    assert bench.hear(GW0, READY) == [Send(GW0, run(0))]
    assert bench.hear(GW1, READY) == [Send(GW1, run(2))]
    bench.hear(GW0, started(0))
    assert bench.hear(GW0, Asked()) == [Send(GW0, run(1))]
    bench.hear(GW0, finished(0), started(1))
    assert bench.hear(GW0, Asked()) == [Send(GW0, run(3))]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([started(1)], r"gw0 began item 1, but was given \[0\]"),
        ([started(0), started(1)], r"gw0 began item 1, but was given \[\]"),
        ([finished(0)], "gw0 finished item 0, but was running None"),
        ([started(0), finished(1)], "gw0 finished item 1, but was running 0"),
    ],
)
def test_what_cannot_be_true(events: list[Event], message: str) -> None:
    """A worker that speaks of items it was not given, or did not begin, is a fault of ours and named."""
    bench = Bench(3)
    bench.hear(GW0, READY)
    with pytest.raises(DispatchError, match=message):
        bench.hear(GW0, *events)


def test_a_process_ends_once() -> None:
    """The end of a slot's process that is not there is a fault of ours."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked())
    bench.leave(GW0)
    with pytest.raises(DispatchError, match="gw0 ended, but had no process"):
        bench.dispatcher.handle(Gone(GW0, CLEAN))


def test_a_move_that_is_not_in_the_table() -> None:
    """A worker that is ready twice is not, the second time."""
    bench = Bench(1)
    bench.lose(GW0, SEGFAULT)
    assert bench.dispatcher.state(GW0) is WorkerState.STARTING
    with pytest.raises(DispatchError, match="gw0 cannot go from STARTING to WAITING"):
        bench.dispatcher._slots[GW0].move(WorkerState.WAITING)


def test_replacement_goes_on_with_the_share() -> None:
    """What a dead worker held goes first to the one that takes its place."""
    bench = Bench(3, seconds=[0.001] * 3)
    bench.hear(GW0, READY, started(0), finished(0))
    assert bench.lose(GW0)[-1] == respawn(GW0)
    assert bench.hear(GW0, READY) == [Send(GW0, run(1, 2))]


def test_no_proceed_without_a_failure() -> None:
    """A run without failures knows no ``Proceed``."""
    bench = Bench(1)
    assert Send(GW0, Proceed()) not in bench.hear(GW0, READY, started(0), passed(0), finished(0), Asked())
