"""The memory that the broker shares with others: the slots of the locks, and the arrays."""

from __future__ import annotations

import os

from pytest_parpool.model.sync_moves import Tried
from pytest_parpool.runtime.memory import make_memory
from pytest_parpool.runtime.slots import BrokerSlots


class BrokerMemory:
    """Owns the descriptors of all of it.

    Attributes:
        slots: Those of the locks.
    """

    def __init__(self) -> None:
        self.slots = BrokerSlots()
        self._arrays: dict[int, int] = {}

    def try_slot(self, slot: int) -> Tried:
        """Mark a slot, then try to take its lock."""
        self.slots.mark(slot)  # Before the attempt: see the theory of operation.
        is_taken = self.slots.try_take(slot)
        holder = self.slots.read_note(slot)
        if is_taken:
            self.slots.wipe(slot)
        return Tried(slot, is_taken, holder)

    def open_array(self, array: int, size_bytes: int) -> int:
        """Return the descriptor of an array, which is made if it is not there; it stays this one's.

        Raises:
            OSError, OverflowError: If there can be no memory of this size.
        """
        fd = self._arrays.get(array)
        if fd is None:
            fd = self._arrays[array] = make_memory(f"parpool-array-{array}", size_bytes)
        return fd

    def close_array(self, array: int) -> None:
        """Close the descriptor of an array, if it was made; who has mapped it goes on having it."""
        if (fd := self._arrays.pop(array, None)) is not None:
            os.close(fd)
