"""``PoolExecutor``: the pool behind the interface of ``concurrent.futures``."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar

from pytest_parpool.workload.arguments import Kind, check_function, check_seconds, check_whole_number
from pytest_parpool.workload.batches import Batch
from pytest_parpool.workload.calls import StarredCalls
from pytest_parpool.workload.engine import Cancelled, Engine, Job, Outcome, Raised, Task
from pytest_parpool.workload.engines import make_engine
from pytest_parpool.workload.errors import PoolUsageError
from pytest_parpool.workload.outcomes import value_or_error
from pytest_parpool.workload.shares import lending
from pytest_parpool.workload.task_maker import EAGER_BYTES, TaskMaker
from pytest_parpool.workload.waiters import LendingWaiters

P = ParamSpec("P")
R = TypeVar("R")


# For a moment at a time, and seldom: one for all futures, of which there may be many.
_cancelling = threading.Lock()


class PoolFuture(Future[R], Generic[R]):
    """A result that is still to come. It can be cancelled until its task begins."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._task: Task | None = None
        if engine.share is not None:
            self._waiters = LendingWaiters(engine.share)  # the standard library's own name

    def cancel(self) -> bool:
        """Take the task back, if it has not begun. Return whether it is cancelled."""
        task = self._task
        if task is not None and self._engine.cancel(task):
            self._become_cancelled()
        return self.cancelled()

    def result(self, timeout: float | None = None) -> R:
        """Return the result, or raise the error, as a ``concurrent.futures.Future`` does."""
        with lending(None if self.done() else self._engine.share):
            return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the error or None, as a ``concurrent.futures.Future`` does."""
        with lending(None if self.done() else self._engine.share):
            return super().exception(timeout)

    def running(self) -> bool:
        """Return whether the task has begun and is not done, as far as is known."""
        task = self._task
        return task is not None and task.begun_at is not None and not self.done()

    def _become_cancelled(self) -> None:
        with _cancelling:
            if not self.cancelled():
                super().cancel()
                self.set_running_or_notify_cancel()

    def _take(self, job: Job, outcome: Outcome) -> None:
        """Take the outcome, in the service thread."""
        self._task = None
        if isinstance(outcome, Cancelled):
            self._become_cancelled()
            return
        value, error = value_or_error(outcome, job)
        if error is None:
            self.set_result(value)
        else:
            self.set_exception(error)


class PoolExecutor(Executor):
    """A ``concurrent.futures.Executor`` that survives its workers: only the future of a task that crashed fails.

    The first arguments are those of ``ProcessPoolExecutor``. Use it with ``with``, or call ``shutdown``. Futures work
    with ``concurrent.futures.wait`` and ``as_completed``, and in asyncio through ``loop.run_in_executor``. As with the
    standard library's executors, the interpreter does not exit before all that was submitted is done.

    Args:
        max_workers: How many workers; None as in ``Pool``.
        mp_context: As ``context`` of ``Pool``.
        initializer: As in ``Pool``.
        initargs: As in ``Pool``.
        max_tasks_per_child: As ``maxtasksperchild`` of ``Pool``.
        kind: As in ``Pool``.
        retries: As in the methods of ``Pool``, for all tasks.
        timeout: As in the methods of ``Pool``, for all tasks.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument cannot be used.
    """

    _is_budgeted: ClassVar[bool | None] = None  # as in ``Pool``

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        max_tasks_per_child: int | None = None,
        kind: Kind = "process",
        retries: int = 0,
        timeout: float | None = None,
    ) -> None:
        options = check_whole_number("retries", retries, least=0), check_seconds("timeout", timeout)
        if timeout is not None and kind == "thread":
            raise ValueError("timeout: a thread cannot be killed; use kind='process', or wait with result(timeout)")
        self._engine = make_engine(
            kind,
            max_workers,
            initializer,
            initargs,
            max_tasks_per_child,
            mp_context,
            count_name="max_workers",
            is_budgeted=self._is_budgeted,
        )
        self._new_maker = partial(TaskMaker, self._engine, *options)
        self._maker = self._new_maker()
        self._pid = os.getpid()
        self._is_shut_down = False
        self._pending: set[PoolFuture[Any]] = set()
        # Registered behind the engine's own end, and so called before it: what was submitted is done first.
        finish = partial(_finish_at_exit, weakref.ref(self))
        atexit.register(finish)
        # An executor that everybody has forgotten still does what it has; its futures may be waited for.
        self._forgotten = weakref.finalize(self, _close_forgotten, self._engine, self._pid, finish)
        self._forgotten.atexit = False

    @property
    def processes(self) -> int:
        """How many tasks run side by side at most."""
        return self._engine.processes

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have ``fn(*args, **kwargs)`` called in a worker.

        Raises:
            RuntimeError: If the executor is shut down.
        """
        self._check_running()
        job = Job(check_function(fn), [(args, kwargs)], is_chunk=False)
        future, tasks = self._prepare(self._maker, job)
        self._send(tasks)
        return future

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[R]:
        """Return an iterator of ``fn(*items)`` in the order of the items.

        Args:
            fn: Called with one item of each iterable.
            *iterables: Read to the end of the shortest; at once, or as results are taken.
            timeout: After how many seconds from now the iterator raises TimeoutError, or None.
            chunksize: How many calls are handed out together.
            buffersize: How many chunks are read ahead of the results taken, or None for all.

        Raises:
            RuntimeError: If the executor is shut down.
        """
        self._check_running()
        check_function(fn)
        check_whole_number("chunksize", chunksize, least=1)
        if buffersize is not None:
            check_whole_number("buffersize", buffersize, least=1)
        deadline = None if timeout is None else time.monotonic() + timeout
        # All tasks, or the first ones, are submitted now, and not when the iterator is used.
        maker = self._new_maker(EAGER_BYTES) if buffersize is None else self._maker
        batch = Batch(self._send)
        futures = self._futures(maker, batch, fn, zip(*iterables, strict=False), chunksize)
        try:
            ahead = deque(islice(futures, buffersize))
        finally:
            batch.finish()
        return _results(ahead, futures, batch, deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  -- Executor's
        """Take nothing more.

        Args:
            wait: Whether to wait until everything is done and the workers have left.
            cancel_futures: Whether to cancel what has not begun.
        """
        self._check_owner()
        self._is_shut_down = True
        if cancel_futures:
            for future in tuple(self._pending):
                future.cancel()
        self._engine.close()
        if wait:
            with self.awaited():
                self._engine.join()

    def awaited(self) -> AbstractContextManager[None]:
        """Lend the slot of the test meanwhile: for who waits for futures in a way of its own."""
        return lending(self._engine.share)

    def terminate_workers(self) -> None:
        """Stop at once: kill the workers, and cancel all futures that are not done."""
        self._check_owner()
        self._is_shut_down = True
        self._engine.terminate()

    def _futures(
        self,
        maker: TaskMaker,
        batch: Batch,
        fn: Callable[..., R],
        arguments: Iterator[tuple[Any, ...]],
        chunksize: int,
    ) -> Iterator[Future[list[R]]]:
        while chunk := tuple(islice(arguments, chunksize)):
            self._check_running()
            future, tasks = self._prepare(maker, Job(fn, StarredCalls(chunk), is_chunk=True))
            batch.add(tasks)
            yield future

    def _prepare(self, maker: TaskMaker, job: Job) -> tuple[PoolFuture[Any], tuple[Task, ...]]:
        """Return a job's future, and the task to submit for it; none, if it has failed already."""
        future: PoolFuture[Any] = PoolFuture(self._engine)
        task = maker.make(job, partial(_tell, self._pending, future, job))
        if isinstance(task, Raised):
            future.set_exception(task.error)
            return future, ()
        future._task = task  # noqa: SLF001  -- its own class, in this module
        self._pending.add(future)
        return future, (task,)

    def _send(self, tasks: Sequence[Task]) -> None:
        try:
            self._engine.submit(tasks)
        except ValueError:  # Shut down by another thread, just now.
            for future in tuple(self._pending):
                if future._task in tasks:  # noqa: SLF001  -- its own class, in this module
                    self._pending.discard(future)
            self._is_shut_down = True
            self._check_running()

    def _check_owner(self) -> None:
        if os.getpid() != self._pid:
            raise PoolUsageError(
                f"this is a copy of an executor that belongs to process {self._pid}, which has forked this one; "
                "make an executor in the child"
            )

    def _check_running(self) -> None:
        self._check_owner()
        if self._is_shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")


class BudgetedExecutor(PoolExecutor):
    """As ``BudgetedPool``."""

    _is_budgeted = True


def _tell(pending: set[PoolFuture[Any]], future: PoolFuture[Any], job: Job, outcome: Outcome) -> None:
    pending.discard(future)
    future._take(job, outcome)  # noqa: SLF001  -- its own class, in this module


def _results(
    ahead: deque[Future[list[R]]], futures: Iterator[Future[list[R]]], batch: Batch, deadline: float | None
) -> Iterator[R]:
    """Yield the results of chunks, and submit another one for each that is taken."""
    try:
        while ahead:
            ahead.extend(islice(futures, 1))
            batch.finish()
            seconds = None if deadline is None else max(deadline - time.monotonic(), 0)
            values = ahead[0].result(seconds)
            ahead.popleft()
            yield from values
    finally:
        for future in ahead:
            future.cancel()


def _finish_at_exit(executor_ref: weakref.ref[PoolExecutor]) -> None:
    executor = executor_ref()
    if executor is not None and os.getpid() == executor._pid:  # noqa: SLF001  -- its own class, in this module
        executor.shutdown()


def _close_forgotten(engine: Engine, pid: int, finish: Callable[[], None]) -> None:
    atexit.unregister(finish)
    if os.getpid() == pid:
        engine.close()
