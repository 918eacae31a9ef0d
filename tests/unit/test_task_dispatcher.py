"""Who is given which tasks, what becomes of them, and how a pool ends: notices in, actions out."""

from __future__ import annotations

import pytest

from pytest_parpool.model.actions import AwaitExit, Kill, Spawn, TakeBack
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.messages import Ready
from pytest_parpool.model.notices import Overdue, Stalled, TakenBack, TemplateGone
from pytest_parpool.model.task_actions import (
    Dismiss,
    Finish,
    Give,
    SetTimer,
    TellCancelled,
    TellCrashed,
    TellDone,
    TellTimedOut,
    TellUnstartable,
)
from pytest_parpool.model.task_messages import Done, Spoiled
from pytest_parpool.model.task_notices import (
    CloseRequested,
    Submitted,
    TaskHeard,
    TaskRules,
    TerminateRequested,
    TimeUp,
)
from pytest_parpool.policy.slot import DispatchError
from pytest_parpool.policy.tasks.dispatcher import MOST_FRUITLESS
from tests.task_dispatching import BROKEN, CLEAN, GW0, GW1, GW2, PARTS, SEGFAULT, SIGKILL, TaskBench, given

TWICE = TaskRules(retries=1)
TIMED = TaskRules(timeout_seconds=5.0)
KILLED = [Kill(GW0), AwaitExit(GW0, is_interrupted=False)]

# --- Handing out ------------------------------------------------------------------------------------------------------


def test_all_workers_are_born_at_once() -> None:
    """Before there is anything to do."""
    assert TaskBench(2).births == [Spawn(GW0, False), Spawn(GW1, False)]


def test_workers_are_born_by_need() -> None:
    """One, and one more for each task that waits, if nobody who is there or on the way will do it."""
    bench = TaskBench(3, bears_by_need=True)
    assert bench.births == [Spawn(GW0, False)]
    assert bench.submit(0) == []
    assert bench.submit(1) == [Spawn(GW1, False)]
    assert bench.ready(GW1) == [Give(GW1, [0], ())]
    assert bench.ready(GW0) == [Give(GW0, [1], ())]
    bench.done(GW1, 0)
    assert bench.submit(2) == [Give(GW1, [2], ())]
    assert bench.gone(GW1, SIGKILL, claimed=2) == [TellCrashed(2, SIGKILL, GW1, 0)]
    assert bench.submit(3) == [Spawn(GW1, True)]


def test_the_first_one_is_given_tasks_while_it_is_born() -> None:
    """It has nobody before it; for others that might be sooner done by who is there."""
    bench = TaskBench(3, bears_by_need=True, trusts_first=True)
    assert bench.submit(0, 1, 2) == [Give(GW0, [0], ()), Spawn(GW1, False), Spawn(GW2, False)]
    assert bench.ready(GW0, GW1) == [Give(GW1, [1], ())]
    assert bench.done(GW0, 0) == [TellDone(0, PARTS), Give(GW0, [2], ())]


def test_a_replacement_of_the_first_one_is_waited_for() -> None:
    """Nobody knows where it writes to before it has said so."""
    bench = TaskBench(1, bears_by_need=True, trusts_first=True)
    assert bench.submit(0) == [Give(GW0, [0], ())]
    assert bench.gone(GW0, SIGKILL, claimed=0) == [Spawn(GW0, True)]
    assert bench.ready() == [Give(GW0, [0], ())]


def test_a_death_in_what_was_given_at_birth() -> None:
    """It has begun it, whether or not it was heard that it was ready."""
    bench = TaskBench(1, bears_by_need=True, trusts_first=True)
    bench.submit(0)
    assert bench.gone(GW0, SIGKILL, claimed=1) == [TellCrashed(0, SIGKILL, GW0, 0)]


def test_the_last_task_may_be_given_at_birth() -> None:
    """Its worker leaves behind it, and has all the time it needs until then."""
    bench = TaskBench(1, tasks_per_child=1, bears_by_need=True, trusts_first=True)
    assert bench.submit(0) == [Give(GW0, [0], ()), Dismiss(GW0)]
    assert bench.ready() == []
    assert bench.done(GW0, 0) == [TellDone(0, PARTS), AwaitExit(GW0, False)]


def test_nobody_is_born_while_somebody_finds_nothing_to_do() -> None:
    """Wherever its slot is."""
    bench = TaskBench(2, bears_by_need=True)
    bench.submit(0, 1)
    bench.ready()
    bench.done(GW1, 1)
    assert bench.gone(GW0, CLEAN, claimed=1) == [TellCrashed(0, CLEAN, GW0, 0)]
    assert bench.submit(2) == [Give(GW1, [2], ())]


def test_tasks_are_given_in_their_order() -> None:
    """One to each worker, as long as nobody knows how long they take."""
    bench = TaskBench(2)
    assert bench.submit(0, 1, 2) == []
    assert bench.ready() == [Give(GW0, [0], ()), Give(GW1, [1], ())]
    assert bench.done(GW1, 1) == [TellDone(1, PARTS), Give(GW1, [2], ())]
    assert bench.done(GW0, 0) == [TellDone(0, PARTS)]


def test_who_finds_nothing_waits() -> None:
    """One task is for one worker."""
    bench = TaskBench(2)
    bench.ready()
    assert given(bench.submit(0)) == [(GW0, [0])]
    bench.done(GW0, 0)
    assert given(bench.submit(1)) == [(GW0, [1])]


def test_quick_tasks_are_given_in_bulk() -> None:
    """As many as are expected to take some milliseconds; a hand is filled again when half of it is done."""
    bench = TaskBench(1)
    bench.ready()
    bench.fast()
    (give,) = bench.submit(*range(1000))
    assert isinstance(give, Give)
    assert list(give.tasks) == list(range(512))
    assert given(bench.done(GW0, *range(267), seconds=1e-9)) == []
    assert given(bench.done(GW0, 267, seconds=1e-9)) == [(GW0, list(range(512, 756)))]


def test_near_the_end_hands_are_shared() -> None:
    """Nobody holds what another one could do at once."""
    bench = TaskBench(2)
    bench.ready()
    bench.fast()
    hands = given(bench.submit(*range(8)))
    assert hands == [(GW0, [0, 1, 2, 3]), (GW1, [4, 5])]


def test_only_who_has_said_something_is_given_more() -> None:
    """A worker that is silent may be in a long task."""
    bench = TaskBench(2)
    bench.ready()
    bench.submit(0, 1)
    bench.done(GW1, 1, seconds=1e-9)
    assert [worker for worker, _ in given(bench.submit(*range(2, 40)))] == [GW1]


def test_what_waits_behind_a_long_task_is_given_to_others() -> None:
    """It is taken back as far as the worker has not begun it, and is next."""
    bench = TaskBench(2)
    bench.ready()
    bench.fast()
    bench.submit(*range(8))
    assert bench.dispatcher.holders() == [GW0, GW1]
    assert bench.do(Stalled(GW0)) == [TakeBack(GW0, bench.dispatcher._slots[GW0].done + 1)]
    assert bench.do(Stalled(GW0)) == []
    kept = bench.dispatcher._slots[GW0].done + 2
    assert given(bench.do(TakenBack(GW0, kept))) == []
    assert given(bench.done(GW1, 4, 5, seconds=1e-9)) == [(GW1, [2, 3])]
    # It may not have looked at the message yet, so it is given nothing before it must have.
    assert given(bench.done(GW0, 0)) == []
    assert given(bench.done(GW0, 1)) == [(GW0, [6])]


def test_who_is_idle_takes_from_others() -> None:
    """If it is worth it, and nothing waits."""
    bench = TaskBench(2)
    bench.ready()
    bench.submit(0, 1)
    bench.done(GW0, 0, seconds=0.01)
    bench.done(GW1, 1, seconds=0.01)
    assert given(bench.submit(2, 3, 4)) == [(GW0, [2]), (GW1, [3])]
    bench = TaskBench(2)
    bench.ready()
    bench.submit(0, 1)
    bench.done(GW0, 0, seconds=0.01)
    assert given(bench.submit(2, 3, 4, 5)) == [(GW0, [2, 3])]
    assert bench.done(GW1, 1, seconds=0.01)[1:] == [Give(GW1, [4], ())]
    assert given(bench.done(GW1, 4, seconds=0.01)) == [(GW1, [5])]
    assert bench.done(GW1, 5, seconds=0.01)[1:] == [TakeBack(GW0, 2)]
    assert given(bench.do(TakenBack(GW0, 2))) == [(GW1, [3])]


def test_a_single_worker_holds_what_it_holds() -> None:
    """There is nobody to take it."""
    bench = TaskBench(1)
    bench.ready()
    bench.fast()
    bench.submit(*range(8))
    assert bench.dispatcher.holders() == []


def test_only_what_waits_can_be_cancelled() -> None:
    """It is forgotten, and nothing is told of it here."""
    bench = TaskBench(1)
    bench.ready()
    bench.submit(0, 1, 2, rules={1: TIMED})
    assert not bench.dispatcher.try_cancel(0)
    assert bench.dispatcher.try_cancel(1)
    assert not bench.dispatcher.try_cancel(1)
    assert given(bench.done(GW0, 0)) == [(GW0, [2])]


# --- Deaths -----------------------------------------------------------------------------------------------------------


def test_a_death_costs_the_task_that_was_begun() -> None:
    """What was not begun is given to others, and a replacement is born."""
    bench = TaskBench(2)
    bench.ready()
    bench.fast()
    bench.submit(*range(8))
    done = bench.dispatcher._slots[GW0].done
    assert bench.gone(GW0, SEGFAULT, claimed=done + 1, step=3) == [
        TellCrashed(0, SEGFAULT, GW0, 3),
        Spawn(GW0, is_replacement=True),
    ]
    assert given(bench.done(GW1, 4, 5, seconds=1e-9)) == [(GW1, [1, 2])]
    assert given(bench.ready(GW0)) == [(GW0, [3])]


def test_a_death_between_two_tasks_costs_none() -> None:
    """What lies behind was not begun."""
    bench = TaskBench(1)
    bench.ready()
    bench.submit(0, 1)
    assert bench.gone(GW0, SIGKILL, claimed=0) == [Spawn(GW0, is_replacement=True)]
    assert given(bench.ready()) == [(GW0, [0])]


def test_a_task_may_be_tried_again() -> None:
    """As often as it may, before everything that came later; then it has crashed."""
    bench = TaskBench(1)
    bench.ready()
    bench.submit(0, 1, rules={0: TWICE})
    assert bench.gone(GW0, SEGFAULT, claimed=1) == [Spawn(GW0, is_replacement=True)]
    assert given(bench.ready()) == [(GW0, [0])]
    assert bench.gone(GW0, SEGFAULT, claimed=1)[0] == TellCrashed(0, SEGFAULT, GW0, 0)
    assert given(bench.ready()) == [(GW0, [1])]


def test_an_idle_death_is_replaced() -> None:
    """As often as it happens: nothing was asked of it."""
    bench = TaskBench(1)
    for _ in range(3 * MOST_FRUITLESS):
        bench.ready()
        assert bench.gone(GW0, SIGKILL, claimed=0) == [Spawn(GW0, is_replacement=True)]


def test_a_spoilt_connection_ends_the_worker() -> None:
    """It is given nothing more, and what it was in has crashed."""
    bench = TaskBench(1)
    bench.ready()
    bench.submit(0, 1)
    assert bench.do(TaskHeard(GW0, Spoiled("nonsense"))) == KILLED
    assert bench.gone(GW0, SIGKILL, claimed=1)[0] == TellCrashed(0, SIGKILL, GW0, 0)


def test_births_that_come_to_nothing_are_given_up() -> None:
    """When that has happened in all slots, everything ends; so does what comes later."""
    bench = TaskBench(2)
    bench.submit(0)
    for _ in range(MOST_FRUITLESS - 1):
        assert bench.gone(GW0, Exit(1), claimed=0) == [Spawn(GW0, is_replacement=True)]
    assert bench.gone(GW0, Exit(1), claimed=0) == []
    for _ in range(MOST_FRUITLESS - 1):
        bench.gone(GW1, Exit(1), claimed=0)
    (told,) = bench.gone(GW1, Exit(1), claimed=0)
    assert isinstance(told, TellUnstartable)
    assert "10 in a row died before they began a task; the last one: exit code 1" in told.text
    assert bench.submit(1) == [TellUnstartable(1, told.what, told.text)]
    bench.do(CloseRequested())
    assert bench.dispatcher.is_over


def test_a_failed_initializer_ends_everything() -> None:
    """What waits, and what comes, says why; what runs may end; nobody is born again."""
    bench = TaskBench(2)
    bench.ready(GW0)
    bench.submit(0, 1)
    assert bench.do(TaskHeard(GW1, BROKEN)) == [
        AwaitExit(GW1, is_interrupted=False),
        TellUnstartable(1, BROKEN.what, BROKEN.text),
    ]
    assert bench.gone(GW1, CLEAN, claimed=0) == []
    assert bench.done(GW0, 0) == [TellDone(0, PARTS), Dismiss(GW0), AwaitExit(GW0, is_interrupted=False)]
    assert bench.submit(2) == [TellUnstartable(2, BROKEN.what, BROKEN.text)]


def test_an_initializer_may_fail_when_nobody_is_wanted_any_more() -> None:
    """The worker leaves all the same."""
    bench = TaskBench(1)
    assert bench.do(CloseRequested()) == [Dismiss(GW0), Finish()]
    assert bench.do(TaskHeard(GW0, BROKEN)) == [AwaitExit(GW0, is_interrupted=False)]
    bench.gone(GW0, CLEAN, claimed=0)
    assert bench.dispatcher.is_over


def test_without_the_template_the_living_go_on() -> None:
    """Nobody is replaced, neither for dying nor for having done much; with the last one everything ends."""
    bench = TaskBench(2, tasks_per_child=1)
    bench.ready()
    assert bench.do(TemplateGone(SIGKILL)) == []
    bench.submit(0, 1, 2, 3)
    assert given(bench.done(GW0, 0)) == [(GW0, [2])]
    assert bench.gone(GW1, SEGFAULT, claimed=1) == [TellCrashed(1, SEGFAULT, GW1, 0)]
    assert [type(action) for action in bench.gone(GW0, SEGFAULT, claimed=2)] == [TellCrashed, TellUnstartable]


def test_without_the_template_nobody_who_is_missing_is_born() -> None:
    """Slots that were empty stay so."""
    bench = TaskBench(1)
    bench.do(TaskHeard(GW0, Ready(1, (-1, -1, -1))), CloseRequested())
    bench.gone(GW0, CLEAN, claimed=0)
    bench.do(TemplateGone(SIGKILL), TemplateGone(SIGKILL))
    assert bench.dispatcher.is_over


def test_without_the_template_an_empty_pool_can_do_nothing() -> None:
    """Of workers that would be born by need none can be."""
    bench = TaskBench(2, bears_by_need=True)
    bench.gone(GW0, CLEAN, claimed=0)
    bench.do(TemplateGone(SIGKILL))
    (told,) = bench.submit(0)
    assert isinstance(told, TellUnstartable)
    assert "the process that starts them has ended: killed by SIGKILL" in told.text


def test_a_contradiction_is_an_error() -> None:
    """A worker that finished something else, or that cannot be where it is said to be, is our fault."""
    bench = TaskBench(1)
    bench.ready()
    bench.submit(0)
    with pytest.raises(DispatchError, match="finished task 7, but was given"):
        bench.done(GW0, 7)
    bench.gone(GW0, SIGKILL, claimed=0)
    with pytest.raises(DispatchError, match="cannot go from STARTING to STARTING"):
        bench.dispatcher._slots[GW0].move(bench.dispatcher._slots[GW0].state)


# --- Time -------------------------------------------------------------------------------------------------------------


def test_a_task_that_had_its_time_is_ended() -> None:
    """With its worker, when it is known since when it runs."""
    bench = TaskBench(1)
    bench.ready()
    assert bench.submit(0, 1, rules={0: TIMED}) == [Give(GW0, [0], {0})]
    assert bench.begun(GW0, 0, 100.0) == [SetTimer(GW0, 0, 100.0, 5.0)]
    assert bench.do(TimeUp(GW0, 0)) == KILLED
    assert bench.gone(GW0, SIGKILL, claimed=1) == [TellTimedOut(0), Spawn(GW0, is_replacement=True)]
    assert given(bench.ready()) == [(GW0, [1])]


def test_a_task_that_ends_in_time_after_all_has_a_result() -> None:
    """Its outcome was under way when its worker was killed; it is given nothing more."""
    bench = TaskBench(1)
    bench.ready()
    bench.submit(0, 1, rules={0: TIMED})
    assert bench.do(TimeUp(GW0, 0)) == KILLED
    assert bench.done(GW0, 0) == [TellDone(0, PARTS), AwaitExit(GW0, is_interrupted=False)]
    assert bench.gone(GW0, SIGKILL, claimed=1) == [Spawn(GW0, is_replacement=True)]


def test_the_last_task_of_a_worker_has_its_time_too() -> None:
    """Though the worker is to leave behind it."""
    bench = TaskBench(1, tasks_per_child=1)
    bench.ready()
    bench.submit(0, rules={0: TIMED})
    assert bench.do(TimeUp(GW0, 0)) == KILLED


def test_time_that_is_up_too_late_says_nothing() -> None:
    """The task is over."""
    bench = TaskBench(1)
    bench.ready()
    bench.submit(0, rules={0: TIMED})
    bench.done(GW0, 0)
    assert bench.do(TimeUp(GW0, 0)) == []
    assert bench.begun(GW0, 0, 1.0) == []


def test_nobody_is_killed_for_what_another_task_did() -> None:
    """What lies behind is taken back first; a worker that has gone on is not killed."""
    bench = TaskBench(1)
    bench.ready()
    bench.fast()
    done = bench.dispatcher._slots[GW0].done
    bench.submit(0, 1, 2, rules={0: TIMED})
    assert bench.do(TimeUp(GW0, 0)) == [TakeBack(GW0, done + 1)]
    assert bench.do(TimeUp(GW0, 0)) == []
    assert bench.do(TakenBack(GW0, done + 1)) == KILLED
    bench = TaskBench(1)
    bench.ready()
    bench.fast()
    bench.submit(0, 1, 2, rules={0: TIMED})
    bench.do(TimeUp(GW0, 0))
    assert given(bench.do(TakenBack(GW0, done + 2))) == []
    assert bench.do(TimeUp(GW0, 0)) == []
    assert given(bench.done(GW0, 0, 1)) == [(GW0, [2])]


# --- Ends -------------------------------------------------------------------------------------------------------------


def test_who_has_had_its_share_leaves() -> None:
    """It is told with its last task; the next one is born when it is gone."""
    bench = TaskBench(1, tasks_per_child=2)
    bench.ready()
    bench.submit(0, 1, 2)
    assert bench.done(GW0, 0) == [TellDone(0, PARTS), Give(GW0, [1], ()), Dismiss(GW0)]
    assert bench.done(GW0, 1) == [TellDone(1, PARTS), AwaitExit(GW0, is_interrupted=False)]
    assert bench.gone(GW0, CLEAN, claimed=2) == [Spawn(GW0, is_replacement=True)]
    assert given(bench.ready()) == [(GW0, [2])]


def test_who_does_not_leave_is_killed() -> None:
    """But nobody who is not to leave."""
    bench = TaskBench(1, tasks_per_child=1)
    bench.ready()
    assert bench.do(Overdue(GW0)) == []
    bench.submit(0)
    bench.done(GW0, 0)
    assert bench.do(Overdue(GW0)) == [Kill(GW0)]


def test_closing_waits_for_everything() -> None:
    """Workers leave when nothing waits and nobody holds anything; a death before that is replaced."""
    bench = TaskBench(2)
    bench.ready(GW0)
    assert bench.do(Submitted((0,), {0: TWICE}), CloseRequested()) == [Give(GW0, [0], set())]
    assert bench.gone(GW0, SIGKILL, claimed=1) == [Spawn(GW0, is_replacement=True)]
    assert bench.ready(GW0) == [Give(GW0, [0], set())]
    assert bench.done(GW0, 0) == [
        TellDone(0, PARTS),
        Dismiss(GW0),
        AwaitExit(GW0, is_interrupted=False),
        Dismiss(GW1),
        Finish(),
    ]
    assert not bench.dispatcher.is_over
    assert bench.ready(GW1) == [AwaitExit(GW1, is_interrupted=False)]
    assert bench.gone(GW0, CLEAN, claimed=1) + bench.gone(GW1, CLEAN, claimed=0) == []
    assert bench.dispatcher.is_over


def test_terminating_ends_everything_undone() -> None:
    """What waits and what runs; nothing that is heard later changes that."""
    bench = TaskBench(1)
    bench.ready()
    bench.submit(0, 1)
    ended = bench.do(TerminateRequested(), TaskHeard(GW0, Done(0, 1.0, PARTS)))
    assert ended == [TellCancelled(0), TellCancelled(1)]
    assert bench.dispatcher.is_over
    assert bench.done(GW0, 0) == []
    assert TaskBench(1).do(TerminateRequested()) == []
