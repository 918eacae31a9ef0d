"""A queue: first in, first out, from any process to any."""

from __future__ import annotations

import queue
from typing import Any, ClassVar

from pytest_parpool.model.sync_requests import GetFromQueue, JoinQueue, PutOnQueue, ReadQueue, TaskDone
from pytest_parpool.sync.errors import LockTimeoutError, NotHeldError, UnfitError
from pytest_parpool.sync.payloads import pack, unpack
from pytest_parpool.sync.proxy import Proxy

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


class Queue(Proxy):
    """Like ``queue.Queue`` and ``multiprocessing.JoinableQueue``: raises ``queue.Full`` and ``queue.Empty``.

    Args:
        maxsize: How much it takes; 0 for any number.
    """

    kind: ClassVar[str] = "queue"

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__()
        self.maxsize = max(0, maxsize)

    def _arguments(self) -> tuple[Any, ...]:
        return (self.maxsize,)

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002  -- as in the standard library
        """Put something at the end; wait while it is full.

        Raises:
            queue.Full: If it stayed full.
            UnpicklableError: If the item cannot be sent.
            ValueError: If the timeout is negative.
        """
        seconds = _queue_seconds(timeout, is_blocking=block)
        payload = pack(item, self.shown)
        try:
            self._party.ask(PutOnQueue(self.name, self.maxsize, payload, seconds))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            raise queue.Full(*error.args) from None

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002  -- as in the standard library
        """Return the first, and take it out; wait while there is none.

        Raises:
            queue.Empty: If it stayed empty.
            ValueError: If the timeout is negative.
        """
        seconds = _queue_seconds(timeout, is_blocking=block)
        try:
            payload = self._party.ask(GetFromQueue(self.name, self.maxsize, seconds))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            raise queue.Empty(*error.args) from None
        return unpack(payload)

    def put_nowait(self, item: object) -> None:
        """Put something at the end, if it is not full.

        Raises:
            queue.Full: If it is.
        """
        self.put(item, block=False)

    def get_nowait(self) -> Any:
        """Return the first, if there is one.

        Raises:
            queue.Empty: If there is none.
        """
        return self.get(block=False)

    def qsize(self) -> int:
        """Return how much is in it now."""
        return int(self._read()[0])

    def empty(self) -> bool:
        """Whether it is empty now."""
        return self.qsize() == 0

    def full(self) -> bool:
        """Whether it is full now."""
        return 0 < self.maxsize <= self.qsize()

    def task_done(self) -> None:
        """Say that something that was got is done.

        Raises:
            ValueError: If nothing is to be done.
        """
        try:
            self._party.ask(TaskDone(self.name, self.maxsize))
        except (NotHeldError, UnfitError):
            raise ValueError("task_done() called too many times") from None

    def join(self, timeout: float | None = None) -> None:
        """Wait until all that was put is done.

        Raises:
            LockTimeoutError: If that took longer than so many seconds; a TimeoutError.
            BrokenObjectError: If somebody who had got something has died before it was done.
        """
        seconds = None if timeout is None else max(0.0, timeout)
        try:
            self._party.ask(JoinQueue(self.name, self.maxsize, seconds))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            raise

    async def put_async(self, item: object, timeout: float | None = None) -> None:
        """Put something in a task of an event loop, whose other tasks go on meanwhile; otherwise as ``put``.

        A task that is cancelled while it is full has put nothing.
        """
        seconds = _queue_seconds(timeout, is_blocking=True)
        payload = pack(item, self.shown)
        try:
            await self._party.ask_async(PutOnQueue(self.name, self.maxsize, payload, seconds))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            raise queue.Full(*error.args) from None

    async def get_async(self, timeout: float | None = None) -> Any:
        """Get something in a task of an event loop, whose other tasks go on meanwhile; otherwise as ``get``.

        If the task is cancelled, nothing was taken out.
        """
        seconds = _queue_seconds(timeout, is_blocking=True)
        try:
            payload = await self._party.ask_async(GetFromQueue(self.name, self.maxsize, seconds))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            raise queue.Empty(*error.args) from None
        return unpack(payload)

    async def join_async(self, timeout: float | None = None) -> None:
        """Wait in a task of an event loop, whose other tasks go on meanwhile; otherwise as ``join``."""
        seconds = None if timeout is None else max(0.0, timeout)
        try:
            await self._party.ask_async(JoinQueue(self.name, self.maxsize, seconds))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            raise

    def _read(self) -> tuple[int, int]:
        size, unfinished = self._party.ask(ReadQueue(self.name, self.maxsize))
        return size, unfinished


def _queue_seconds(timeout: float | None, *, is_blocking: bool) -> float | None:
    """Return the timeout of a request from the arguments of ``queue.Queue``."""
    if not is_blocking:
        return 0
    if timeout is not None and timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    return timeout
