"""The memory that the broker shares with others: the slots of the locks, and the arrays."""

from __future__ import annotations

import mmap
import os
import sys

from pytest_parpool.model.sync_moves import Tried
from pytest_parpool.runtime.memory import array_name, make_memory, map_named
from pytest_parpool.runtime.slots import HAS_SLOTS, SLOTS, BrokerSlots


class BrokerMemory:
    """Owns the descriptors of all of it; on Windows, where it has none, the memory.

    Attributes:
        slot_count: How many slots there are.
        slots_fds: What leads to them, for who wants it.
    """

    def __init__(self) -> None:
        self._slots = BrokerSlots() if HAS_SLOTS else None
        self.slot_count = SLOTS if self._slots is not None else 0
        self.slots_fds = [self._slots.fd] if self._slots is not None else []
        self._arrays: dict[int, int] = {}
        self._named_arrays: dict[int, mmap.mmap] = {}

    def try_slot(self, slot: int) -> Tried:
        """Mark a slot, then try to take its lock."""
        slots = self._slots
        assert slots is not None
        slots.mark(slot)  # Before the attempt: see the theory of operation.
        is_taken = slots.try_take(slot)
        holder = slots.read_note(slot)
        if is_taken:
            slots.wipe(slot)
        return Tried(slot, is_taken, holder)

    def free_slot(self, slot: int) -> None:
        """Let everybody take a slot by themselves again."""
        assert self._slots is not None
        self._slots.unmark(slot)
        self._slots.let_go(slot)

    def mark_slots(self) -> None:
        """Mark all slots: from now on nobody takes one without asking."""
        if self._slots is not None:
            self._slots.mark_all()

    def open_array(self, broker: str, array: int, size_bytes: int) -> list[int]:
        """Return the descriptor of an array, which is made if it is not there; it stays this one's.

        Args:
            broker: The broker's name.
            array: The array's number.
            size_bytes: Its size.

        Returns:
            Nothing where memory has names: it is found by that, see ``memory.array_name``.

        Raises:
            OSError, OverflowError: If there can be no memory of this size.
        """
        if sys.platform == "win32":
            if array not in self._named_arrays:
                self._named_arrays[array] = map_named(array_name(broker, array), size_bytes)
            return []
        fd = self._arrays.get(array)
        if fd is None:
            fd = self._arrays[array] = make_memory(f"parpool-array-{array}", size_bytes)
        return [fd]

    def close_array(self, array: int) -> None:
        """Close the descriptor of an array, if it was made; who has mapped it goes on having it."""
        self._named_arrays.pop(array, None)
        if (fd := self._arrays.pop(array, None)) is not None:
            os.close(fd)
