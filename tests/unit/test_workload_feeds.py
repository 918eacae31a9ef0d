"""Iterators of results, with an engine whose outcomes the tests give."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from pytest_parpool.model.exits import Exit
from pytest_parpool.policy.tasks.read_ahead import MOST_AHEAD, MOST_BYTES, ReadAhead
from pytest_parpool.workload.callbacks import ServiceThread
from pytest_parpool.workload.calls import OneArgumentCalls
from pytest_parpool.workload.engine import Cancelled, Crashed, Job, Outcome, Raised, Returned, Task
from pytest_parpool.workload.errors import PoolTerminatedError, UnpicklableTaskError
from pytest_parpool.workload.feeds import Feed, FeedPlan, Gate
from pytest_parpool.workload.iterators import CompletedIterator, ResultIterator
from pytest_parpool.workload.progress import Progress
from pytest_parpool.workload.shares import Share
from pytest_parpool.workload.task_maker import TaskMaker


class HandEngine:
    """Keeps tasks until a test says how they end; an item "bad" cannot be packed."""

    processes = 1
    share: Share | None = None

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.jobs: list[Job] = []
        self.cancelled: list[Task] = []
        self.is_closed = False

    def pack(self, job: Job) -> Job:
        """Return the job."""
        if "bad" in job.calls.items:  # type: ignore[attr-defined]
            raise UnpicklableTaskError("bad")
        return job

    def size_of(self, packed: Job) -> int:
        """Return the largest number among the items, as if it was that large."""
        return max([item for item in packed.calls.items if isinstance(item, int)], default=0)  # type: ignore[attr-defined]

    def submit(self, tasks: Sequence[Task]) -> None:
        """Keep tasks."""
        if self.is_closed:
            raise ValueError("Pool not running")
        self.tasks += tasks
        self.jobs += [task.packed for task in tasks]

    def cancel(self, task: Task) -> bool:
        """Note it."""
        self.cancelled.append(task)
        return True

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def terminate(self) -> None:
        """Take nothing more."""
        self.is_closed = True

    def join(self) -> None:
        """Return at once."""

    def end(self, number: int, outcome: Outcome | None = None) -> None:
        """End a task; without an outcome its calls return their arguments."""
        job = self.jobs[number]
        self.tasks[number].on_outcome(outcome or Returned([args[0] for args, _ in job.calls]))

    def items(self) -> list[Sequence[Any]]:
        """Return what was submitted."""
        return [list(job.calls.items) for job in self.jobs]  # type: ignore[attr-defined]


class Case:
    """A feed with all that it needs."""

    def __init__(
        self,
        inputs: Iterable[Any],
        *,
        size: int = 1,
        buffer: int = 2,
        ordered: bool = True,
        report: Any = None,
        ahead: ReadAhead | None = None,
    ) -> None:
        self.engine = HandEngine()
        self.gate = Gate(self.engine)
        plan = FeedPlan(
            make_job=lambda items: Job(print, OneArgumentCalls(items), is_chunk=True),
            chunksize=size,
            ahead=ahead or ReadAhead(buffer, buffer, 0.0),
            is_ordered=ordered,
            maker=TaskMaker(self.engine, 0, None),
        )
        progress = Progress(report, None) if report else None
        self.feed = Feed(plan, iter(inputs), self.engine, self.gate, ServiceThread(), progress)
        self.feed.read_on()
        self.results: ResultIterator[Any] = ResultIterator(self.feed, None)


def test_order() -> None:
    """Results come in the order of the inputs, or as they are done."""
    for is_ordered, expected in ((True, [0, 1, 2]), (False, [2, 0, 1])):
        case = Case(range(3), buffer=3, ordered=is_ordered)
        for number in (2, 0, 1):
            case.engine.end(number)
        assert list(case.results) == expected


def test_reading_ahead() -> None:
    """One chunk is read for each that is taken; the end of the inputs is found by reading on."""
    case = Case(range(7), size=2, buffer=2)
    assert case.engine.items() == [[0, 1], [2, 3]]
    case.engine.end(0)
    assert case.engine.items() == [[0, 1], [2, 3]]
    assert next(case.results) == 0
    assert case.engine.items() == [[0, 1], [2, 3], [4, 5]]
    assert next(case.results) == 1
    case.gate.close()
    case.engine.end(1)
    assert next(case.results) == 2
    assert case.engine.items()[3:] == [[6]]
    assert not case.engine.is_closed
    case.engine.end(2)
    case.engine.end(3)
    assert list(case.results) == [3, 4, 5, 6]
    assert case.engine.is_closed


def test_reading_ahead_by_pace() -> None:
    """More is read ahead as long as it is done quickly, and less if what is read is large."""
    for factor, is_small in ((0, True), (MOST_BYTES, False)):
        case = Case(itertools.repeat(factor), ahead=ReadAhead.by_pace(2, 1, time.monotonic()))
        most = 0
        for number in range(5000):
            case.engine.end(number)
            next(case.results)
            most = max(most, len(case.engine.tasks) - number - 1)
        assert (most > 20) is is_small
        assert 2 <= most <= MOST_AHEAD


def test_errors_of_calls_and_of_inputs() -> None:
    """A chunk's error takes the place of its results; the inputs' error comes behind all results."""

    def inputs() -> Iterator[int]:
        yield from range(3)
        raise LookupError("inputs")

    case = Case(inputs(), buffer=5)
    case.engine.end(0, Raised(ValueError("call")))
    case.engine.end(1, Crashed(Exit(1), 0, ""))
    case.engine.end(2)
    for error in (ValueError, RuntimeError):
        with pytest.raises(error):
            next(case.results)
    assert next(case.results) == 2
    with pytest.raises(LookupError):
        next(case.results)
    assert list(case.results) == []


def test_what_cannot_be_packed() -> None:
    """It fails in its place."""
    case = Case([0, "bad", 2], buffer=3)
    case.engine.end(0)
    case.engine.end(1)
    assert next(case.results) == 0
    with pytest.raises(UnpicklableTaskError, match="bad"):
        next(case.results)
    assert next(case.results) == 2


def test_timeouts_lose_nothing() -> None:
    """Who asks again gets the same result."""
    case = Case(range(2))
    with pytest.raises(TimeoutError, match=r"no result after 0.001 s: 'print\(0\)' has not begun"):
        case.results.next(0.001)
    case.engine.end(0)
    assert case.results.next(0) == 0


def test_closing_an_iterator() -> None:
    """Nothing more is read, what waits is taken back, and what is there can be taken."""
    case = Case(itertools.count(), buffer=3)
    case.engine.end(0)
    case.results.close()
    assert case.engine.cancelled == case.engine.tasks[1:]
    for number in (1, 2):
        case.engine.end(number, Cancelled())
    assert next(case.results) == 0
    assert len(case.engine.tasks) == 3


def test_dropping_an_iterator() -> None:
    """One that was used is closed; one that nobody has used is read to its end by ``join``."""
    used = Case(itertools.count())
    used.engine.end(0)
    next(used.results)
    del used.results
    assert len(used.engine.cancelled) == 2
    used.gate.close()
    assert used.engine.is_closed
    unused = Case(range(10))
    del unused.results
    unused.gate.close()
    assert not unused.engine.is_closed
    unused.gate.read_rest()
    assert unused.engine.items() == [[number] for number in range(10)]
    assert unused.engine.is_closed


def test_terminating() -> None:
    """What was not read is an error, and no silent end; what was read to the end just ends."""
    case = Case(itertools.count(), buffer=1)
    case.gate.give_up()
    case.engine.end(0, Cancelled())
    for _ in range(2):
        with pytest.raises(PoolTerminatedError):
            next(case.results)
    assert list(case.results) == []
    complete = Case(range(2), buffer=3)
    for number in range(2):
        complete.engine.end(number)
    complete.gate.give_up()
    assert list(complete.results) == [0, 1]


def test_a_pool_that_is_terminated_while_inputs_are_read() -> None:
    """The chunk that comes too late is cancelled."""
    case = Case(range(3), buffer=1)
    case.engine.end(0)
    case.engine.terminate()
    assert next(case.results) == 0
    with pytest.raises(PoolTerminatedError, match=r"terminated before 'print\(1\)' was done"):
        next(case.results)


def test_pairs() -> None:
    """Each input is given back with a result that is ready, whatever it is."""
    case = Case("abc", ordered=False, buffer=3)
    pairs: CompletedIterator[str, Any] = CompletedIterator(case.feed, None)
    case.engine.end(1, Raised(ValueError("call")))
    case.engine.end(0)
    item, result = next(pairs)
    assert item == "b"
    assert not result.successful()
    item, result = next(pairs)
    assert (item, result.get()) == ("a", "a")


def test_progress() -> None:
    """What is done is reported, with the total as soon as it is known."""
    reports: list[tuple[int, int | None]] = []
    case = Case(range(3), size=2, buffer=1, report=lambda *report: reports.append(report))
    case.engine.end(0)
    assert reports == [(2, None)]
    assert [next(case.results), next(case.results)] == [0, 1]
    case.engine.end(1)
    assert list(case.results) == [2]
    assert reports[1][0] == 3
