"""Workers that die: what ran is what died, everything else still runs."""

from __future__ import annotations

import pytest

from pytest_parpool.model.actions import Kill, ReportCrash, ReportLimit, ReportLoss, Send
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import Asked, Drain, Draining
from pytest_parpool.model.notices import NotBorn, Overdue, StopRequested, TemplateGone
from pytest_parpool.policy.dispatcher import Limits
from pytest_parpool.policy.lifecycle import WorkerState
from tests.dispatching import (
    CLEAN,
    GW0,
    GW1,
    LEFT,
    READY,
    SEGFAULT,
    SIGKILL,
    Bench,
    finished,
    respawn,
    run,
    spawn,
    started,
)

ITEM_0 = ItemIndex(0)


def crash(item: int, exit_: Exit = SEGFAULT, *, is_overdue: bool = False) -> ReportCrash:
    """Return the report that ``gw0`` died running an item."""
    return ReportCrash(GW0, ItemIndex(item), exit_, is_overdue)


def loss(
    last: int | None = None, exit_: Exit = SEGFAULT, *, is_failure: bool = False, is_overdue: bool = False
) -> ReportLoss:
    """Return the report that ``gw0`` died running nothing."""
    item = None if last is None else ItemIndex(last)
    return ReportLoss(GW0, item, exit_, is_failure=is_failure, is_overdue=is_overdue)


def test_death_while_an_item_runs() -> None:
    """The item that ran is reported as crashed and not run again; what was held goes to the replacement."""
    bench = Bench(3, seconds=[0.001] * 3)
    bench.hear(GW0, READY, started(0))
    assert bench.lose(GW0) == [crash(0), respawn(GW0)]
    assert bench.hear(GW0, READY) == [Send(GW0, run(1, 2))]


def test_death_between_two_items() -> None:
    """What was held and not begun is nobody's fault: the loss is told, naming the last item, and all of it is run."""
    bench = Bench(3, seconds=[0.001] * 3)
    bench.hear(GW0, READY, started(0), finished(0))
    assert bench.lose(GW0) == [loss(0), respawn(GW0)]
    assert bench.hear(GW0, READY) == [Send(GW0, run(1, 2))]


def test_death_while_it_is_born() -> None:
    """A worker that was never ready is replaced; nothing is missing, so nothing has failed."""
    bench = Bench(1)
    assert bench.lose(GW0) == [loss(), respawn(GW0)]


def test_death_while_it_asks() -> None:
    """A worker that has asked in a teardown dies of the item whose teardown it is, not of the next one."""
    bench = Bench(3)
    bench.hear(GW0, READY, started(0))
    assert bench.hear(GW0, Asked()) == [Send(GW0, run(1))]
    assert bench.lose(GW0) == [crash(0), respawn(GW0)]
    assert bench.hear(GW0, READY) == [Send(GW0, run(1))]


def test_idle_death_with_nothing_left_to_do() -> None:
    """Nobody is replaced for nothing, and that is no restart."""
    bench = Bench(1, limits=Limits(restarts=0))
    bench.hear(GW0, READY, started(0), finished(0))
    assert bench.lose(GW0, SIGKILL) == [loss(0, SIGKILL)]
    assert bench.dispatcher.is_over


def test_death_in_the_drain() -> None:
    """A worker that dies while it tears down fails the run, after its last item."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked(), Draining())
    assert bench.lose(GW0) == [loss(0, is_failure=True)]
    assert bench.dispatcher.is_over


def test_death_of_the_last_item_in_the_drain() -> None:
    """A worker that was drained during its last item's teardown and dies there has crashed in that item."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), Asked())
    assert bench.lose(GW0) == [crash(0)]


@pytest.mark.parametrize("exit_", [CLEAN, Exit(3), SEGFAULT])
def test_end_behind_the_last_word(exit_: Exit) -> None:
    """How a process ends that has told everything does not matter."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0), finished(0), Asked(), Draining(), LEFT)
    assert bench.lose(GW0, exit_) == []
    assert bench.dispatcher.is_over


def test_a_clean_exit_without_a_word() -> None:
    """``os._exit(0)`` in a test is a crash as any other."""
    bench = Bench(1)
    bench.hear(GW0, READY, started(0))
    assert bench.lose(GW0, CLEAN) == [crash(0, CLEAN)]


# --- The limit --------------------------------------------------------------------------------------------------------


def test_limit_of_restarts() -> None:
    """One death more than allowed stops the run; what was not begun is not run."""
    bench = Bench(4, workers=2, seconds=[0.001] * 8, limits=Limits(restarts=1))
    bench.hear(GW1, READY, started(4))
    bench.hear(GW0, READY, started(0))
    assert bench.lose(GW0) == [crash(0), respawn(GW0)]
    bench.hear(GW0, READY, started(1))
    assert bench.lose(GW0) == [crash(1), ReportLimit(GW0, 1), Send(GW1, Drain())]
    bench.hear(GW1, finished(4))
    bench.leave(GW1)
    assert bench.dispatcher.is_over
    assert bench.not_run() == (2, 3, 5, 6, 7)


def test_deaths_at_birth_are_limited_too() -> None:
    """A worker that dies over and over while it is born ends the run, with nothing begun."""
    bench = Bench(2, limits=Limits(restarts=2))
    assert bench.lose(GW0) == [loss(), respawn(GW0)]
    assert bench.lose(GW0) == [loss(), respawn(GW0)]
    assert bench.lose(GW0) == [loss(), ReportLimit(GW0, 2)]
    assert bench.dispatcher.is_over
    assert bench.not_run() == (0, 1)


def test_no_restarts_allowed() -> None:
    """With ``--max-worker-restart=0`` the first death that leaves work ends the run."""
    bench = Bench(2, limits=Limits(restarts=0))
    bench.hear(GW0, READY, started(0))
    assert bench.lose(GW0) == [crash(0), ReportLimit(GW0, 0)]
    assert bench.not_run() == (1,)


# --- The template -----------------------------------------------------------------------------------------------------


def test_template_gone_with_workers_alive() -> None:
    """Live workers finish their work; a slot that would need a replacement stays empty."""
    bench = Bench(2, workers=2)
    bench.hear(GW0, READY, started(0))
    bench.hear(GW1, READY, started(2))
    assert bench.dispatcher.handle(TemplateGone(SIGKILL)) == []
    assert bench.dispatcher.is_template_gone
    assert bench.lose(GW0) == [crash(0)]
    assert bench.hear(GW1, Asked()) == [Send(GW1, run(3))]
    bench.hear(GW1, finished(2), started(3), finished(3), Asked())
    bench.leave(GW1)
    assert bench.dispatcher.is_over
    assert bench.not_run() == (1,)


def test_template_gone_with_a_starting_worker() -> None:
    """A worker that was asked for and will not be born is given up, and others take over its share."""
    bench = Bench(4, workers=2, dist="load")
    assert bench.first_actions == [spawn(GW0), spawn(GW1)]
    bench.hear(GW1, READY, started(2))
    bench.dispatcher.handle(TemplateGone(SIGKILL))
    assert bench.lose(GW0, Exit(None)) == [loss(exit_=Exit(None))]
    bench.hear(GW1, Asked(), finished(2), started(3))
    assert bench.hear(GW1, Asked()) in ([Send(GW1, run(0))], [Send(GW1, run(1))])


def test_template_gone_and_recycling() -> None:
    """A worker that nobody can replace is not recycled."""
    bench = Bench(2, limits=Limits(restarts=4, tasks_per_child=1))
    bench.hear(GW0, READY, started(0))
    bench.dispatcher.handle(TemplateGone(SIGKILL))
    assert bench.hear(GW0, Asked()) == [Send(GW0, run(1))]


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
