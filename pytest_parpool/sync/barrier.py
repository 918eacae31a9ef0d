"""A barrier: all go on when the last one has come."""

from __future__ import annotations

from typing import Any, ClassVar

from pytest_parpool.model.sync_requests import AbortBarrier, ReadBarrier, ResetBarrier, WaitBarrier
from pytest_parpool.sync.checks import check_count
from pytest_parpool.sync.errors import BrokenBarrierError, BrokenObjectError, LockTimeoutError
from pytest_parpool.sync.proxy import Proxy

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


class Barrier(Proxy):
    """Like ``threading.Barrier``; it also breaks when one who waits at it dies.

    Args:
        parties: How many have to come.

    Raises:
        ValueError: If that is no whole number from 1 on.
    """

    kind: ClassVar[str] = "barrier"

    def __init__(self, parties: int) -> None:
        self.parties = check_count("parties", parties, 1)
        super().__init__()

    def _arguments(self) -> tuple[Any, ...]:
        return (self.parties,)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the others; return in which place this one came, from 0 on.

        Raises:
            BrokenBarrierError: If it is broken, or breaks: after so many seconds, by ``abort`` or ``reset``, or because
                somebody who waited has died.
        """
        seconds = None if timeout is None else max(0.0, timeout)
        try:
            return int(self._party.ask(WaitBarrier(self.name, self.parties, seconds)))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            raise BrokenBarrierError(str(error)) from None
        except BrokenObjectError as error:
            raise BrokenBarrierError(str(error)) from None

    async def wait_async(self, timeout: float | None = None) -> int:
        """Wait in a task of an event loop, whose other tasks go on meanwhile; otherwise as ``wait``.

        A task that is cancelled before the others have come does not count.
        """
        seconds = None if timeout is None else max(0.0, timeout)
        try:
            return int(await self._party.ask_async(WaitBarrier(self.name, self.parties, seconds)))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            raise BrokenBarrierError(str(error)) from None
        except BrokenObjectError as error:
            raise BrokenBarrierError(str(error)) from None

    def reset(self) -> None:
        """Break it for those who wait, and begin anew."""
        self._party.ask(ResetBarrier(self.name, self.parties))

    def abort(self) -> None:
        """Break it, until it is reset."""
        self._party.ask(AbortBarrier(self.name, self.parties))

    @property
    def n_waiting(self) -> int:
        """How many wait now."""
        return int(self._party.ask(ReadBarrier(self.name, self.parties))[0])

    @property
    def broken(self) -> bool:
        """Whether it is broken."""
        return bool(self._party.ask(ReadBarrier(self.name, self.parties))[1])
