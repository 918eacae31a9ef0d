"""``Pool``: calls spread over worker processes, or threads, with the methods of ``multiprocessing.pool.Pool``."""

from __future__ import annotations

import enum
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from pytest_parpool.workload.arguments import Kind
from pytest_parpool.workload.calls import OneArgumentCalls, StarredCalls
from pytest_parpool.workload.engines import make_engine
from pytest_parpool.workload.errors import PoolUsageError
from pytest_parpool.workload.iterators import CompletedIterator, ResultIterator
from pytest_parpool.workload.progress import Choice
from pytest_parpool.workload.results import AsyncResult
from pytest_parpool.workload.submitter import Callbacks, Options, Submitter

if TYPE_CHECKING:
    from typing_extensions import Self

R = TypeVar("R")
T = TypeVar("T")


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
        self._submitter = Submitter(self._engine, kind)
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
        callbacks = Callbacks(callback, error_callback)
        return AsyncResult(self._submitter.submit_call(func, args, kwds, callbacks, Options(retries, timeout)), self)

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
        self._check_running()
        options, callbacks = Options(retries, timeout, progress), Callbacks(callback, error_callback)
        settling = self._submitter.submit_list(func, OneArgumentCalls, iterable, chunksize, callbacks, options)
        return AsyncResult(settling, self)

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
        self._check_running()
        options, callbacks = Options(retries, timeout, progress), Callbacks(callback, error_callback)
        settling = self._submitter.submit_list(func, StarredCalls, iterable, chunksize, callbacks, options)
        return AsyncResult(settling, self)

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
            buffersize: How many chunks are read ahead of the results taken; None for four per worker, or as many as
                are done in some 10 ms, but not more than 1,000 items.
            retries: See the class.
            timeout: See the class. The iterator's ``next`` has another one, for the waiting.
            progress: See the class.
        """
        self._check_running()
        options = Options(retries, timeout, progress)
        feed = self._submitter.open_feed(func, iterable, chunksize, buffersize, options, is_ordered=True)
        return ResultIterator(feed, self)

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
        self._check_running()
        options = Options(retries, timeout, progress)
        feed = self._submitter.open_feed(func, iterable, chunksize, buffersize, options, is_ordered=False)
        return ResultIterator(feed, self)

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
        self._check_running()
        options = Options(retries, timeout, progress)
        feed = self._submitter.open_feed(func, iterable, 1, buffersize, options, is_ordered=False)
        return CompletedIterator(feed, self)

    # --- The end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Take nothing more. Workers leave when everything is done; iterators can be used to their end.

        A list that another thread is submitting is submitted before.
        """
        self._check_owner()
        if self._state is _State.RUNNING:
            self._state = _State.CLOSED
            self._submitter.gate.close()

    def terminate(self) -> None:
        """Stop at once: kill the workers. Every result that is not there yet is a ``PoolTerminatedError``."""
        self._check_owner()
        self._state = _State.TERMINATED
        self._submitter.gate.give_up()
        self._engine.terminate()

    def join(self) -> None:
        """Wait until all is done and the workers have left. What iterators have not read is read before.

        Raises:
            ValueError: If the pool was neither closed nor terminated.
        """
        self._check_owner()
        if self._state is _State.RUNNING:
            raise ValueError("Pool is still running: call close() or terminate() before join()")
        self._submitter.service.forbid_wait()
        self._submitter.gate.read_rest()
        with self._submitter.service.awaited():
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
                self._submitter.gate.give_up()

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


class BudgetedPool(Pool):
    """A pool that has a part in the CPU budget of the run that it is made in, however many workers it may have."""

    _is_budgeted = True
