"""Failures that may stop the run (``-x`` and the like): nobody runs ahead while one is looked at."""

from __future__ import annotations

import pytest

from pytest_parpool.model.actions import AwaitExit, ReportCrash, Send
from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import Asked, Drain, Draining, Proceed, Troubled
from pytest_parpool.model.notices import Judged, StopRequested
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.limits import Limits
from pytest_parpool.policy.slot import DispatchError
from tests.dispatching import (
    GW0,
    GW1,
    GW2,
    LEFT,
    READY,
    SEGFAULT,
    Bench,
    failed,
    finished,
    passed,
    respawn,
    run,
    started,
)

WATCHED = Limits(restarts=4, is_stop_watched=True)
TROUBLED_0 = Troubled(ItemIndex(0))


def two_running(items: int = 3, *, workers: int = 2, limits: Limits = WATCHED) -> Bench:
    """Return a bench where ``gw0`` runs its first item and ``gw1`` its own."""
    bench = Bench(items, workers=workers, seconds=[0.001] * items * workers, limits=limits)
    bench.hear(GW0, READY, started(0))
    bench.hear(GW1, READY, started(items))
    return bench


def test_nobody_runs_ahead() -> None:
    """Under a stop condition a worker holds nothing behind what it runs, however short the items are."""
    bench = Bench(3, seconds=[0.001] * 3, limits=WATCHED)
    assert bench.hear(GW0, READY, started(0)) == [Send(GW0, run(0))]


def test_a_suspicion_holds_others_back() -> None:
    """From the first word of trouble nobody else is given anything, until the report says that it was none."""
    bench = two_running()
    bench.hear(GW0, TROUBLED_0)
    assert bench.hear(GW1, Asked()) == []
    assert bench.hear(GW0, passed(0)) == [Send(GW1, run(4))]


def test_a_suspicion_ends_with_its_item() -> None:
    """Trouble that no report follows is over with the item."""
    bench = two_running()
    bench.hear(GW0, TROUBLED_0)
    bench.hear(GW1, Asked())
    assert bench.hear(GW0, finished(0)) == [Send(GW1, run(4))]


def test_a_suspicion_ends_with_its_worker() -> None:
    """A worker that dies in trouble has crashed, and is judged for that."""
    bench = two_running()
    bench.hear(GW0, TROUBLED_0)
    bench.hear(GW1, Asked())
    assert bench.lose(GW0) == [ReportCrash(GW0, ItemIndex(0), SEGFAULT, is_overdue=False)]
    assert bench.dispatcher.handle(Judged(GW0)) == [respawn(GW0), Send(GW1, run(4))]


def test_a_failed_report_holds_others_back_until_it_is_judged() -> None:
    """The failed worker goes on, and others are answered, when nobody asked to stop."""
    bench = two_running()
    assert bench.hear(GW0, TROUBLED_0, failed(0)) == []
    assert bench.dispatcher.state(GW0) is WorkerState.AWAITING
    assert bench.hear(GW1, Asked()) == []
    assert bench.dispatcher.handle(Judged(GW0)) == [Send(GW0, Proceed()), Send(GW1, run(4))]
    assert bench.hear(GW0, Asked()) == [Send(GW0, run(1))]


def test_a_failed_report_that_stops_the_run() -> None:
    """Who stands still is drained, the failed worker too; who runs something finishes it."""
    bench = two_running(workers=3)
    bench.hear(GW2, READY, started(6), Asked())
    bench.hear(GW0, failed(0))
    bench.hear(GW1, Asked())
    assert bench.dispatcher.handle(StopRequested()) == [
        Send(GW0, Drain()),
        AwaitExit(GW0, is_interrupted=False),
        Send(GW1, Drain()),
        AwaitExit(GW1, is_interrupted=False),
        Send(GW2, Drain()),
    ]
    assert bench.dispatcher.handle(Judged(GW0)) == []


def test_two_failures_at_once() -> None:
    """The second failure is judged, too, before anybody begins."""
    bench = two_running(workers=3)
    bench.hear(GW2, READY, started(6))
    bench.hear(GW0, failed(0))
    bench.hear(GW1, failed(3))
    assert bench.hear(GW2, Asked()) == []
    assert bench.dispatcher.handle(Judged(GW0)) == [Send(GW0, Proceed())]
    assert bench.dispatcher.handle(Judged(GW1)) == [Send(GW1, Proceed()), Send(GW2, run(7))]


def test_two_failures_of_a_worker_that_leaves() -> None:
    """A drained worker waits for nobody; its item being over does not mean that its reports were judged."""
    bench = two_running(1, workers=3)
    bench.hear(GW0, Asked())
    assert bench.dispatcher.state(GW0) is WorkerState.DRAINING
    assert bench.hear(GW0, failed(0), failed(0), finished(0), Draining(), LEFT) == [
        AwaitExit(GW0, is_interrupted=False)
    ]
    assert bench.hear(GW2, READY) == []
    assert bench.dispatcher.handle(Judged(GW0)) == []
    assert bench.dispatcher.handle(Judged(GW0)) == [Send(GW2, run(2))]


def test_who_asks_before_its_own_report_is_answered() -> None:
    """Where a plugin logs reports behind the teardown, the teardown asks first; a worker does not wait for itself."""
    bench = two_running()
    assert bench.hear(GW0, TROUBLED_0, Asked()) == [Send(GW0, run(1))]


def test_two_suspects_do_not_wait_for_each_other() -> None:
    """Two workers that ask before their own reports are both answered."""
    bench = two_running()
    bench.hear(GW0, TROUBLED_0)
    bench.hear(GW1, Troubled(ItemIndex(3)))
    assert bench.hear(GW0, Asked()) == [Send(GW0, run(1))]
    assert bench.hear(GW1, Asked()) == [Send(GW1, run(4))]


def test_a_suspect_waits_for_a_failure_of_others() -> None:
    """A failure that was reported is judged soon whatever others do, so a suspect waits for that."""
    bench = two_running()
    bench.hear(GW1, failed(3))
    assert bench.hear(GW0, TROUBLED_0, Asked()) == []
    assert bench.dispatcher.handle(Judged(GW1)) == [Send(GW0, run(1)), Send(GW1, Proceed())][::-1]


def test_a_teardown_that_fails_behind_the_question() -> None:
    """A worker that was given its next item in the teardown that then fails keeps it, and goes on when it is judged."""
    bench = two_running()
    assert bench.hear(GW0, Asked()) == [Send(GW0, run(1))]
    bench.hear(GW0, TROUBLED_0, failed(0))
    assert bench.dispatcher.handle(Judged(GW0)) == [Send(GW0, Proceed())]
    assert bench.dispatcher.state(GW0) is WorkerState.BUSY
    assert bench.hear(GW0, finished(0), started(1)) == []


def test_a_teardown_that_fails_while_others_are_in_trouble() -> None:
    """A worker whose question was left open goes on when it is judged, and is then answered."""
    bench = two_running()
    bench.hear(GW1, Troubled(ItemIndex(3)))
    assert bench.hear(GW0, Asked(), failed(0)) == []
    bench.hear(GW1, passed(3))
    assert bench.dispatcher.handle(Judged(GW0)) == [Send(GW0, Proceed()), Send(GW0, run(1))]


def test_who_awaits_cannot_ask() -> None:
    """A worker that stands still with a failed report says nothing; if it does, it is a fault of ours."""
    bench = two_running()
    bench.hear(GW0, failed(0))
    with pytest.raises(DispatchError, match="gw0 asked for work, but stands still with a failed report"):
        bench.hear(GW0, Asked())


def test_a_crash_is_judged_before_anybody_begins() -> None:
    """A crash is a failure: no replacement is born and nobody is answered until it was reported."""
    bench = two_running()
    assert bench.lose(GW0) == [ReportCrash(GW0, ItemIndex(0), SEGFAULT, is_overdue=False)]
    assert bench.hear(GW1, Asked()) == []
    assert not bench.dispatcher.is_over
    assert bench.dispatcher.handle(Judged(GW0)) == [respawn(GW0), Send(GW1, run(4))]


def test_a_crash_that_stops_the_run() -> None:
    """After a crash that stops the run nobody is born."""
    bench = two_running()
    bench.lose(GW0)
    assert bench.dispatcher.handle(StopRequested()) == [Send(GW1, Drain())]
    bench.hear(GW1, finished(3))
    bench.leave(GW1)
    assert bench.dispatcher.is_over
    assert bench.not_run() == (1, 2, 4, 5)


def test_death_while_it_awaits() -> None:
    """A worker that dies with a failed report has two failures to be judged."""
    bench = two_running()
    bench.hear(GW0, failed(0))
    bench.lose(GW0)
    bench.hear(GW1, Asked())
    assert bench.dispatcher.handle(Judged(GW0)) == []
    assert bench.dispatcher.handle(Judged(GW0)) == [respawn(GW0), Send(GW1, run(4))]


def test_judging_where_nobody_counts() -> None:
    """Without a stop condition crashes are judged, too, and it changes nothing."""
    bench = two_running(limits=Limits(restarts=4))
    assert bench.lose(GW0)[-1] == respawn(GW0)
    assert bench.dispatcher.handle(Judged(GW0)) == []


def test_recycling_waits_for_a_failure() -> None:
    """A worker that is recycled and whose last teardown fails is not replaced before that was judged."""
    bench = Bench(2, limits=Limits(restarts=0, tasks_per_child=1, is_stop_watched=True))
    bench.hear(GW0, READY, started(0), Asked(), failed(0), finished(0))
    assert bench.leave(GW0) == []
    assert not bench.dispatcher.is_over
    assert bench.dispatcher.handle(Judged(GW0)) == [respawn(GW0)]
