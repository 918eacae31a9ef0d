"""A reader-writer lock: many read at a time, or one writes."""

from __future__ import annotations

import itertools
from types import TracebackType
from typing import ClassVar, Final

from pytest_parpool.model.sync_requests import AcquireReadWrite, ReleaseReadWrite
from pytest_parpool.sync.acquiring import wait_seconds, warn_of_dead
from pytest_parpool.sync.caller import find_line
from pytest_parpool.sync.errors import LockTimeoutError
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.proxy import Proxy

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_serial_numbers = itertools.count()

# How a hold is called in messages, by whether it is for writing.
_WAYS: Final = ("read lock", "write lock")


class RWLock(Proxy):
    """A lock that many may hold for reading, or one for writing; first come, first served.

    A reader that comes while a writer waits is served after it. It is not re-entrant: a reader that wants to write, or
    to read once more while a writer waits, waits for itself. Whoever dies while writing leaves it free, and the next
    one is warned.
    """

    kind: ClassVar[str] = "rwlock"

    def reading(self) -> Side:
        """Return what ``with``, or ``async with``, holds for reading."""
        return Side(self, None, is_write=False)

    def writing(self) -> Side:
        """Return what ``with``, or ``async with``, holds for writing."""
        return Side(self, None, is_write=True)

    def reading_within(self, seconds: float) -> Side:
        """Return the same as ``reading``; it raises ``LockTimeoutError`` if it takes longer than so many seconds."""
        return Side(self, max(0.0, seconds), is_write=False)

    def writing_within(self, seconds: float) -> Side:
        """Return the same as ``writing``; it raises ``LockTimeoutError`` if it takes longer than so many seconds."""
        return Side(self, max(0.0, seconds), is_write=True)

    def acquire_read(self, block: bool = True, timeout: float | None = None, *, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002  -- as in the standard library
        """Take it for reading; arguments, result and exceptions as those of ``Lock.acquire``."""
        return self._try_acquire(wait_seconds(timeout, is_blocking=block and blocking), is_write=False)

    def acquire_write(self, block: bool = True, timeout: float | None = None, *, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002  -- as in the standard library
        """Take it for writing; arguments, result and exceptions as those of ``Lock.acquire``."""
        return self._try_acquire(wait_seconds(timeout, is_blocking=block and blocking), is_write=True)

    async def acquire_read_async(self, timeout: float | None = None) -> bool:
        """Take it for reading, in a task of an event loop; otherwise as ``acquire_read``."""
        return await self._try_acquire_async(wait_seconds(timeout, is_blocking=True), is_write=False)

    async def acquire_write_async(self, timeout: float | None = None) -> bool:
        """Take it for writing, in a task of an event loop; otherwise as ``acquire_write``."""
        return await self._try_acquire_async(wait_seconds(timeout, is_blocking=True), is_write=True)

    def release_read(self) -> None:
        """Let it go; any thread of the process may do this.

        Raises:
            NotHeldError: If this process does not hold it for reading; a RuntimeError and a ValueError.
        """
        self._release(is_write=False)

    def release_write(self) -> None:
        """Let it go; any thread of the process may do this.

        Raises:
            NotHeldError: If this process does not hold it for writing; a RuntimeError and a ValueError.
        """
        self._release(is_write=True)

    # --- For both ways ------------------------------------------------------------------------------------------------

    def _try_acquire(self, seconds: float | None, *, is_write: bool) -> bool:
        try:
            return self._acquire(seconds, is_write=is_write)
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            return False

    async def _try_acquire_async(self, seconds: float | None, *, is_write: bool) -> bool:
        try:
            return await self._acquire_async(seconds, is_write=is_write)
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            return False

    def _acquire(self, seconds: float | None, *, is_write: bool) -> bool:
        hold = self._new_hold(is_write=is_write)
        try:
            text = self._party.connections.ask(AcquireReadWrite(self.name, is_write, seconds), hold)
            return not text or warn_of_dead(text)
        except BaseException:
            if hold.key in self._party.read_writes:  # It was granted; else ``ask`` has undone it.
                self._release(is_write=is_write)
            raise

    async def _acquire_async(self, seconds: float | None, *, is_write: bool) -> bool:
        hold = self._new_hold(is_write=is_write)
        try:
            request = AcquireReadWrite(self.name, is_write, seconds)
            text = await self._party.connections.ask_async(request, hold)
            return not text or warn_of_dead(text)
        except BaseException:
            if hold.key in self._party.read_writes:  # As in ``_acquire``.
                self._release(is_write=is_write)
            raise

    def _new_hold(self, *, is_write: bool) -> Hold:
        connections = self._party.connections
        key = (self.name, is_write, next(_serial_numbers))
        shown = f"{_WAYS[is_write]} {self.name!r}"
        return Hold(self._party.read_writes, key, shown, connections.lane(), connections.test, find_line())

    def _release(self, *, is_write: bool) -> None:
        hold = self._first_hold(is_write=is_write)
        self._party.ask(ReleaseReadWrite(self.name, is_write))
        if hold is not None:
            hold.leave()

    async def _release_async(self, *, is_write: bool) -> None:
        # Also if the task is cancelled meanwhile: it was said by then.
        if (hold := self._first_hold(is_write=is_write)) is not None:
            hold.leave()
        await self._party.ask_async(ReleaseReadWrite(self.name, is_write))

    def _first_hold(self, *, is_write: bool) -> Hold | None:
        """Return the hold that the broker will take back: this lane's, or else the process's oldest."""
        lane = self._party.connections.lane()
        own = [hold for hold in tuple(self._party.read_writes.values()) if hold.key[:2] == (self.name, is_write)]
        return min(own, key=lambda hold: hold.lane != lane, default=None)


class Side:
    """One way to hold a reader-writer lock, for ``with`` and ``async with``.

    Args:
        lock: Which.
        seconds: In what time it has to be taken; None for as long as it takes.
        is_write: For writing, or for reading.
    """

    def __init__(self, lock: RWLock, seconds: float | None, *, is_write: bool) -> None:
        self._lock = lock
        self._seconds = seconds
        self._is_write = is_write

    def __enter__(self) -> RWLock:
        self._lock._acquire(self._seconds, is_write=self._is_write)  # noqa: SLF001  -- its other half
        return self._lock

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock._release(is_write=self._is_write)  # noqa: SLF001  -- its other half

    async def __aenter__(self) -> RWLock:
        await self._lock._acquire_async(self._seconds, is_write=self._is_write)  # noqa: SLF001  -- its other half
        return self._lock

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._lock._release_async(is_write=self._is_write)  # noqa: SLF001  -- its other half
