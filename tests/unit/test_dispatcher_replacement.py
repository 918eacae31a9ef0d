"""Workers that are replaced on purpose, and workers that do not leave in time."""

from __future__ import annotations

import pytest

from pytest_parpool.model.actions import Kill, Send
from pytest_parpool.model.messages import Asked, Drain, Draining
from pytest_parpool.model.notices import NotBorn, Overdue, StopRequested
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.limits import Limits
from tests.dispatching import CLEAN, GW0, LEFT, READY, SIGKILL, Bench, crash, finished, loss, respawn, run, started

# --- Recycling --------------------------------------------------------------------------------------------------------


def test_recycling() -> None:
    """A worker that has had its share of items is drained, and replaced when it is gone; that is no restart."""
    bench = Bench(3, seconds=[0.001] * 3, limits=Limits(restarts=0, tasks_per_child=2))
    assert bench.hear(GW0, READY) == [Send(GW0, run(0, 1))]
    assert bench.hear(GW0, started(0), finished(0), started(1)) == []
    assert bench.hear(GW0, Asked())[0] == Send(GW0, Drain())
    assert bench.hear(GW0, finished(1), Draining(), LEFT)
    assert bench.lose(GW0, CLEAN) == [respawn(GW0)]
    assert bench.hear(GW0, READY) == [Send(GW0, run(2))]


def test_recycling_with_nothing_left() -> None:
    """A worker that is worn out when the work is done has no successor."""
    bench = Bench(1, limits=Limits(restarts=0, tasks_per_child=1))
    bench.hear(GW0, READY, started(0), finished(0), Asked())
    assert bench.leave(GW0) == []
    assert bench.dispatcher.is_over


def test_death_in_the_drain_of_recycling() -> None:
    """A worker that dies on its way to being recycled fails the run, and is replaced; that is a restart."""
    bench = Bench(2, limits=Limits(restarts=1, tasks_per_child=1))
    bench.hear(GW0, READY, started(0), finished(0), Asked(), Draining())
    assert bench.lose(GW0) == [loss(0, is_failure=True), respawn(GW0)]


def test_stop_during_recycling() -> None:
    """When the run stops while a worker is recycled, nobody takes its place."""
    bench = Bench(2, limits=Limits(restarts=1, tasks_per_child=1))
    bench.hear(GW0, READY, started(0), finished(0), Asked())
    assert bench.dispatcher.handle(StopRequested()) == []
    assert bench.leave(GW0) == []
    assert bench.dispatcher.is_over
    assert bench.not_run() == (1,)


def test_stop_before_a_replacement_is_born() -> None:
    """A replacement whose birth had to wait is given up when the run stops meanwhile."""
    bench = Bench(2)
    bench.hear(GW0, READY, started(0))
    assert bench.lose(GW0)[-1] == respawn(GW0)
    assert bench.dispatcher.handle(StopRequested()) == [Send(GW0, Drain())]
    assert not bench.dispatcher.is_over
    assert bench.dispatcher.handle(NotBorn(GW0)) == []
    assert bench.dispatcher.is_over
    assert bench.not_run() == (1,)


# --- Overdue ----------------------------------------------------------------------------------------------------------


def test_overdue_while_draining() -> None:
    """A worker that does not leave in time is killed; its death is reported as ours."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked(), Draining())
    assert bench.dispatcher.handle(Overdue(GW0)) == [Kill(GW0)]
    assert bench.lose(GW0, SIGKILL) == [loss(0, SIGKILL, is_failure=True, is_overdue=True)]


def test_overdue_in_the_last_teardown() -> None:
    """A worker that is killed in the teardown of the item it ran last has crashed there, and it is said why."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), Asked())
    bench.dispatcher.handle(Overdue(GW0))
    assert bench.lose(GW0, SIGKILL) == [crash(0, SIGKILL, is_overdue=True)]


def test_overdue_when_all_is_told() -> None:
    """A process that does not end though it has left is killed, and nothing of the run is missing."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked(), Draining(), LEFT)
    assert bench.dispatcher.handle(Overdue(GW0)) == [Kill(GW0)]
    assert bench.lose(GW0, SIGKILL) == [loss(0, SIGKILL, is_overdue=True)]
    assert bench.dispatcher.is_over


def test_overdue_and_gone_in_the_same_moment() -> None:
    """A process that left by itself before it was killed has done nothing wrong."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked(), Draining(), LEFT)
    bench.dispatcher.handle(Overdue(GW0))
    assert bench.lose(GW0, CLEAN) == []


def test_overdue_and_crashed_in_the_same_moment() -> None:
    """A process that crashed before it was killed is reported with its own signal."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked(), Draining())
    bench.dispatcher.handle(Overdue(GW0))
    assert bench.lose(GW0) == [loss(0, is_failure=True)]


@pytest.mark.parametrize("is_replaced", [True, False])
def test_overdue_behind_the_end(is_replaced: bool) -> None:
    """A timeout that runs out when its worker is gone concerns nobody, the replacement least."""
    bench = Bench(2 if is_replaced else 1, limits=Limits(restarts=0, tasks_per_child=1))
    bench.hear(GW0, READY, started(0), finished(0), Asked())
    bench.leave(GW0)
    assert bench.dispatcher.handle(Overdue(GW0)) == []
    assert bench.dispatcher.state(GW0) is (WorkerState.STARTING if is_replaced else WorkerState.VACANT)


def test_overdue_and_recycled() -> None:
    """A worker that had to be killed when it was to be recycled is replaced, and that is no restart."""
    bench = Bench(2, limits=Limits(restarts=0, tasks_per_child=1))
    bench.hear(GW0, READY, started(0), finished(0), Asked(), Draining())
    bench.dispatcher.handle(Overdue(GW0))
    assert bench.lose(GW0, SIGKILL)[-1] == respawn(GW0)
