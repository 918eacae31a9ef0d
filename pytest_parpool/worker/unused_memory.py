"""Gives memory back to the system that a worker's tests needed for a moment and need no more.

Python and the C library return only what is empty as a whole, and one small object that is left keeps a mebibyte. Most
of what is left is on Python's free lists, which nothing but a full collection empties, or in cycles that nobody has
collected yet. Full collections are seldom by themselves; but in a worker one is cheap, because all that is shared with
the controller is frozen (``garbage.py``). So there is one after a test that has left the process larger by some
mebibytes; docs/explanation/decisions/memory-of-workers.md says what that saves.

Nothing is looked at but two counters of the system's, and no more than a fiftieth of a worker's time is spent. It is
done while pytest catches what comes of a collection, warnings of files that were left open among it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pytest_parpool import garbage
from pytest_parpool.runtime import process_memory

if TYPE_CHECKING:
    from pytest_parpool.runtime.process_memory import ProcessMemory

# Below, looking for it costs more than it is worth.
_WORTHWHILE_BYTES = 2 * 2**20
_SHARE_OF_TIME = 0.02


class UnusedMemory:
    """Decides when it is time to give a worker's memory back.

    Args:
        memory: This process'.
        clock: Seconds that only go forward.
    """

    def __init__(self, memory: ProcessMemory, clock: Callable[[], float] = time.perf_counter) -> None:
        self._memory = memory
        self._clock = clock
        self._not_before = clock()
        self._touched_bytes = memory.touched_bytes()
        self._held_bytes = memory.held_bytes()  # after the last time

    def look(self) -> bool:
        """Give back what is unused, if that may be much; return whether it was done.

        To be called when an item is torn down.
        """
        touched = self._memory.touched_bytes()
        if touched - self._touched_bytes < _WORTHWHILE_BYTES:
            return False
        began = self._clock()
        if began < self._not_before or not gc.isenabled():
            return False
        self._touched_bytes = touched
        held = self._memory.held_bytes()
        self._held_bytes = min(self._held_bytes, held)
        if held - self._held_bytes < _WORTHWHILE_BYTES:
            return False
        self._memory.give_back()
        self._held_bytes = self._memory.held_bytes()
        self._touched_bytes = self._memory.touched_bytes()
        ended = self._clock()
        self._not_before = ended + (ended - began) / _SHARE_OF_TIME
        return True


def memory_to_give_back(config: pytest.Config) -> ProcessMemory | None:
    """Return a worker's memory, before or after its fork; None where the system does not tell, or a look is dear."""
    return process_memory.own_memory() if garbage.is_frozen(config) else None
