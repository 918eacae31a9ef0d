"""A condition: wait, with a lock let go, until somebody who has it notifies.

Theory of operation. Who waits takes a ticket first, while it still has the lock; so a notification that comes between
its letting go and its waiting is not lost. Who is interrupted, or cancelled, after it got its ticket gives it up, and
passes on the notification that it may have had.

A thread and a task do the same, in ``_wait``. It is a coroutine, which a thread runs itself: its steps block instead of
suspending it, so that it runs to its end at once.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, TypeVar

from pytest_parpool.errors import ParpoolError
from pytest_parpool.model.sync_requests import EnlistCondition, NotifyCondition, WaitCondition
from pytest_parpool.sync.condition_lock import AwaitedSteps, BlockingSteps, ConditionLock, Steps
from pytest_parpool.sync.errors import BrokenConditionError, BrokenObjectError, LockTimeoutError, NotHeldError
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.proxy import Proxy
from pytest_parpool.sync.system import System

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_T = TypeVar("_T")

_ALL = -1


class Condition(Proxy):
    """Like ``threading.Condition``, with a lock of its own that its holder may take again."""

    kind: ClassVar[str] = "condition"

    def __init__(self) -> None:
        super().__init__()
        self._lock = ConditionLock.of(self._party, self.name, claim=self._claim)

    def acquire(self, block: bool = True, timeout: float | None = None, *, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002  -- as in the standard library
        """Take its lock; see ``RLock.acquire``."""
        return self._lock.acquire(block, timeout, blocking=blocking)

    async def acquire_async(self, timeout: float | None = None) -> bool:
        """Take its lock in a task of an event loop; see ``RLock.acquire_async``."""
        return await self._lock.acquire_async(timeout)

    def release(self) -> None:
        """Release its lock; see ``RLock.release``."""
        self._lock.release()

    def locked(self) -> bool:
        """Whether anybody holds its lock at this moment."""
        return self._lock.locked()

    # --- Waiting ------------------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> bool:
        """Let the lock go, wait to be notified, or so many seconds, and take the lock again, whatever has come.

        Returns:
            Whether it was notified.

        Raises:
            NotHeldError: If this thread, or task, does not hold the lock; a RuntimeError.
            BrokenConditionError: If somebody has died with the lock, who might have notified; a RuntimeError.
            DeadlockError: If the lock can never be had again; it is not held then.
        """
        steps = BlockingSteps(self._party, self._lock)
        try:
            # In one line: if a handler raised before the coroutine is begun, Python would warn that it never was.
            self._wait(timeout, steps).send(None)
        except StopIteration as end:
            return bool(end.value)
        raise AssertionError("blocking steps were suspended")

    async def wait_async(self, timeout: float | None = None) -> bool:
        """Wait in a task of an event loop, whose other tasks go on meanwhile; otherwise as ``wait``.

        If the task is cancelled, it takes the lock again before it goes on, as in ``asyncio``.
        """
        return await self._wait(timeout, AwaitedSteps(self._party, self._lock))

    async def _wait(self, timeout: float | None, steps: Steps) -> bool:
        """Wait, as a thread or as a task."""
        hold = self._need_hold()
        seconds = None if timeout is None else max(0.0, timeout)
        depth = hold.depth
        try:
            is_notified = await self._wait_without(hold, seconds, steps)
        except GeneratorExit:  # The loop has gone, and nothing can be waited for any more.
            raise
        except BaseException:
            await steps.take_again(depth)
            raise
        try:
            await steps.take_again(depth)
        except BaseException:
            self._pass_on(is_notified=is_notified)
            raise
        return is_notified

    async def _wait_without(self, hold: Hold, seconds: float | None, steps: Steps) -> bool:
        """Let the lock go and wait."""
        is_used = False
        try:
            ticket = await steps.ask(EnlistCondition(self.name))
            await steps.let_go(hold)
            await steps.ask(WaitCondition(self.name, ticket, seconds))
            is_used = True
        except LockTimeoutError as error:
            is_used = True
            self._party.remember_timeout(error, seconds)
            return False
        except BrokenObjectError as error:
            is_used = True
            raise BrokenConditionError(str(error)) from None
        finally:
            if not is_used:
                self._give_up()
        return True

    def _give_up(self) -> None:
        """Have nobody notify a ticket that is not waited with; what it was notified of already is passed on."""
        try:
            # Which one that is may not be known, but who takes another one gives it back.
            ticket = self._party.ask(EnlistCondition(self.name))
            self._party.ask(WaitCondition(self.name, ticket, 0))
            self._party.ask(NotifyCondition(self.name, 1))
        except ParpoolError:  # It was not notified, as a rule; or there is nobody to be told.
            pass

    def _pass_on(self, *, is_notified: bool) -> None:
        """Let another one go on instead of this one, which does not; as ``asyncio`` does it."""
        if is_notified:
            self._party.ask(NotifyCondition(self.name, 1))

    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Wait until a function returns something true, which is called at first and after each notification.

        Returns:
            What it returned last; something false if so many seconds have passed.
        """
        deadline = None if timeout is None else System.monotonic() + timeout
        while not (result := predicate()):
            left = None if deadline is None else deadline - System.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result

    async def wait_for_async(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Wait in a task of an event loop, whose other tasks go on meanwhile; otherwise as ``wait_for``."""
        deadline = None if timeout is None else System.monotonic() + timeout
        while not (result := predicate()):
            left = None if deadline is None else deadline - System.monotonic()
            if left is not None and left <= 0:
                break
            await self.wait_async(left)
        return result

    # --- Notifying ----------------------------------------------------------------------------------------------------

    def notify(self, n: int = 1) -> None:
        """Wake so many of those who wait, the first that came; they go on when the lock is let go.

        Raises:
            NotHeldError: If this thread, or task, does not hold the lock; a RuntimeError.
        """
        self._need_hold()
        self._party.ask(NotifyCondition(self.name, max(0, n)))

    def notify_all(self) -> None:
        """Wake all who wait; otherwise as ``notify``."""
        self._need_hold()
        self._party.ask(NotifyCondition(self.name, _ALL))

    def _need_hold(self) -> Hold:
        hold = self._lock.own_hold()
        if hold is None:
            raise NotHeldError(f"{self._lock.shown} is not held by this thread; take it first: `with condition:`")
        return hold

    # --- With ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # ``wait`` may have failed to take it again; what it raised says why.
        if error is None or self._lock.own_hold() is not None:
            self._lock.release()

    async def __aenter__(self) -> bool:
        return await self._lock.acquire_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or self._lock.own_hold() is not None:
            await self._lock.__aexit__(kind, error, traceback)
