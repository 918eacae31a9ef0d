"""A lock: one at a time, in all processes and threads."""

from __future__ import annotations

from types import TracebackType
from typing import ClassVar

from pytest_parpool.sync.acquiring import wait_seconds
from pytest_parpool.sync.errors import LockTimeoutError
from pytest_parpool.sync.proxy import Acquirable

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


class Lock(Acquirable):
    """Like ``threading.Lock`` and ``multiprocessing.Lock``; not re-entrant.

    Whoever dies with it leaves it free, and the next one is warned.
    """

    kind: ClassVar[str] = "lock"
    # Put before the name: the locks of all kinds have one namespace at the broker.
    prefix: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self._lock_name = self.prefix + self.name
        if self._claim is not None:
            self._claim.names.add(self._lock_name)
        self._shown = self.shown

    def acquire(self, block: bool = True, timeout: float | None = None, *, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002  -- as in the standard library
        """Take it.

        Args:
            block: Whether to wait.
            timeout: Seconds; None or -1 to wait as long as it takes, other negative numbers not to wait.
            blocking: The same as ``block``, under the name that ``threading`` has for it.

        Returns:
            Whether it was taken. If not, a report of the test says who held it.

        Raises:
            DeadlockError: If it can never become free, because all who could release it wait themselves.
        """
        if block and blocking and timeout is None:
            return self._party.locks.acquire(self._lock_name, self._shown, None)
        seconds = wait_seconds(timeout, is_blocking=block and blocking)
        try:
            return self._party.locks.acquire(self._lock_name, self._shown, seconds)
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            return False

    async def acquire_async(self, timeout: float | None = None) -> bool:
        """Take it in a task of an event loop, whose other tasks go on meanwhile; otherwise as ``acquire``.

        If the task is cancelled, the lock was not taken.
        """
        seconds = wait_seconds(timeout, is_blocking=True)
        try:
            return await self._party.locks.acquire_async(self._lock_name, self._shown, seconds)
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            return False

    def release(self) -> None:
        """Let it go. Any thread of the process that took it may do this.

        Raises:
            NotHeldError: If nobody holds it; a RuntimeError and a ValueError.
        """
        self._party.locks.release(self._lock_name)

    def locked(self) -> bool:
        """Whether anybody holds it at this moment."""
        if self._party.locks.find(self._lock_name) is not None:
            return True
        try:
            self._party.locks.acquire(self._lock_name, self._shown, 0)
        except LockTimeoutError:
            return True
        self._party.locks.release(self._lock_name)
        return False

    def within(self, seconds: float) -> Within:
        """Return what ``with``, or ``async with``, takes within so many seconds, or raises ``LockTimeoutError``."""
        return Within(self, seconds)

    def _acquire_within(self, seconds: float) -> None:
        self._party.locks.acquire(self._lock_name, self._shown, seconds)

    async def _acquire_within_async(self, seconds: float) -> None:
        await self._party.locks.acquire_async(self._lock_name, self._shown, seconds)

    async def _release_async(self) -> None:
        await self._party.locks.release_async(self._lock_name)


class Within:
    """A lock, to be taken in time.

    Args:
        lock: Which.
        seconds: In what time.
    """

    def __init__(self, lock: Lock, seconds: float) -> None:
        self._lock = lock
        self._seconds = max(0.0, seconds)

    def __enter__(self) -> Lock:
        self._lock._acquire_within(self._seconds)  # noqa: SLF001  -- its other half
        return self._lock

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    async def __aenter__(self) -> Lock:
        await self._lock._acquire_within_async(self._seconds)  # noqa: SLF001  -- its other half
        return self._lock

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._lock._release_async()  # noqa: SLF001  -- its other half
