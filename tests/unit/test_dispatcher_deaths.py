"""Workers that die: what ran is what died, everything else still runs."""

from __future__ import annotations

import pytest

from pytest_parpool.model.actions import ReportLimit, Send
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.messages import Asked, Drain, Draining
from pytest_parpool.model.notices import TemplateGone
from pytest_parpool.policy.limits import Limits
from tests.dispatching import (
    CLEAN,
    GW0,
    GW1,
    LEFT,
    READY,
    SEGFAULT,
    SIGKILL,
    Bench,
    crash,
    finished,
    loss,
    respawn,
    run,
    spawn,
    started,
)


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
