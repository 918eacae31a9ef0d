"""What all processes share: the slots' marks and notes, and the kernel's locks."""

from __future__ import annotations

import dataclasses

from pytest_parpool.model.sync_moves import Holder

BROKER_PID = 1


@dataclasses.dataclass(slots=True)
class Slot:
    """One slot, and the byte that stands for it."""

    is_marked: bool = False
    note: Holder | None = None
    owner: int | None = None


class Kernel:
    """Record locks as ``fcntl(2)`` has them: they belong to a process, which may take what it has once more."""

    def __init__(self, slots: int) -> None:
        self.slots = [Slot() for _ in range(slots)]

    def try_take(self, slot: int, pid: int) -> bool:
        """Lock a byte, without waiting."""
        if self.slots[slot].owner not in {None, pid}:
            return False
        self.slots[slot].owner = pid
        return True

    def let_go(self, slot: int, pid: int) -> None:
        """Unlock a byte; nothing happens if somebody else has it."""
        if self.slots[slot].owner == pid:
            self.slots[slot].owner = None

    def end(self, pid: int) -> None:
        """Free all that a process had; its notes stay."""
        for slot in range(len(self.slots)):
            self.let_go(slot, pid)
