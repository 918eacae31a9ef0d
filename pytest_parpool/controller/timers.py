"""What is to happen when time passes: workers that do not leave, and items that run longer than was thought.

Pure but for what it is told: times are seconds of one clock, given by the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_parpool.model.ids import WorkerId

# How long an item may run before what its worker holds behind it is given to others: twice the longest hand.
STALL_SECONDS = 0.1


class Timers:
    """All times at which the run loop has to wake up by itself.

    Args:
        holds_more: Whether a worker holds items behind the one that it runs.
    """

    def __init__(self, holds_more: Callable[[WorkerId], bool]) -> None:
        self._holds_more = holds_more
        self._exits: dict[WorkerId, float] = {}
        self._stalls: dict[WorkerId, float] = {}

    def expect_exit(self, worker: WorkerId, at: float) -> None:
        """Note when a worker has to be gone; of two times the earlier one holds."""
        self._exits[worker] = min(at, self._exits.get(worker, at))

    def item_began(self, worker: WorkerId, now: float) -> None:
        """Note that a worker begins an item."""
        self._stalls[worker] = now + STALL_SECONDS

    def item_ended(self, worker: WorkerId) -> None:
        """Note that a worker runs no item."""
        self._stalls.pop(worker, None)

    def worker_gone(self, worker: WorkerId) -> None:
        """Forget a worker."""
        self._exits.pop(worker, None)
        self._stalls.pop(worker, None)

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds until something is due, 0 if it is already, or None if nothing will be."""
        times = [*self._exits.values(), *(at for worker, at in self._stalls.items() if self._holds_more(worker))]
        return max(0.0, min(times) - now) if times else None

    def take_overdue(self, now: float) -> list[WorkerId]:
        """Return the workers that ought to be gone, and forget that time of theirs."""
        return _take_due(self._exits, now)

    def take_stalled(self, now: float) -> list[WorkerId]:
        """Return the workers that run one item for long while they hold others; each is named once per item."""
        return [worker for worker in _take_due(self._stalls, now) if self._holds_more(worker)]


def _take_due(times: dict[WorkerId, float], now: float) -> list[WorkerId]:
    if not times:
        return []
    due = [worker for worker, at in times.items() if at <= now]
    for worker in due:
        del times[worker]
    return due
