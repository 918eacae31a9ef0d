"""What is to be done when a time has come."""

from __future__ import annotations

import heapq
from collections.abc import Callable

MOST_CANCELLED = 64  # Entries kept for nothing before the heap is made anew; less is not worth it.


class Deadline:
    """One entry.

    Attributes:
        at: When.
        action: What is to be done then; None once it is cancelled, or done.
    """

    __slots__ = ("_order", "action", "at")

    def __init__(self, at: float, order: int, action: Callable[[], None]) -> None:
        self.at = at
        self._order = order
        self.action: Callable[[], None] | None = action

    def __lt__(self, other: Deadline) -> bool:
        return (self.at, self._order) < (other.at, other._order)


class Deadlines:
    """A heap of entries, the next one first; of those at the same time the one that was added first.

    A cancelled entry stays in the heap until its time comes, or until too many have gathered.
    """

    def __init__(self) -> None:
        self._heap: list[Deadline] = []
        self._cancelled = 0
        self._added = 0

    def add(self, at: float, action: Callable[[], None]) -> Deadline:
        """Have something done at a time."""
        self._added += 1
        deadline = Deadline(at, self._added, action)
        heapq.heappush(self._heap, deadline)
        return deadline

    def cancel(self, deadline: Deadline) -> None:
        """Do not do it; nothing happens if it was done."""
        if deadline.action is None:
            return
        # What the action knows, knows the entry: without this they would live on, were there no cycle collector.
        deadline.action = None
        self._cancelled += 1
        if self._cancelled > MOST_CANCELLED and self._cancelled > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry.action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next(self) -> float | None:
        """Return when something is to be done next, or None."""
        while self._heap and self._heap[0].action is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0].at if self._heap else None

    def run_due(self, now: float) -> None:
        """Do all whose time has come. What they add is done too, if its time has come."""
        while (at := self.next()) is not None and at <= now:
            deadline = heapq.heappop(self._heap)
            action, deadline.action = deadline.action, None
            assert action is not None
            action()
