"""An event: set or not, and who waits for it."""

from __future__ import annotations

from typing import ClassVar

from pytest_parpool.model.sync_requests import ClearEvent, IsEventSet, SetEvent, WaitEvent
from pytest_parpool.sync.errors import LockTimeoutError
from pytest_parpool.sync.proxy import Proxy

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


class Event(Proxy):
    """Like ``threading.Event``."""

    kind: ClassVar[str] = "event"

    def set(self) -> None:
        """Set it, and wake all who wait."""
        self._party.ask(SetEvent(self.name))

    def clear(self) -> None:
        """Clear it."""
        self._party.ask(ClearEvent(self.name))

    def is_set(self) -> bool:
        """Whether it is set."""
        return bool(self._party.ask(IsEventSet(self.name)))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or so many seconds; return whether it was. A negative number is like 0."""
        seconds = None if timeout is None else max(0.0, timeout)
        try:
            self._party.ask(WaitEvent(self.name, seconds))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            return False
        return True

    async def wait_async(self, timeout: float | None = None) -> bool:
        """Wait in a task of an event loop, whose other tasks go on meanwhile; otherwise as ``wait``."""
        seconds = None if timeout is None else max(0.0, timeout)
        try:
            await self._party.ask_async(WaitEvent(self.name, seconds))
        except LockTimeoutError as error:
            self._party.remember_timeout(error, seconds)
            return False
        return True
