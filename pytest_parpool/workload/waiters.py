"""Has a test lend its slot while it waits in ``concurrent.futures.wait`` or ``as_completed``.

Both put an object into each future, whose event they wait for. They do so with the locks of all futures in their hands,
so that nobody has set that event, or waits for it, when it is replaced by one that lends.
"""

from __future__ import annotations

import threading
from typing import Any

from pytest_parpool.workload.shares import Share


class LendingEvent(threading.Event):
    """An event for which one waits with the slot of the test lent.

    Args:
        share: The pool's part in the CPU budget.
    """

    def __init__(self, share: Share) -> None:
        super().__init__()
        self._share = share

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or the time is over; return whether it is set."""
        with self._share.lending():
            return super().wait(timeout)


class LendingWaiters(list[Any]):
    """A future's waiters, each of which gets a ``LendingEvent``.

    Args:
        share: As above.
    """

    def __init__(self, share: Share) -> None:
        super().__init__()
        self._share = share

    def append(self, waiter: Any) -> None:
        """Take one in."""
        if not isinstance(waiter.event, LendingEvent):
            waiter.event = LendingEvent(self._share)
        super().append(waiter)
