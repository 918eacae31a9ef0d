"""The hands: what a worker is given, and how much of it at once.

Work is handed out by need, but never waited for. A worker holds nothing behind an item of unknown or long duration, and
up to ``HAND_SECONDS`` of items expected to be short, topped up at half, so that it does not run dry. Where a failure
may stop the run, it holds nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.limits import Limits
from pytest_parpool.policy.worker_slot import WorkerSlot

if TYPE_CHECKING:
    from pytest_parpool.policy.schedulers.protocol import Scheduler

HAND_SECONDS = 0.05  # work a worker holds: some 100 times what one question and answer costs on two busy cores


class Hands:
    """Moves items between the scheduler and the slots' hands.

    Args:
        scheduler: Chooses items.
        slots: Those of the run.
        expected: Seconds an item is expected to take, or None if unknown.
        limits: Of the run.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        slots: Mapping[WorkerId, WorkerSlot],
        *,
        expected: Callable[[ItemIndex], float | None],
        limits: Limits,
    ) -> None:
        self._scheduler = scheduler
        self._slots = slots
        self._expected = expected
        self._most_held = limits.hand
        self._most_given = limits.tasks_per_child
        self._may_run_ahead = not limits.is_stop_watched

    # --- What is there -----------------------------------------------------------------------------------------------

    def has_work_for(self, slot: WorkerSlot) -> bool:
        """Whether the scheduler has something for a slot, or may yet have."""
        return not self._scheduler.is_exhausted(slot.id)

    def is_anything_held(self) -> bool:
        """Whether any worker holds an item that it has not begun, and that may still come back."""
        return any(slot.held for slot in self._slots.values())

    def not_begun(self) -> tuple[ItemIndex, ...]:
        """Return the items that nobody began, in plan order."""
        held = [item for slot in self._slots.values() for item in slot.held]
        return tuple(sorted([*self._scheduler.remaining(), *held]))

    def quiet_seconds(self) -> float:
        """Return for how long probably no worker will ask for anything, as each has enough in hand; 0 if one may."""
        supplies: list[float] = []
        for slot in self._slots.values():
            if slot.state is WorkerState.BUSY:
                seconds = self._supply(slot) if slot.held else None
                if seconds is None:
                    return 0.0
                supplies.append(seconds)
            elif slot.is_alive:
                return 0.0
        return min(supplies, default=0.0)

    def _supply(self, slot: WorkerSlot) -> float | None:
        """Return how long a worker will be busy with what it runs and holds, or None if nobody knows."""
        seconds = 0.0
        for item in slot.held if slot.running is None else (slot.running, *slot.held):
            expected = self._expected(item)
            if expected is None:
                return None
            seconds += expected
        return seconds

    # --- Giving ------------------------------------------------------------------------------------------------------

    def fill(self, slot: WorkerSlot) -> tuple[ItemIndex, ...]:
        """Give a worker that stands still an item to begin, and a hand behind it.

        Returns:
            What it was given. Empty if there is nothing for it, at least not now.
        """
        if self._scheduler.peek(slot.id) is None:
            return ()
        first = self._give(slot)
        slot.enough = 1  # That one is as good as begun.
        return (first, *self.top_up(slot))

    def top_up(self, slot: WorkerSlot) -> tuple[ItemIndex, ...]:
        """Put more items into a worker's hand, as far as they are expected to be short, and return them.

        An item of unknown or long duration may come into a hand, but only as the last one.
        """
        if not self._may_run_ahead or len(slot.held) > slot.enough:
            return ()
        seconds = self._supply(slot)
        hand: list[ItemIndex] = []
        while seconds is not None and seconds < HAND_SECONDS and not self.is_worn_out(slot):
            if self._most_held is not None and len(slot.held) >= self._most_held:
                break
            if self._scheduler.peek(slot.id) is None:
                break
            item = self._give(slot)
            hand.append(item)
            expected = self._expected(item)
            seconds = seconds + expected if expected is not None else None
        slot.enough = len(slot.held) // 2
        return tuple(hand)

    def _give(self, slot: WorkerSlot) -> ItemIndex:
        item = self._scheduler.take(slot.id)
        slot.held.append(item)
        slot.given += 1
        return item

    def is_worn_out(self, slot: WorkerSlot) -> bool:
        """Whether the worker has had its share of items, and is to be replaced."""
        return self._most_given is not None and slot.given >= self._most_given

    def wear_nobody_out(self) -> None:
        """From now on give a worker any number of items, because nobody can replace it."""
        self._most_given = None

    # --- Giving back -------------------------------------------------------------------------------------------------

    def take_back(self, slot: WorkerSlot, kept: int) -> None:
        """Give the scheduler back what a worker has lost from its hand.

        Args:
            slot: The worker's.
            kept: How many of all items it was given it keeps, those it has begun included.
        """
        taken: list[ItemIndex] = []
        while len(slot.held) > max(0, kept - slot.begun):
            taken.insert(0, slot.held.pop())
        slot.given -= len(taken)
        slot.enough = 0
        if taken:
            self._scheduler.requeue(tuple(taken), slot.id)

    def requeue(self, slot: WorkerSlot) -> None:
        """Give the scheduler back what a worker held that is gone."""
        if slot.held:
            self._scheduler.requeue(tuple(slot.held), slot.id)
            slot.held.clear()
