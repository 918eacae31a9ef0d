"""A semaphore: a number of permits."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

from pytest_parpool.model.sync_requests import AcquireSemaphore, ReleaseSemaphore
from pytest_parpool.sync.acquiring import wait_seconds, warn_of_dead
from pytest_parpool.sync.caller import find_line
from pytest_parpool.sync.checks import check_count
from pytest_parpool.sync.errors import LockTimeoutError
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.proxy import Acquirable

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_serial_numbers = itertools.count()


class Semaphore(Acquirable):
    """Like ``threading.Semaphore``; whoever dies with permits gives them back, and the next one is warned.

    Args:
        value: How many may have it at a time.

    Attributes:
        permits: As given.

    Raises:
        ValueError: If that is no whole number, or a negative one.
    """

    kind: ClassVar[str] = "semaphore"

    def __init__(self, value: int = 1) -> None:
        self.permits = check_count("value", value, 0)
        super().__init__()

    def _arguments(self) -> tuple[Any, ...]:
        return (self.permits,)

    def acquire(self, block: bool = True, timeout: float | None = None, *, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002  -- as in the standard library
        """Take a permit; arguments and result as those of ``Lock.acquire``.

        Raises:
            DeadlockError: If none can ever become free.
            MismatchError: If the semaphore was made with another number of permits.
        """
        party = self._party
        seconds = wait_seconds(timeout, is_blocking=block and blocking)
        hold = self._new_hold()
        try:
            text = party.connections.ask(AcquireSemaphore(self.name, self.permits, seconds), hold)
            return not text or warn_of_dead(text)
        except LockTimeoutError as error:
            party.remember_timeout(error, seconds)
            return False
        except BaseException:
            if hold.key in party.permits:  # It was granted; else ``ask`` has undone it.
                self.release()
            raise

    async def acquire_async(self, timeout: float | None = None) -> bool:
        """Take a permit in a task of an event loop, whose other tasks go on meanwhile; otherwise as ``acquire``.

        If the task is cancelled, none was taken.
        """
        party = self._party
        seconds = wait_seconds(timeout, is_blocking=True)
        hold = self._new_hold()
        try:
            text = await party.connections.ask_async(AcquireSemaphore(self.name, self.permits, seconds), hold)
            return not text or warn_of_dead(text)
        except LockTimeoutError as error:
            party.remember_timeout(error, seconds)
            return False
        except BaseException:
            if hold.key in party.permits:  # As in ``acquire``.
                self.release()
            raise

    def _new_hold(self) -> Hold:
        connections = self._party.connections
        key = (self.name, self.permits, next(_serial_numbers))
        return Hold(self._party.permits, key, self.shown, connections.lane(), connections.test, find_line())

    def release(self, n: int = 1) -> None:
        """Give permits back; as in ``threading``, also more than were ever taken.

        Raises:
            ValueError: If ``n`` is less than one.
        """
        if n < 1:
            raise ValueError("n must be one or more")
        party = self._party
        mine = self._held_keys()
        party.ask(ReleaseSemaphore(self.name, self.permits, n))
        for key in mine[-n:]:
            party.permits.pop(key, None)

    async def _release_async(self) -> None:
        # Also if the task is cancelled meanwhile: it was said by then.
        for key in self._held_keys()[-1:]:
            self._party.permits.pop(key, None)
        await self._party.connections.ask_async(ReleaseSemaphore(self.name, self.permits, 1))

    def _held_keys(self) -> list[tuple[str, int, int]]:
        return [key for key in tuple(self._party.permits) if key[:2] == (self.name, self.permits)]
