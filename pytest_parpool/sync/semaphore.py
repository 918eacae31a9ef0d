"""A semaphore: a number of permits."""

from __future__ import annotations

import itertools
from types import TracebackType
from typing import Any, ClassVar

from pytest_parpool.model.sync_requests import AcquireSemaphore, ReleaseSemaphore
from pytest_parpool.sync.caller import find_line
from pytest_parpool.sync.errors import LockTimeoutError
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.locking import wait_seconds, warn_of_dead
from pytest_parpool.sync.party import Party
from pytest_parpool.sync.proxy import Proxy

_serial_numbers = itertools.count()


class Semaphore(Proxy):
    """Like ``threading.Semaphore``; whoever dies with permits gives them back, and the next one is warned.

    Args:
        party: This process.
        name: The semaphore's name.
        permits: How many may have it at a time.
    """

    kind: ClassVar[str] = "semaphore"

    def __init__(self, party: Party, name: str, permits: int) -> None:
        super().__init__(party, name)
        self.permits = permits

    def _arguments(self) -> tuple[Any, ...]:
        return self.name, self.permits

    def acquire(self, block: bool = True, timeout: float | None = None, *, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002  -- as in the standard library
        """Take a permit; arguments and result as those of ``Lock.acquire``.

        Raises:
            DeadlockError: If none can ever become free.
            MismatchError: If the semaphore was made with another number of permits.
        """
        party = self._party
        seconds = wait_seconds(timeout, is_blocking=block and blocking)
        key = (self.name, self.permits, next(_serial_numbers))
        where = find_line()
        hold = Hold(party.permits, key, self.shown, party.connections.lane(), party.connections.test, where)
        try:
            text = party.connections.ask(AcquireSemaphore(self.name, self.permits, seconds), hold, where)
            return not text or warn_of_dead(text)
        except LockTimeoutError as error:
            party.remember_timeout(error, seconds)
            return False
        except BaseException:
            if key in party.permits:  # It was granted; else ``ask`` has undone it.
                self.release()
            raise

    def release(self, n: int = 1) -> None:
        """Give permits back; as in ``threading``, also more than were ever taken.

        Raises:
            ValueError: If ``n`` is less than one.
        """
        if n < 1:
            raise ValueError("n must be one or more")
        party = self._party
        mine = [key for key in tuple(party.permits) if key[:2] == (self.name, self.permits)]
        party.ask(ReleaseSemaphore(self.name, self.permits, n))
        for key in mine[-n:]:
            party.permits.pop(key, None)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
