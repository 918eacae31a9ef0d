"""What our schedulers share: a queue of begun work per worker slot, filled one work unit at a time."""

from __future__ import annotations

import abc
import collections
from collections.abc import Sequence

from pytest_parpool.model.ids import ItemIndex, WorkerId


class SlotScheduler(abc.ABC):
    """A `Scheduler` that hands out work units: items that one slot runs one behind the other.

    A slot's queue holds the rest of the unit that it has begun and what was requeued to it, next first. When the queue
    is empty the subclass says which unit comes now. A unit counts as begun once its first item is taken, not when it
    was only looked at, so that a worker that is still busy keeps nothing from an idle one.
    """

    def __init__(self, size: int, workers: Sequence[WorkerId]) -> None:
        """Take charge of items 0 to ``size - 1`` for these slots, of which there must be at least one."""
        self._size = size
        self._queues: dict[WorkerId, collections.deque[ItemIndex]] = {worker: collections.deque() for worker in workers}
        self._handed_out: set[ItemIndex] = set()

    @abc.abstractmethod
    def _peek_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        """Return the unit this slot would begin now, or an empty sequence. Changes nothing."""

    @abc.abstractmethod
    def _begin_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        """Give the unit that ``_peek_unit`` names to this slot for good. Called only when there is one."""

    def peek(self, worker: WorkerId) -> ItemIndex | None:
        """See `Scheduler.peek`."""
        queue = self._queues[worker]
        if queue:
            return queue[0]
        unit = self._peek_unit(worker)
        return unit[0] if unit else None

    def take(self, worker: WorkerId) -> ItemIndex:
        """See `Scheduler.take`."""
        item = self.peek(worker)
        if item is None:
            raise LookupError(f"there is no item for worker {worker!r} now; ask 'peek' before 'take'")
        queue = self._queues[worker]
        if not queue:
            queue.extend(self._begin_unit(worker))
        queue.popleft()
        self._handed_out.add(item)
        return item

    def requeue(self, items: tuple[ItemIndex, ...], worker: WorkerId) -> None:
        """See `Scheduler.requeue`. Nothing is changed when an item is refused."""
        returned = set(items)
        if len(returned) < len(items) or not returned <= self._handed_out:
            raise ValueError(
                f"items {items} came back from worker {worker!r}, but not all of them were handed out,"
                " or one is named twice; it would run twice"
            )
        self._handed_out -= returned
        self._queues[worker].extendleft(reversed(items))

    def is_exhausted(self, worker: WorkerId) -> bool:
        """See `Scheduler.is_exhausted`."""
        return not self._queues[worker] and not self._peek_unit(worker)

    def remaining(self) -> tuple[ItemIndex, ...]:
        """See `Scheduler.remaining`."""
        return tuple(ItemIndex(index) for index in range(self._size) if index not in self._handed_out)
