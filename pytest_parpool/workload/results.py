"""Results that are still to come: ``AsyncResult``, and what fills it.

What the engine knows of is the inner half, a ``Settling``; the user holds the outer half, which also keeps the pool
alive. So a pool that everybody has forgotten can be collected while it works, but not while its result is waited for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import chain
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pytest_parpool.workload.callbacks import ServiceThread, call_back
from pytest_parpool.workload.engine import Job, Outcome, Task
from pytest_parpool.workload.errors import PoolUsageError
from pytest_parpool.workload.outcomes import describe_progress, value_or_error

if TYPE_CHECKING:
    from pytest_parpool.workload.progress import Progress

R = TypeVar("R")


class Settling:
    """The inner half of a result, settled once.

    Args:
        service: The pool's.
        callback: Called with the value, before anybody else sees it, or None.
        error_callback: Called with the error, or None.

    Attributes:
        tasks: Those without an outcome.
        value: Once settled: the value.
        error: Once settled: the error, or None.
    """

    __slots__ = ("_callback", "_error_callback", "_event", "error", "service", "tasks", "value")

    def __init__(
        self,
        service: ServiceThread,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> None:
        self.service = service
        self._callback = callback
        self._error_callback = error_callback
        self._event = Event()
        self.tasks: dict[int, Task] = {}
        self.value: Any = None
        self.error: BaseException | None = None

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Set the result, and call the callback that wants it."""
        self.value, self.error = value, error
        self.tasks.clear()
        callback, self._callback = self._callback, None
        error_callback, self._error_callback = self._error_callback, None
        try:
            if error is None:
                if callback is not None:
                    call_back(callback, value)
            elif error_callback is not None:
                call_back(error_callback, error)
        finally:
            self._event.set()

    def take_outcome(self, job: Job, outcome: Outcome) -> None:
        """Settle with the outcome of the only task."""
        self.settle(*value_or_error(outcome, job))

    def is_settled(self) -> bool:
        """Return whether there is a result."""
        return self._event.is_set()

    def wait(self, timeout: float | None) -> bool:
        """Wait until there is a result, or the time is over; return whether there is one."""
        with self.service.awaited():
            return self._event.wait(timeout)


class Gathering(Settling):
    """The inner half of a result that is a list, made of the results of chunks.

    As multiprocessing's, it is settled when all chunks are done, also if an early one failed; the error is the first
    that came.

    Args:
        service: As in ``Settling``.
        callback: As in ``Settling``.
        error_callback: As in ``Settling``.
        progress: Told how many calls are done, or None.
        count: How many chunks there are.
    """

    __slots__ = ("_counting", "_first_error", "_left", "_progress", "_values")

    def __init__(
        self,
        service: ServiceThread,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
        progress: Progress | None,
        count: int,
    ) -> None:
        super().__init__(service, callback, error_callback)
        # Chunks that cannot be sent fail in the thread that submits, while others come to the service thread.
        self._counting = Lock()
        self._values: list[list[Any]] = [[]] * count
        self._left = count
        self._first_error: BaseException | None = None
        self._progress = progress

    def take_chunk(self, index: int, job: Job, outcome: Outcome) -> None:
        """Take the outcome of a chunk."""
        value, error = value_or_error(outcome, job)
        self.tasks.pop(index, None)
        if self._progress is not None:
            self._progress.advance(len(job.calls))
        with self._counting:
            if error is None:
                self._values[index] = value
            elif self._first_error is None:
                self._first_error = error
            self._left -= 1
            is_last = not self._left
        if is_last:
            self.finish()

    def finish(self) -> None:
        """Settle with what has come."""
        values, self._values = self._values, []
        error, self._first_error = self._first_error, None
        if self._progress is not None:
            self._progress.finish()
        self.settle(None if error else list(chain.from_iterable(values)), error)


class AsyncResult(Generic[R]):
    """A result that is still to come; made by the methods of a pool. Any thread may wait for it.

    Args:
        settling: The inner half.
        owner: What has to stay alive until there is a result.
    """

    __slots__ = ("__weakref__", "_owner", "_pid", "_settling")

    def __init__(self, settling: Settling, owner: object) -> None:
        self._settling = settling
        self._owner = owner
        self._pid = os.getpid()

    def get(self, timeout: float | None = None) -> R:
        """Wait for the result, and return it, or raise the task's error.

        An error of the task is the one that was raised there; its ``__cause__`` shows the traceback of the worker.

        Args:
            timeout: How many seconds to wait, or None for as long as it takes.

        Raises:
            ResultTimeoutError: If there is none in time; the task goes on. Also a ``multiprocessing.TimeoutError``.
            WorkerCrashed: If the worker's process ended.
            TaskTimeoutError: If the task took longer than it may.
            PoolTerminatedError: If the pool was terminated before.
            WorkerStartError: If no worker could be started, because of the initializer, for example.
            UnpicklableTaskError: If the task could not be sent.
            UnpicklableResultError: If its result could not be sent back.
            PoolUsageError: If this would wait for ever.
        """
        if not self._wait(timeout):
            raise self._timeout_error(timeout)
        error = self._settling.error
        if error is None:
            value: R = self._settling.value
            return value
        try:
            raise error
        finally:
            # The error's traceback refers to this frame.
            del error, self

    def wait(self, timeout: float | None = None) -> None:
        """Wait until there is a result, or ``timeout`` seconds are over."""
        self._wait(timeout)

    def ready(self) -> bool:
        """Return whether there is a result."""
        return self._settling.is_settled()

    def successful(self) -> bool:
        """Return whether there is a value, and not an error.

        Raises:
            ValueError: If there is no result yet.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._settling.error is None

    def __repr__(self) -> str:
        settling = self._settling
        state = "not ready" if not self.ready() else "failed" if settling.error else "successful"
        return f"<{type(self).__module__}.{type(self).__qualname__} {state}>"

    def _wait(self, timeout: float | None) -> bool:
        settling = self._settling
        if not settling.is_settled():
            if os.getpid() != self._pid:
                raise PoolUsageError(f"this result will come to process {self._pid}, which has forked this one")
            if timeout is None:
                settling.service.forbid_wait()
            if not settling.wait(timeout):
                return False
        self._owner = None
        return True

    def _timeout_error(self, timeout: float | None) -> Exception:
        from pytest_parpool.workload.stdlib_errors import ResultTimeoutError

        # The service thread may take away what is done at any time.
        tasks = list(self._settling.tasks.copy().values())
        begun = next((task for task in tasks if task.begun_at is not None), None) or next(iter(tasks), None)
        text = f"there is no result after {timeout:g} s"
        if begun is not None:
            text += f": {describe_progress(begun, time.monotonic())}"
        if len(tasks) > 1:
            text += f"; {len(tasks)} chunks are not done"
        return ResultTimeoutError(text)
