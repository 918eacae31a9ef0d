"""A worker slot: what is known of one, and what cannot be true of it."""

from __future__ import annotations

import collections

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.policy.lifecycle import RESUMED, WorkerState
from pytest_parpool.policy.slot import DispatchError, Slot


class WorkerSlot(Slot):
    """What is known of one slot and of the process that is in it.

    Attributes:
        held: Items that were sent to the worker and that it has not begun, in their order.
        running: The item it has begun and not finished, or None.
        last_item: The item it ran last, or None.
        given: How many items it was given, without those that were taken back.
        begun: How many of them it has begun.
        enough: Items in its hand above which topping up need not be thought of.
        is_overdue: Whether it is to be killed, because it took too long to leave.
        is_recycled: Whether it leaves because it has had its share of items.
        has_died: Whether the slot's last worker died, and was not replaced yet.
    """

    __slots__ = (
        "_resumes",
        "begun",
        "enough",
        "given",
        "has_died",
        "held",
        "is_overdue",
        "is_recycled",
        "last_item",
        "running",
    )

    def __init__(self, worker: WorkerId) -> None:
        super().__init__(worker)
        self._resumes = WorkerState.BUSY
        self.held: collections.deque[ItemIndex] = collections.deque()
        self.has_died = False
        self.forget_process()

    def forget_process(self) -> None:
        """Forget what was known of a process that has ended, except what it held."""
        self.running: ItemIndex | None = None
        self.last_item: ItemIndex | None = None
        self.given = self.begun = self.enough = 0
        self.is_overdue = self.is_recycled = False

    def begin(self, item: ItemIndex) -> None:
        """Note that the worker runs the first of the items it holds.

        Raises:
            DispatchError: If that is another one, or it has not finished the last one.
        """
        if not self.held or self.held[0] != item or self.running is not None:
            raise DispatchError(f"{self.id} began item {item}, but was given {list(self.held)[:3]}")
        self.held.popleft()
        self.begun += 1
        self.running = item

    def finish(self, item: ItemIndex) -> None:
        """Note that the worker is done with what it ran.

        Raises:
            DispatchError: If it ran something else.
        """
        if self.running != item:
            raise DispatchError(f"{self.id} finished item {item}, but was running {self.running}")
        self.running = None
        self.last_item = item

    def break_off(self) -> None:
        """Note that what the worker ran ended where it was; it goes on by itself to tear down and leave."""
        if self.running is not None:
            self.last_item, self.running = self.running, None

    def await_judgement(self) -> None:
        """Note that the worker stands still with a failed report, unless it is on its way out."""
        if self.state in RESUMED:
            self._resumes = self.state
            self.move(WorkerState.AWAITING)

    def resume(self) -> None:
        """Go back to what the worker was before it stood still with a failed report."""
        self.move(self._resumes)
