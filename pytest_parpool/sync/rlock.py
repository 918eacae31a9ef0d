"""A lock that its holder may take again."""

from __future__ import annotations

from typing import ClassVar

from pytest_parpool.sync.errors import NotHeldError
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.lock import Lock

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


class RLock(Lock):
    """Like ``threading.RLock``: belongs to the thread that took it, which has to release it as often as it took it.

    Where an event loop runs, it belongs to the task that took it.
    """

    kind: ClassVar[str] = "rlock"
    prefix: ClassVar[str] = "rlock:"

    def acquire(self, block: bool = True, timeout: float | None = None, *, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002  -- as in the standard library
        """Take it, or take it once more; otherwise as ``Lock.acquire``."""
        if hold := self._own_hold():
            hold.depth += 1
            return True
        return super().acquire(block, timeout, blocking=blocking)

    async def acquire_async(self, timeout: float | None = None) -> bool:
        """Take it, or take it once more; otherwise as ``Lock.acquire_async``."""
        if hold := self._own_hold():
            hold.depth += 1
            return True
        return await super().acquire_async(timeout)

    def release(self) -> None:
        """Release it once.

        Raises:
            NotHeldError: If this thread, or task, does not hold it.
        """
        if not self._leave_once():
            super().release()

    async def _release_async(self) -> None:
        if not self._leave_once():
            await super()._release_async()

    def _leave_once(self) -> bool:
        """Count one level back, unless it is the last; return whether that was all."""
        hold = self._own_hold()
        if hold is None:
            raise NotHeldError(f"{self.shown} is not held by this thread, and so it cannot release it")
        if hold.depth == 1:
            return False
        hold.depth -= 1
        return True

    def _acquire_within(self, seconds: float) -> None:
        if hold := self._own_hold():
            hold.depth += 1
        else:
            super()._acquire_within(seconds)

    async def _acquire_within_async(self, seconds: float) -> None:
        if hold := self._own_hold():
            hold.depth += 1
        else:
            await super()._acquire_within_async(seconds)

    def _own_hold(self) -> Hold | None:
        hold = self._party.locks.find(self._lock_name)
        return hold if hold is not None and hold.lane == self._party.connections.lane() else None
