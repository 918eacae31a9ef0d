"""Shares with stealing: the engine of ``load``, ``worksteal`` and ``loadgroup``."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.policy.schedulers.slots import SlotScheduler
from pytest_parpool.policy.schedulers.units import Units


class StealingScheduler(SlotScheduler):
    """Gives each slot a contiguous share of the units, and a slot without work the second half of another's rest.

    A share is one stretch of units that nobody has begun: taking shortens it at its front, stealing at its end, and
    only an empty share receives anything. So shares stay single ranges, and stealing copies nothing.

    Requeued items lie in their slot's queue, in front of its share. Those that are a unit of their own are *loose*: a
    thief may have them, but only when no share is left, because the slot's replacement is about to take them. The
    rest of a begun unit of several items is never stolen.
    """

    def __init__(self, units: Units, workers: Sequence[WorkerId]) -> None:
        """Cut the row of units into one share for each worker, in their order."""
        super().__init__(sum(map(len, units.members)), workers)
        self._units = units
        self._shares = dict(zip(workers, units.shares(len(workers)), strict=True))
        self._unbegun = len(units.members)
        self._singles = frozenset(unit[0] for unit in units.members if len(unit) == 1)
        self._loose: set[ItemIndex] = set()

    def peek(self, worker: WorkerId) -> ItemIndex | None:
        """See `Scheduler.peek`. Steals when this slot has neither a queue nor a share."""
        if not self._queues[worker] and not self._shares[worker]:
            self._steal_for(worker)
        return super().peek(worker)

    def take(self, worker: WorkerId) -> ItemIndex:
        """See `Scheduler.take`."""
        item = super().take(worker)
        self._loose.discard(item)
        return item

    def requeue(self, items: tuple[ItemIndex, ...], worker: WorkerId) -> None:
        """See `Scheduler.requeue`."""
        super().requeue(items, worker)
        self._loose.update(self._singles.intersection(items))

    def is_exhausted(self, worker: WorkerId) -> bool:
        """See `Scheduler.is_exhausted`. What others have not begun could still be stolen."""
        return not self._queues[worker] and not self._unbegun and not self._loose

    def _peek_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        share = self._shares[worker]
        return self._units.members[share.start] if share else ()

    def _begin_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        unit = self._peek_unit(worker)
        self._shares[worker] = self._shares[worker][1:]
        self._unbegun -= 1
        return unit

    def _steal_for(self, thief: WorkerId) -> None:
        if self._unbegun:
            victim = max(self._shares, key=lambda worker: self._units.weight(self._shares[worker]))
            self._shares[victim], self._shares[thief] = self._units.halves(self._shares[victim])
        elif self._loose:
            self._steal_loose_for(thief)

    def _steal_loose_for(self, thief: WorkerId) -> None:
        """Move the second half of the loose items of the slot that has most of them, the only one included."""
        loose = {worker: [item for item in queue if item in self._loose] for worker, queue in self._queues.items()}
        victim = max(loose, key=lambda worker: len(loose[worker]))
        stolen = loose[victim][len(loose[victim]) // 2 :]
        moved = set(stolen)
        self._queues[victim] = deque(item for item in self._queues[victim] if item not in moved)
        self._queues[thief].extend(stolen)
