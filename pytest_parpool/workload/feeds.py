"""Reads an iterable only as fast as its results are taken: what is behind ``imap``.

Theory of operation: a feed reads inputs and submits them in chunks, always in the thread of whoever takes results,
until so many chunks are submitted and not taken as ``ReadAhead`` says. A user's generator therefore never runs in a
thread of the pool, and never twice at a time.

A pool that is closed may still have feeds with inputs to read. So its engine is closed by the gate, when the last feed
has read everything. ``join`` reads the rest of all feeds, as multiprocessing's pool does from the beginning.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from pytest_parpool.model.records import Record, record
from pytest_parpool.policy.tasks.read_ahead import ReadAhead
from pytest_parpool.workload.batches import Batch
from pytest_parpool.workload.callbacks import ServiceThread
from pytest_parpool.workload.engine import Cancelled, Engine, Job, Outcome, Raised, Task
from pytest_parpool.workload.errors import PoolTerminatedError
from pytest_parpool.workload.outcomes import describe_progress
from pytest_parpool.workload.progress import Progress
from pytest_parpool.workload.task_maker import TaskMaker


class Gate:
    """Closes an engine when its pool is closed and no feed has anything more to submit.

    Args:
        engine: The engine.

    Attributes:
        submitting: Held by who submits in parts what is one call of the user's: all of it is before a close, or behind.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.submitting = threading.RLock()
        self._feeds: set[Feed] = set()
        self._is_closing = False

    def add(self, feed: Feed) -> None:
        """Keep the engine open for a feed."""
        self._feeds.add(feed)

    def remove(self, feed: Feed) -> None:
        """Note that a feed has nothing more to submit."""
        self._feeds.discard(feed)
        self._close_if_done()

    def close(self) -> None:
        """Close the engine as soon as no feed needs it."""
        with self.submitting:
            self._is_closing = True
            self._close_if_done()

    def read_rest(self) -> None:
        """Submit all that feeds have not read yet, however much it is."""
        while self._feeds:
            next(iter(self._feeds)).read_on(has_bound=False)

    def give_up(self) -> None:
        """Have all feeds read nothing more; whoever waits for their results gets an error."""
        for feed in tuple(self._feeds):
            feed.give_up()

    def _close_if_done(self) -> None:
        if self._is_closing and not self._feeds:
            self._engine.close()


@record(kw_only=True)
class FeedPlan(Record):
    """How to run a feed.

    Attributes:
        make_job: Makes a job of a chunk of inputs.
        chunksize: How many inputs a chunk has.
        ahead: Says how many chunks may be submitted and not taken.
        is_ordered: Whether results come in the order of the inputs, and not as they are done.
        maker: Makes the tasks.
    """

    make_job: Callable[[Sequence[Any]], Job]
    chunksize: int
    ahead: ReadAhead
    is_ordered: bool
    maker: TaskMaker


class Feed:
    """The inner half of an iterator of results. It does not keep the pool alive.

    Args:
        plan: How.
        inputs: Advanced in the threads that call ``take`` or ``read_on``.
        engine: Runs the tasks.
        gate: The engine's.
        service: The pool's.
        progress: Told how many calls are done, or None.
    """

    def __init__(
        self,
        plan: FeedPlan,
        inputs: Iterator[Any],
        engine: Engine,
        gate: Gate,
        service: ServiceThread,
        progress: Progress | None,
    ) -> None:
        self._plan = plan
        self._inputs: Iterator[Any] | None = inputs
        self._ahead = plan.ahead
        self._engine = engine
        self._gate = gate
        self._service = service
        self._progress = progress
        self._failure: BaseException | None = None
        self._reading = threading.RLock()
        self._arrived = threading.Condition()
        self._outcomes: dict[int, tuple[Job, Outcome]] = {}
        self._finished: deque[int] = deque()
        self._put_back: deque[tuple[Job, Outcome]] = deque()
        self._tasks: dict[int, Task] = {}
        self._unsent: list[tuple[int, Job]] = []  # read, and not submitted yet
        self._read_count = 0
        self._input_count = 0
        self._taken_count = 0
        gate.add(self)

    def read_on(self, *, has_bound: bool = True) -> None:
        """Read inputs and submit them, until as many are submitted and not taken as may be; else all."""
        with self._reading:
            batch = Batch(self._submit)
            is_end = False
            try:
                # Another thread may terminate the pool meanwhile.
                while (inputs := self._inputs) is not None and not is_end:
                    if has_bound and self._ahead_count() >= self._ahead.chunks:
                        break
                    is_end = True  # Also of a generator that is left by Ctrl-C.
                    chunk = self._read_chunk(inputs)
                    if chunk:
                        is_end = False
                        batch.add(self._prepare(chunk))
            finally:
                batch.finish()
                if is_end:
                    self._end_inputs()  # Behind the last submission: it may close the engine.

    def _read_chunk(self, inputs: Iterator[Any]) -> Sequence[Any]:
        try:
            return tuple(islice(inputs, self._plan.chunksize))
        except Exception as error:  # noqa: BLE001  -- raised to whoever takes the results, behind those before it
            self._failure = error
            return ()

    def take(self, timeout: float | None) -> tuple[Job, Outcome] | None:
        """Wait for the next chunk's outcome, and read on; return None at the end.

        Raises:
            TimeoutError: If it takes longer.
            BaseException: What the inputs raised, when all before it is taken.
        """
        entry = self._pop(timeout)
        if entry is None:
            failure, self._failure = self._failure, None
            if failure is None:
                return None
            try:
                raise failure
            finally:
                # The error's traceback refers to this frame.
                del failure, self
        try:
            if self._inputs is not None and self._ahead.is_reading_due(self._ahead_count()):
                self.read_on()
        except BaseException:
            self._put_back.append(entry)  # Nothing is lost: it is the next one again.
            raise
        return entry

    def give_up(self) -> None:
        """Read nothing more, because the pool is terminated."""
        if self._inputs is not None:
            text = "the pool was terminated before all inputs were read: take all results before it is terminated"
            self._failure = PoolTerminatedError(text)
        self._end_inputs()

    def abandon(self) -> None:
        """Read nothing more, and take back what has not begun: nobody wants the results."""
        self._end_inputs()
        for task in tuple(self._tasks.copy().values()):
            self._engine.cancel(task)

    def _end_inputs(self) -> None:
        self._inputs = None
        if self._progress is not None:
            self._progress.total = self._input_count
        with self._arrived:
            self._arrived.notify_all()
            self._finish_progress()
        self._gate.remove(self)

    def _prepare(self, chunk: Sequence[Any]) -> tuple[Task, ...]:
        index = self._read_count
        job = self._plan.make_job(chunk)
        task = self._plan.maker.make(job, partial(self._take_outcome, index, job))
        self._read_count += 1
        self._input_count += len(chunk)
        if isinstance(task, Raised):
            self._arrive(index, job, task)
            return ()
        self._ahead.note_size(self._engine.size_of(task.packed))
        self._tasks[index] = task
        self._unsent.append((index, job))
        return (task,)

    def _submit(self, tasks: Sequence[Task]) -> None:
        try:
            self._engine.submit(tasks)
        except ValueError:  # Another thread has terminated the pool; ``give_up`` comes, or was here.
            for index, job in self._unsent:
                self._arrive(index, job, Cancelled())
        self._unsent.clear()

    def _take_outcome(self, index: int, job: Job, outcome: Outcome) -> None:
        self._service.note_current()
        self._arrive(index, job, outcome)

    def _arrive(self, index: int, job: Job, outcome: Outcome) -> None:
        if self._progress is not None:
            self._progress.advance(len(job.calls))
        with self._arrived:
            if self._ahead.is_window_over():
                self._ahead.end_window(time.monotonic())
            self._tasks.pop(index, None)
            self._outcomes[index] = job, outcome
            if not self._plan.is_ordered:
                self._finished.append(index)
            self._arrived.notify_all()
            self._finish_progress()

    def _finish_progress(self) -> None:
        if self._progress is not None and self._inputs is None and not self._tasks:
            self._progress.finish()

    def _ahead_count(self) -> int:
        return self._read_count - self._taken_count

    def _pop(self, timeout: float | None) -> tuple[Job, Outcome] | None:
        if not self._ahead_count():
            self.read_on()
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._arrived:
            while True:
                if self._put_back:
                    return self._put_back.popleft()
                index = self._next_index()
                if index is not None:
                    self._taken_count += 1
                    self._arrived.notify_all()  # Perhaps that was the last one, and others wait, too.
                    return self._outcomes.pop(index)
                if self._inputs is None and not self._ahead_count():
                    return None
                if deadline is None:
                    self._service.forbid_wait()
                with self._service.awaited():
                    is_told = self._arrived.wait(None if deadline is None else max(deadline - time.monotonic(), 0))
                if not is_told and deadline is not None and time.monotonic() >= deadline:
                    raise self._timeout_error(timeout)

    def _next_index(self) -> int | None:
        if not self._plan.is_ordered:
            return self._finished.popleft() if self._finished else None
        index = self._taken_count
        return index if index in self._outcomes else None

    def _timeout_error(self, timeout: float | None) -> Exception:
        from pytest_parpool.workload.stdlib_errors import ResultTimeoutError

        first = self._tasks.get(self._taken_count)
        tasks = [first] if self._plan.is_ordered and first else list(self._tasks.values())
        begun = next((task for task in tasks if task.begun_at is not None), None) or next(iter(tasks), None)
        text = f"there is no result after {timeout:g} s"
        return ResultTimeoutError(f"{text}: {describe_progress(begun, time.monotonic())}" if begun else text)
