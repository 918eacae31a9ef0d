"""A stop stops: nothing more is handed out, what runs may finish, and everybody is told to leave."""

from __future__ import annotations

import pytest

from pytest_parpool.model.actions import Action, AwaitExit, Interrupt, ReportLoss, Send
from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import (
    Asked,
    Broken,
    Drain,
    Draining,
    Event,
    ExitAsked,
    Interrupted,
    StopAsked,
    Troubled,
)
from pytest_parpool.model.notices import InterruptRequested, Judged, NotBorn, StopRequested
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.limits import Limits
from tests.dispatching import (
    CLEAN,
    GW0,
    GW1,
    LEFT,
    READY,
    SEGFAULT,
    Bench,
    failed,
    finished,
    started,
)

WATCHED = Limits(restarts=4, is_stop_watched=True)
LEAVES_NOW: list[Action] = [Send(GW0, Drain()), AwaitExit(GW0, is_interrupted=False)]
LEAVES_LATER: list[Action] = [Send(GW0, Drain())]
INTERRUPTED = [Interrupt(GW0), AwaitExit(GW0, is_interrupted=True)]

# What gw0 says, and what a stop then asks of it: one that only stands still has to leave in time.
STATES: dict[WorkerState, tuple[list[Event], list[Action]]] = {
    WorkerState.STARTING: ([], LEAVES_LATER),
    WorkerState.BUSY: ([READY, started(0)], LEAVES_LATER),
    WorkerState.ASKING: ([READY, Asked()], LEAVES_NOW),
    WorkerState.AWAITING: ([READY, started(0), failed(0)], LEAVES_NOW),
}


def in_state(state: WorkerState) -> Bench:
    """Return a bench where ``gw0`` is in a state, and ``gw1`` never comes to anything but trouble."""
    bench = Bench(2, workers=2, limits=WATCHED)
    if state is WorkerState.ASKING:
        bench.hear(GW1, READY, started(2), Troubled(ItemIndex(2)))
    bench.hear(GW0, *STATES[state][0])
    assert bench.dispatcher.state(GW0) is state
    return bench


def asked_of_gw0(actions: list[Action]) -> list[Action]:
    """Return what concerns ``gw0``."""
    return [action for action in actions if action.worker == GW0]


@pytest.mark.parametrize("state", STATES)
def test_stop_in_each_state(state: WorkerState) -> None:
    """Everybody is drained; a timeout runs for those only who have nothing left but to leave."""
    bench = in_state(state)
    assert asked_of_gw0(bench.dispatcher.handle(StopRequested())) == STATES[state][1]
    assert bench.dispatcher.is_stopping
    assert bench.dispatcher.state(GW0) is WorkerState.DRAINING
    assert bench.dispatcher.handle(StopRequested()) == []


@pytest.mark.parametrize("state", STATES)
def test_interrupt_in_each_state(state: WorkerState) -> None:
    """Everybody is drained and interrupted, and has the short timeout."""
    bench = in_state(state)
    assert asked_of_gw0(bench.dispatcher.handle(InterruptRequested())) == [*STATES[state][1], *INTERRUPTED]


def test_interrupt_while_draining() -> None:
    """A worker that was drained before is interrupted in its teardown."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked())
    assert bench.dispatcher.handle(InterruptRequested()) == INTERRUPTED


def test_interrupt_when_all_is_told() -> None:
    """A worker that has left has nothing to be interrupted, but has to be gone in time."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked(), Draining(), LEFT)
    assert bench.dispatcher.handle(InterruptRequested()) == [AwaitExit(GW0, is_interrupted=True)]


def test_interrupt_with_nobody_there() -> None:
    """Slots without a process are not spoken to."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked())
    bench.leave(GW0)
    assert bench.dispatcher.handle(InterruptRequested()) == []


def test_started_behind_the_stop() -> None:
    """A worker may begin what it held when the stop was under way, but gets no more."""
    bench = Bench(9, seconds=[0.001] * 9)
    bench.hear(GW0, READY)
    bench.dispatcher.handle(StopRequested())
    assert bench.hear(GW0, started(0), finished(0), started(1), finished(1), Asked()) == []
    bench.leave(GW0)
    assert bench.dispatcher.is_over
    assert bench.not_run() == tuple(range(2, 9))


def test_ready_behind_the_stop() -> None:
    """A worker that was being born at the stop is given nothing."""
    bench = Bench(1)
    bench.dispatcher.handle(StopRequested())
    assert bench.hear(GW0, READY, Asked()) == []
    bench.leave(GW0)
    assert bench.not_run() == (0,)


def test_failure_behind_the_stop() -> None:
    """A failed report of a worker that was drained is waited for by nobody."""
    bench = Bench(2, limits=WATCHED)
    bench.hear(GW0, READY, started(0))
    bench.dispatcher.handle(StopRequested())
    assert bench.hear(GW0, failed(0), finished(0)) == []
    assert bench.dispatcher.handle(Judged(GW0)) == []


def test_death_behind_the_stop() -> None:
    """A worker that dies while the run stops is not replaced; what it held is not run."""
    bench = Bench(3, seconds=[0.001] * 3)
    bench.hear(GW0, READY, started(0), finished(0))
    bench.dispatcher.handle(StopRequested())
    assert bench.lose(GW0) == [ReportLoss(GW0, ItemIndex(0), SEGFAULT, is_failure=True, is_overdue=False)]
    assert bench.dispatcher.is_over
    assert bench.not_run() == (1, 2)


def test_stop_asked_in_a_worker() -> None:
    """A test that sets ``session.shouldstop`` stops all workers."""
    bench = Bench(2, workers=2)
    bench.hear(GW0, READY, started(0))
    bench.hear(GW1, READY, started(2), finished(2))
    assert bench.hear(GW1, StopAsked("enough", is_failure=False)) == [Send(GW0, Drain()), Send(GW1, Drain())]


@pytest.mark.parametrize("event", [Broken("INTERNALERROR", "..."), ExitAsked("enough", 7)])
def test_a_worker_that_breaks_off(event: Event) -> None:
    """What it ran ended there; the run stops, and its death on the way out is told after that item."""
    bench = Bench(2)
    bench.hear(GW0, READY, started(0))
    assert bench.hear(GW0, event) == [Send(GW0, Drain())]
    assert bench.dispatcher.running(GW0) is None
    assert bench.hear(GW0, Draining()) == [AwaitExit(GW0, is_interrupted=False)]
    loss = ReportLoss(GW0, ItemIndex(0), SEGFAULT, is_failure=True, is_overdue=False)
    assert bench.lose(GW0) == [loss]
    assert bench.not_run() == (1,)


def test_a_worker_that_breaks_before_it_is_ready() -> None:
    """A worker that cannot start stops the run, and nobody is blamed."""
    bench = Bench(2)
    assert bench.hear(GW0, Broken("initializer", "...")) == [Send(GW0, Drain())]
    assert bench.leave(GW0) == []
    assert bench.dispatcher.is_over


def test_keyboard_interrupt_in_a_worker() -> None:
    """KeyboardInterrupt stops the run; the worker is drained, as a failing teardown would wait for that."""
    bench = Bench(2, limits=WATCHED)
    bench.hear(GW0, READY, started(0))
    assert bench.hear(GW0, Interrupted(ItemIndex(0), "a.py:1")) == [
        Send(GW0, Drain()),
        AwaitExit(GW0, is_interrupted=True),
    ]
    assert bench.hear(GW0, failed(0), Draining(), LEFT) == [AwaitExit(GW0, is_interrupted=False)]
    assert bench.lose(GW0, CLEAN) == []


def test_keyboard_interrupt_after_an_interrupt() -> None:
    """A worker that was told to stop and is interrupted then only has to leave."""
    bench = Bench(2)
    bench.hear(GW0, READY, started(0), finished(0))
    bench.dispatcher.handle(InterruptRequested())
    assert bench.hear(GW0, Interrupted(None, "")) == [AwaitExit(GW0, is_interrupted=True)]


def test_a_loop_that_ends_too_early() -> None:
    """A worker that leaves its loop unasked is drained; what it held is taken over by others."""
    bench = Bench(4, workers=2, dist="load")
    bench.hear(GW0, READY)
    bench.hear(GW1, READY, started(2), Asked(), finished(2), started(3))
    assert bench.hear(GW0, Draining()) == [Send(GW0, Drain()), AwaitExit(GW0, is_interrupted=False)]
    bench.hear(GW0, LEFT)
    assert bench.lose(GW0, CLEAN) == []
    assert bench.dispatcher.state(GW0) is WorkerState.RETIRED
    assert bench.hear(GW1, Asked()) != []
    assert not bench.dispatcher.is_stopping


def test_not_born_without_a_stop() -> None:
    """A worker that was not born though nobody stopped is asked for again."""
    bench = Bench(1)
    assert [type(action).__name__ for action in bench.dispatcher.handle(NotBorn(GW0))] == ["Spawn"]
