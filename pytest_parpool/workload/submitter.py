"""What the methods of a pool ask for, as tasks: checks what the user said, cuts items into chunks, and submits them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from pytest_parpool.model.records import Record, record
from pytest_parpool.policy.tasks.read_ahead import ReadAhead
from pytest_parpool.workload.arguments import (
    Kind,
    check_callable,
    check_function,
    check_seconds,
    check_whole_number,
)
from pytest_parpool.workload.batches import Batch
from pytest_parpool.workload.callbacks import ServiceThread
from pytest_parpool.workload.calls import OneArgumentCalls
from pytest_parpool.workload.engine import Cancelled, Engine, Job, Outcome, Raised, Task
from pytest_parpool.workload.feeds import Feed, FeedPlan, Gate
from pytest_parpool.workload.progress import Choice, make_progress
from pytest_parpool.workload.results import Gathering, Settling
from pytest_parpool.workload.task_maker import EAGER_BYTES, TaskMaker

# As multiprocessing: enough for an even end, few enough for little talk.
_CHUNKS_PER_WORKER = 4
# Whose parts are copies, and cannot fail; a part of a range is sent as three numbers.
_SLICED: Final = (list, tuple, range)


@record
class Options(Record):
    """What the methods that run calls take by name, as the user said it; see ``Pool``."""

    retries: int
    timeout: float | None
    progress: Choice = None


@record
class Callbacks(Record):
    """Whom a result is told, as the user said it: of a value, of an error."""

    callback: Callable[[Any], object] | None = None
    error_callback: Callable[[BaseException], object] | None = None

    def check(self) -> None:
        """Raise TypeError, if one of them cannot be called."""
        check_callable("callback", self.callback)
        check_callable("error_callback", self.error_callback)


class Submitter:
    """Submits for one pool. Of the arguments of its methods each is checked; see ``Pool`` for what they mean.

    Args:
        engine: The pool's.
        kind: The engine's.
    """

    def __init__(self, engine: Engine, kind: Kind) -> None:
        self._engine = engine
        self._kind = kind
        self.gate = Gate(engine)
        self.service = ServiceThread(engine.share)

    def submit_call(
        self,
        func: Callable[..., Any],
        args: Iterable[Any],
        kwds: Mapping[str, Any] | None,
        callbacks: Callbacks,
        options: Options,
    ) -> Settling:
        """Submit one call, and return its result."""
        callbacks.check()
        maker = self._maker(options)
        job = Job(check_function(func), [(tuple(args), dict(kwds or {}))], is_chunk=False)
        settling = Settling(self.service, callbacks.callback, callbacks.error_callback)
        self._engine.submit(self._prepare(maker, job, 0, settling, settling.take_outcome))
        return settling

    def submit_list(
        self,
        func: Callable[..., Any],
        kind_of_calls: type[OneArgumentCalls],
        iterable: Iterable[Any],
        chunksize: int | None,
        callbacks: Callbacks,
        options: Options,
    ) -> Settling:
        """Submit a call for each item, and return the list's result."""
        callbacks.check()
        check_function(func)
        maker = self._maker(options, EAGER_BYTES)
        items = _as_sequence(iterable)
        size = self._chunksize(len(items), chunksize, has_timeout=options.timeout is not None)
        firsts = range(0, len(items), size)
        progress = make_progress(options.progress, len(items))
        settling = Gathering(self.service, callbacks.callback, callbacks.error_callback, progress, len(firsts))
        with self.gate.submitting:
            batch = Batch(_ListParts(self._engine, settling).submit)
            for index, first in enumerate(firsts):
                # Cut only now: workers begin with the first chunk before there is a second one.
                job = Job(func, kind_of_calls(items[first : first + size]), is_chunk=True)
                batch.add(self._prepare(maker, job, index, settling, partial(settling.take_chunk, index)))
            batch.finish()
        if not firsts:
            settling.finish()
        return settling

    def open_feed(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int,
        buffersize: int | None,
        options: Options,
        *,
        is_ordered: bool,
    ) -> Feed:
        """Begin to submit calls, and return what submits more of them as results are taken."""
        maker = self._maker(options)
        size = check_whole_number("chunksize", chunksize, least=1)
        make_job = partial(_job_of_items, check_function(func))
        plan = FeedPlan(
            make_job=make_job,
            chunksize=size,
            ahead=self._read_ahead(size, buffersize),
            is_ordered=is_ordered,
            maker=maker,
        )
        try:
            total = len(iterable)  # type: ignore[arg-type]
        except TypeError:
            total = None
        progress = make_progress(options.progress, total)
        feed = Feed(plan, iter(iterable), self._engine, self.gate, self.service, progress)
        feed.read_on()
        return feed

    def _maker(self, options: Options, eager_bytes: int | None = None) -> TaskMaker:
        seconds = check_seconds("timeout", options.timeout)
        if seconds is not None and self._kind == "thread":
            raise ValueError(
                "timeout: a thread cannot be killed; use kind='process', or wait with AsyncResult.get(timeout)"
            )
        return TaskMaker(self._engine, check_whole_number("retries", options.retries, least=0), seconds, eager_bytes)

    def _prepare(
        self, maker: TaskMaker, job: Job, index: int, settling: Settling, take: Callable[[Job, Outcome], object]
    ) -> tuple[Task, ...]:
        """Return the task to submit; none, if it has failed already."""
        task = maker.make(job, partial(_tell, self.service, take, job))
        if isinstance(task, Raised):
            take(job, task)
            return ()
        settling.tasks[index] = task
        return (task,)

    def _chunksize(self, count: int, chunksize: int | None, *, has_timeout: bool) -> int:
        if chunksize is not None:
            return check_whole_number("chunksize", chunksize, least=1)
        return 1 if has_timeout else max(-(-count // (self._engine.processes * _CHUNKS_PER_WORKER)), 1)

    def _read_ahead(self, chunksize: int, buffersize: int | None) -> ReadAhead:
        now = time.monotonic()
        if buffersize is None:
            return ReadAhead.by_pace(self._engine.processes * _CHUNKS_PER_WORKER, chunksize, now)
        fixed = check_whole_number("buffersize", buffersize, least=1)
        return ReadAhead(fixed, fixed, now)


class _ListParts:
    """Submits a list's tasks in parts. Of a pool that is terminated meanwhile, the rest has the outcome of the others.

    Args:
        engine: The pool's.
        settling: The list's.
    """

    def __init__(self, engine: Engine, settling: Gathering) -> None:
        self._engine = engine
        self._settling = settling
        self._has_begun = False

    def submit(self, tasks: Sequence[Task]) -> None:
        """Submit the next part.

        Raises:
            ValueError: If the engine does not take the first one.
        """
        try:
            self._engine.submit(tasks)
        except ValueError:
            if not self._has_begun:
                raise
            refused = frozenset(tasks)
            for index, task in self._settling.tasks.copy().items():
                if task in refused:
                    assert task.job is not None
                    self._settling.take_chunk(index, task.job, Cancelled())
        self._has_begun = True


def _as_sequence(iterable: Iterable[Any]) -> Sequence[Any]:
    if isinstance(iterable, _SLICED) and type(iterable) in _SLICED:
        return iterable
    return list(iterable)


def _tell(service: ServiceThread, take: Callable[[Job, Outcome], object], job: Job, outcome: Outcome) -> None:
    service.note_current()
    take(job, outcome)


def _job_of_items(func: Callable[..., Any], items: Sequence[Any]) -> Job:
    return Job(func, OneArgumentCalls(items), is_chunk=True)
