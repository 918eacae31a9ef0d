"""``Pool``: calls spread over worker processes, or threads, with the methods of ``multiprocessing.pool.Pool``."""

from __future__ import annotations

import enum
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from pytest_parpool.workload.arguments import (
    Kind,
    check_callable,
    check_function,
    check_seconds,
    check_whole_number,
)
from pytest_parpool.workload.callbacks import ServiceThread
from pytest_parpool.workload.calls import OneArgumentCalls, StarredCalls
from pytest_parpool.workload.descriptions import describe_job
from pytest_parpool.workload.engine import Job, Outcome, Task
from pytest_parpool.workload.engines import make_engine
from pytest_parpool.workload.errors import PoolUsageError
from pytest_parpool.workload.feeds import Feed, FeedPlan, Gate
from pytest_parpool.workload.iterators import CompletedIterator, ResultIterator
from pytest_parpool.workload.outcomes import pack_or_fail
from pytest_parpool.workload.progress import Choice, Progress, make_progress
from pytest_parpool.workload.results import AsyncResult, Gathering, Settling

if TYPE_CHECKING:
    from typing_extensions import Self

R = TypeVar("R")
T = TypeVar("T")

# As multiprocessing: enough for an even end, few enough for little talk.
_CHUNKS_PER_WORKER = 4
_BATCH_SECONDS = 0.001  # A fifth of the work that a worker has in hand.


class _State(enum.Enum):
    RUNNING = "running"
    CLOSED = "closed"
    TERMINATED = "terminated"


class Pool:
    """Runs calls in worker processes, or threads.

    It has the methods of ``multiprocessing.pool.Pool``, and keeps running whatever happens to a worker: a process that
    dies costs the task that it was running, and nothing else. See ``docs/reference/pool.md`` for all differences.

    Use it with ``with``, which terminates it at the end, or call ``close`` and ``join``. All methods may be called from
    any thread. Callbacks run one after another in a thread of the pool, which they hold up, and in which they must not
    wait for the pool; what they raise goes to ``threading.excepthook``.

    Methods that run calls take, by name:

    * ``retries``: how often a task is tried again if its worker dies; only for what may be done twice.
    * ``timeout``: how many seconds a task may take; then its worker is killed, and the result a ``TaskTimeoutError``.
      A chunk is one task, so that the size of chunks is 1 if not said otherwise. Not for threads.
    * ``progress``: True for a line "done / total" on the standard error, or a function of these two, a callback as
      others. What ``total`` is for an iterable without a length is None until all of it is read.

    Args:
        processes: How many workers; None for as many as there are CPUs that this process may use. In a test it is as
            many as the run has CPU slots, and of these the pool uses those that are free.
        initializer: Called once in each worker, before its first task. If it raises, that is the result of every task.
        initargs: For it.
        maxtasksperchild: After how many tasks a worker is replaced; None for never.
        context: How workers are started, ``fork`` or ``spawn``, or a context of multiprocessing; None to fork where
            this process has a single thread, and to spawn elsewhere.
        kind: ``thread`` for tasks that wait: with threads nothing is pickled, and nothing can be killed.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument cannot be used.
    """

    # ``__del__`` is also called for what ``__init__`` has refused.
    _state = _State.TERMINATED
    # Whether it has a part in the CPU budget of the run that it is made in; None if no number of workers was given.
    _is_budgeted: ClassVar[bool | None] = None

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
        *,
        kind: Kind = "process",
    ) -> None:
        self._engine = make_engine(
            kind, processes, initializer, initargs, maxtasksperchild, context, is_budgeted=self._is_budgeted
        )
        self._kind = kind
        self._gate = Gate(self._engine)
        self._service = ServiceThread(self._engine.share)
        self._pid = os.getpid()
        self._state = _State.RUNNING

    @property
    def processes(self) -> int:
        """How many tasks run side by side at most."""
        return self._engine.processes

    # --- One call -----------------------------------------------------------------------------------------------------

    def apply(
        self,
        func: Callable[..., R],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] | None = None,
        *,
        retries: int = 0,
        timeout: float | None = None,
    ) -> R:
        """Return ``func(*args, **kwds)``, called in a worker. Waits for it."""
        return self.apply_async(func, args, kwds, retries=retries, timeout=timeout).get()

    def apply_async(
        self,
        func: Callable[..., R],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] | None = None,
        callback: Callable[[R], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        retries: int = 0,
        timeout: float | None = None,
    ) -> AsyncResult[R]:
        """Have ``func(*args, **kwds)`` called in a worker.

        Args:
            func: As ``apply``.
            args: As ``apply``.
            kwds: As ``apply``.
            callback: Called with the value, if it returns, before the result is ready.
            error_callback: Called with the error, if there is one; in this thread, if the call cannot be sent.
            retries: See the class.
            timeout: See the class.
        """
        self._check_running()
        check_callable("callback", callback)
        check_callable("error_callback", error_callback)
        options = self._check_options(retries, timeout)
        job = Job(check_function(func), [(tuple(args), dict(kwds or {}))], is_chunk=False)
        settling = Settling(self._service, callback, error_callback)
        self._engine.submit(self._prepare(job, 0, settling, settling.take_outcome, *options))
        return AsyncResult(settling, self)

    # --- Lists --------------------------------------------------------------------------------------------------------

    def map(
        self,
        func: Callable[[T], R],
        iterable: Iterable[T],
        chunksize: int | None = None,
        *,
        retries: int = 0,
        timeout: float | None = None,
        progress: Choice = None,
    ) -> list[R]:
        """Return ``[func(item) for item in iterable]``, called in workers. Waits for all of it.

        Args:
            func: Called with one item.
            iterable: Read to its end before anything is waited for.
            chunksize: How many calls are handed out together; None for four chunks per worker.
            retries: See the class.
            timeout: See the class.
            progress: See the class.
        """
        return self.map_async(func, iterable, chunksize, retries=retries, timeout=timeout, progress=progress).get()

    def map_async(
        self,
        func: Callable[[T], R],
        iterable: Iterable[T],
        chunksize: int | None = None,
        callback: Callable[[list[R]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        retries: int = 0,
        timeout: float | None = None,
        progress: Choice = None,
    ) -> AsyncResult[list[R]]:
        """Have ``map`` done, and do not wait. The callbacks are called once, with the list or the first error."""
        make_job = partial(_job_of_items, check_function(func))
        return self._map(make_job, iterable, chunksize, (callback, error_callback), progress, retries, timeout)

    def starmap(
        self,
        func: Callable[..., R],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        retries: int = 0,
        timeout: float | None = None,
        progress: Choice = None,
    ) -> list[R]:
        """Return ``[func(*items) for items in iterable]``, called in workers; otherwise as ``map``."""
        return self.starmap_async(func, iterable, chunksize, retries=retries, timeout=timeout, progress=progress).get()

    def starmap_async(
        self,
        func: Callable[..., R],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[R]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        retries: int = 0,
        timeout: float | None = None,
        progress: Choice = None,
    ) -> AsyncResult[list[R]]:
        """Have ``starmap`` done, and do not wait; otherwise as ``map_async``."""
        make_job = partial(_job_of_arguments, check_function(func))
        return self._map(make_job, iterable, chunksize, (callback, error_callback), progress, retries, timeout)

    # --- One result after another -------------------------------------------------------------------------------------

    def imap(
        self,
        func: Callable[[T], R],
        iterable: Iterable[T],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
        retries: int = 0,
        timeout: float | None = None,
        progress: Choice = None,
    ) -> ResultIterator[R]:
        """Return an iterator of ``func(item)`` in the order of the items, which may be endless.

        Items are read here, and then whenever a result is taken, in the thread that takes it. What reading them raises
        is raised behind the results of all chunks before. Who leaves the loop early has the rest neither read nor run;
        if nobody ever takes a result, ``join`` reads all that is left.

        Args:
            func: Called with one item.
            iterable: Its items are read as results are taken.
            chunksize: How many calls are handed out together.
            buffersize: How many chunks are read ahead of the results taken; None for four per worker.
            retries: See the class.
            timeout: See the class. The iterator's ``next`` has another one, for the waiting.
            progress: See the class.
        """
        counts = chunksize, buffersize
        return ResultIterator(self._feed(func, iterable, *counts, True, retries, timeout, progress), self)

    def imap_unordered(
        self,
        func: Callable[[T], R],
        iterable: Iterable[T],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
        retries: int = 0,
        timeout: float | None = None,
        progress: Choice = None,
    ) -> ResultIterator[R]:
        """Return an iterator of ``func(item)`` as they are done; otherwise as ``imap``."""
        counts = chunksize, buffersize
        return ResultIterator(self._feed(func, iterable, *counts, False, retries, timeout, progress), self)

    def completed(
        self,
        func: Callable[[T], R],
        iterable: Iterable[T],
        *,
        buffersize: int | None = None,
        retries: int = 0,
        timeout: float | None = None,
        progress: Choice = None,
    ) -> CompletedIterator[T, R]:
        """Return an iterator of pairs, an item and its result, as they are done; otherwise as ``imap``.

        The result's ``get`` returns or raises at once. So one knows which item failed, and goes on.
        """
        return CompletedIterator(self._feed(func, iterable, 1, buffersize, False, retries, timeout, progress), self)

    # --- The end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Take nothing more. Workers leave when everything is done; iterators can be used to their end."""
        self._check_owner()
        if self._state is _State.RUNNING:
            self._state = _State.CLOSED
            self._gate.close()

    def terminate(self) -> None:
        """Stop at once: kill the workers. Every result that is not there yet is a ``PoolTerminatedError``."""
        self._check_owner()
        self._state = _State.TERMINATED
        self._gate.give_up()
        self._engine.terminate()

    def join(self) -> None:
        """Wait until all is done and the workers have left. What iterators have not read is read before.

        Raises:
            ValueError: If the pool was neither closed nor terminated.
        """
        self._check_owner()
        if self._state is _State.RUNNING:
            raise ValueError("Pool is still running: call close() or terminate() before join()")
        self._service.forbid_wait()
        self._gate.read_rest()
        with self._service.awaited():
            self._engine.join()

    def __enter__(self) -> Self:
        self._check_running()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def __reduce__(self) -> NoReturn:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __repr__(self) -> str:
        cls = type(self)
        return (
            f"<{cls.__module__}.{cls.__qualname__} {self._state.value}, kind '{self._kind}', {self.processes} workers>"
        )

    def __del__(self, _warn: Any = warnings.warn, _getpid: Any = os.getpid) -> None:
        # At the interpreter's exit modules may be empty already.
        if self._state is not _State.TERMINATED and self._pid == _getpid():
            if self._state is _State.RUNNING:
                _warn(f"unclosed running pool {self!r}: use it with 'with'", ResourceWarning, source=self)
                self._engine.terminate()
            else:
                # Inputs of an iterator that nobody has ever used are read by ``join``, which nobody can call any more.
                self._gate.give_up()

    # --- Inside -------------------------------------------------------------------------------------------------------

    def _check_owner(self) -> None:
        if os.getpid() != self._pid:
            raise PoolUsageError(
                f"this is a copy of a pool that belongs to process {self._pid}, which has forked this one; "
                "make a pool in the child"
            )

    def _check_running(self) -> None:
        self._check_owner()
        if self._state is not _State.RUNNING:
            raise ValueError(f"Pool not running: it is {self._state.value}")

    def _check_options(self, retries: object, timeout: object) -> tuple[int, float | None]:
        seconds = check_seconds("timeout", timeout)
        if seconds is not None and self._kind == "thread":
            raise ValueError(
                "timeout: a thread cannot be killed; use kind='process', or wait with AsyncResult.get(timeout)"
            )
        return check_whole_number("retries", retries, least=0), seconds

    def _prepare(
        self,
        job: Job,
        index: int,
        settling: Settling,
        take: Callable[[Job, Outcome], object],
        retries: int,
        timeout: float | None,
    ) -> tuple[Task, ...]:
        """Return the task to submit; none, if it has failed already."""
        packed, failure = pack_or_fail(self._engine, job)
        if failure is not None:
            take(job, failure)
            return ()
        told = partial(_tell, self._service, take, job)
        task = Task(packed, partial(describe_job, job), told, retries=retries, timeout_seconds=timeout)
        settling.tasks[index] = task
        return (task,)

    def _map(
        self,
        make_job: Callable[[Sequence[Any]], Job],
        iterable: Iterable[Any],
        chunksize: int | None,
        callbacks: tuple[Callable[[Any], object] | None, Callable[[BaseException], object] | None],
        progress: Choice,
        retries: int,
        timeout: float | None,
    ) -> AsyncResult[list[Any]]:
        self._check_running()
        for name, callback in zip(("callback", "error_callback"), callbacks, strict=True):
            check_callable(name, callback)
        options = self._check_options(retries, timeout)
        items = list(iterable)
        size = self._chunksize(len(items), chunksize, has_timeout=timeout is not None)
        chunks = [items[first : first + size] for first in range(0, len(items), size)]
        settling = Gathering(self._service, *callbacks, make_progress(progress, len(items)), len(chunks))
        # Workers begin with the first chunk while others are still pickled, and are not woken up for each of them.
        batch: list[Task] = []
        batch_until = 0.0
        for index, chunk in enumerate(chunks):
            batch += self._prepare(make_job(chunk), index, settling, partial(settling.take_chunk, index), *options)
            now = time.monotonic()
            if now >= batch_until:
                self._engine.submit(batch)
                batch, batch_until = [], now + _BATCH_SECONDS
        self._engine.submit(batch)
        if not chunks:
            settling.finish()
        return AsyncResult(settling, self)

    def _chunksize(self, count: int, chunksize: int | None, *, has_timeout: bool) -> int:
        if chunksize is not None:
            return check_whole_number("chunksize", chunksize, least=1)
        return 1 if has_timeout else max(-(-count // (self.processes * _CHUNKS_PER_WORKER)), 1)

    def _feed(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int,
        buffersize: int | None,
        is_ordered: bool,  # noqa: FBT001  -- of three callers in this class
        retries: int,
        timeout: float | None,
        progress: Choice,
    ) -> Feed:
        self._check_running()
        options = self._check_options(retries, timeout)
        if buffersize is None:
            buffersize = self.processes * _CHUNKS_PER_WORKER
        plan = FeedPlan(
            make_job=partial(_job_of_items, check_function(func)),
            chunksize=check_whole_number("chunksize", chunksize, least=1),
            buffersize=check_whole_number("buffersize", buffersize, least=1),
            is_ordered=is_ordered,
            retries=options[0],
            timeout_seconds=options[1],
        )
        try:
            total = len(iterable)  # type: ignore[arg-type]
        except TypeError:
            total = None
        shown: Progress | None = make_progress(progress, total)
        feed = Feed(plan, iter(iterable), self._engine, self._gate, self._service, shown)
        feed.read_on(plan.buffersize)
        return feed


class BudgetedPool(Pool):
    """A pool that has a part in the CPU budget of the run that it is made in, however many workers it may have."""

    _is_budgeted = True


def _tell(service: ServiceThread, take: Callable[[Job, Outcome], object], job: Job, outcome: Outcome) -> None:
    service.note_current()
    take(job, outcome)


def _job_of_items(func: Callable[..., Any], items: Sequence[Any]) -> Job:
    return Job(func, OneArgumentCalls(items), is_chunk=True)


def _job_of_arguments(func: Callable[..., Any], items: Sequence[Any]) -> Job:
    return Job(func, StarredCalls(items), is_chunk=True)
