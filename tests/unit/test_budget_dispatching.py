"""A pool that may keep only some of its workers busy: notices in, actions out."""

from __future__ import annotations

from pytest_parpool.model.actions import Spawn, TakeBack
from pytest_parpool.model.messages import Ready
from pytest_parpool.model.notices import TakenBack
from pytest_parpool.model.task_actions import TaskAction, TellDone
from pytest_parpool.model.task_messages import Done
from pytest_parpool.model.task_notices import Allowed, CloseRequested, Submitted, TaskHeard, TaskNotice, WorkerGone
from pytest_parpool.policy.tasks.dispatcher import TaskDispatcher
from tests.task_dispatching import CLEAN, GW0, GW1, GW2, PARTS, given


class Bench:
    """A dispatcher for three workers, of which one may be busy at first."""

    def __init__(self) -> None:
        self.dispatcher = TaskDispatcher((GW0, GW1, GW2), tasks_per_child=None)
        self.births = self.do(Allowed(1))

    def do(self, *notices: TaskNotice) -> list[TaskAction]:
        """Something happens."""
        return self.dispatcher.handle(notices)

    def submit(self, *tasks: int) -> list[TaskAction]:
        """There are tasks."""
        return self.do(Submitted(tasks, {}))

    def ready(self, *workers: str) -> list[TaskAction]:
        """Workers are born."""
        slots = [worker for worker in (GW0, GW1, GW2) if worker in workers]
        return self.do(*[TaskHeard(slot, Ready(1, (-1, -1, -1))) for slot in slots])

    def all_busy(self, *tasks: int) -> None:
        """All are born, allowed, and have one of the first three tasks."""
        self.do(Allowed(3))
        self.submit(*tasks)
        assert given(self.ready(GW0, GW1, GW2)) == [(GW0, [0]), (GW1, [1]), (GW2, [2])]


def test_nobody_is_born_before_there_is_something_to_do() -> None:
    """A pool that is not used costs nothing; what is allowed is born by need."""
    bench = Bench()
    assert bench.births == []
    assert bench.submit(0) == [Spawn(GW0, False)]
    assert bench.submit(1, 2) == []
    assert bench.do(Allowed(2)) == [Spawn(GW1, False)]


def test_no_more_are_born_than_there_are_tasks() -> None:
    """One task needs one process, however many are allowed."""
    bench = Bench()
    bench.do(Allowed(3))
    assert bench.submit(0) == [Spawn(GW0, False)]
    assert bench.submit(1) == [Spawn(GW1, False)]


def test_who_is_idle_waits_until_more_are_allowed() -> None:
    """Tasks wait beside idle workers, and are given out at the word."""
    bench = Bench()
    bench.all_busy(0, 1, 2)
    for worker, task in ((GW0, 0), (GW1, 1), (GW2, 2)):
        bench.do(TaskHeard(worker, Done(task, 1.0, PARTS)))
    bench.do(Allowed(1))
    assert given(bench.submit(3, 4, 5)) == [(GW0, [3])]
    assert bench.dispatcher.is_held_back
    assert given(bench.do(Allowed(2))) == [(GW1, [4])]
    assert given(bench.do(Allowed(9))) == [(GW2, [5])]
    assert not bench.dispatcher.is_held_back


def test_what_runs_is_not_interrupted() -> None:
    """Those that are too many end what they do, and get nothing more."""
    bench = Bench()
    bench.all_busy(*range(9))
    assert bench.do(Allowed(1)) == []
    assert bench.dispatcher.busy_count == 3
    assert bench.do(TaskHeard(GW0, Done(0, 1.0, PARTS))) == [TellDone(0, PARTS)]
    assert bench.do(TaskHeard(GW2, Done(2, 1.0, PARTS))) == [TellDone(2, PARTS)]
    assert bench.dispatcher.busy_count == 1
    assert given(bench.do(TaskHeard(GW1, Done(1, 1.0, PARTS)))) == [(GW0, [3])]


def test_a_hand_is_not_filled_while_too_many_are_busy() -> None:
    """Also who has something left in its hand gets nothing more."""
    bench = Bench()
    bench.all_busy(*range(3))
    for worker, task in ((GW0, 0), (GW1, 1), (GW2, 2)):
        bench.do(TaskHeard(worker, Done(task, 0.003, PARTS)))
    hands = dict(given(bench.submit(*range(3, 40))))
    assert [len(hands[worker]) for worker in (GW0, GW1, GW2)] == [2, 2, 2]
    bench.do(Allowed(2))
    assert given(bench.do(TaskHeard(GW0, Done(3, 0.003, PARTS)))) == []
    assert given(bench.do(TaskHeard(GW0, Done(4, 0.003, PARTS)))) == []
    assert given(bench.do(TaskHeard(GW1, Done(5, 0.003, PARTS)))) == [(GW1, [9])]


def test_nothing_is_taken_from_another_for_who_may_not_do_it() -> None:
    """What a worker holds is shared with an idle one only if that one may be busy, too."""
    bench = Bench()
    bench.all_busy(*range(3))
    for worker, task in ((GW0, 0), (GW1, 1), (GW2, 2)):
        bench.do(TaskHeard(worker, Done(task, 0.004, PARTS)))
    bench.do(Allowed(1))
    assert given(bench.submit(3, 4)) == [(GW0, [3, 4])]
    assert bench.do(Allowed(2)) == [TakeBack(GW0, 2)]
    assert given(bench.do(TakenBack(GW0, 2))) == [(GW1, [4])]


def test_a_closed_pool_ends() -> None:
    """With those that were born, and without those that were not."""
    bench = Bench()
    bench.submit(0)
    bench.do(CloseRequested())
    assert given(bench.ready(GW0)) == [(GW0, [0])]
    bench.do(TaskHeard(GW0, Done(0, 1.0, PARTS)))
    assert not bench.dispatcher.is_over
    assert bench.do(WorkerGone(GW0, CLEAN, 1, 0)) == []
    assert bench.dispatcher.is_over
