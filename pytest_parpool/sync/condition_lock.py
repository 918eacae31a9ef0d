"""The lock of a condition, and how who waits lets it go and has it again: a thread blocks, a task awaits."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from pytest_parpool.model.sync_requests import Request
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.party import Party
from pytest_parpool.sync.rlock import RLock

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


class ConditionLock(RLock):
    """The lock of a condition."""

    kind: ClassVar[str] = "the lock of condition"
    prefix: ClassVar[str] = "condition:"

    def own_hold(self) -> Hold | None:
        """Return this thread's, or task's, hold; None if it has none."""
        return self._own_hold()

    def let_go(self, hold: Hold) -> None:
        """Release it, however often it was taken."""
        hold.depth = 1
        self.release()

    async def let_go_async(self, hold: Hold) -> None:
        """Release it in a task; otherwise as ``let_go``."""
        hold.depth = 1
        await self._release_async()

    def restore_depth(self, depth: int) -> None:
        """Have it as often as before."""
        hold = self._own_hold()
        assert hold is not None
        hold.depth = depth


class Steps(abc.ABC):
    """The steps of a wait, which are the same for all; how each of them is done is not.

    Args:
        party: This process.
        lock: The condition's.
    """

    def __init__(self, party: Party, lock: ConditionLock) -> None:
        self._party = party
        self._lock = lock

    @abc.abstractmethod
    async def ask(self, request: Request) -> Any:
        """Ask the broker; see ``Connections.ask``."""

    @abc.abstractmethod
    async def let_go(self, hold: Hold) -> None:
        """Release the lock, however often it was taken."""

    @abc.abstractmethod
    async def take_again(self, depth: int) -> None:
        """Have the lock again, as often as before."""


class BlockingSteps(Steps):
    """A thread's: each is done at once, so that nobody who awaits them is ever suspended."""

    async def ask(self, request: Request) -> Any:
        """See ``Steps.ask``."""
        return self._party.ask(request)

    async def let_go(self, hold: Hold) -> None:
        """See ``Steps.let_go``."""
        self._lock.let_go(hold)

    async def take_again(self, depth: int) -> None:
        """See ``Steps.take_again``."""
        if self._lock.own_hold() is None:  # else it was interrupted before it was let go
            self._lock.acquire()
        self._lock.restore_depth(depth)


class AwaitedSteps(Steps):
    """A task's: the other tasks of its loop go on meanwhile."""

    async def ask(self, request: Request) -> Any:
        """See ``Steps.ask``."""
        return await self._party.ask_async(request)

    async def let_go(self, hold: Hold) -> None:
        """See ``Steps.let_go``."""
        await self._lock.let_go_async(hold)

    async def take_again(self, depth: int) -> None:
        """Take the lock, also if the task is cancelled meanwhile; that it was is told afterwards."""
        from asyncio import CancelledError

        cancelled: CancelledError | None = None
        while self._lock.own_hold() is None:
            try:
                await self._lock.acquire_async()
            except CancelledError as error:  # noqa: PERF203  -- once more, as often as it takes
                cancelled = error
        self._lock.restore_depth(depth)
        if cancelled is not None:
            raise cancelled
