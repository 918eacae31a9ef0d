"""Lets the controller take back items that a worker holds and has not begun, while the worker is busy with another.

A worker's hand is filled by guesses. When a guess was wrong, and a test takes minutes, what lies behind it must not
wait: but the worker is inside of that test, and reads no messages.

So each worker shares two numbers with the controller, in memory that both see (a third one is for news only):

* ``claimed``, written by the worker only: how many items of its list are begun, or decided to be the next one;
* ``limit``, how many it may claim. The controller lowers it to take items back; the worker raises it again, once it has
  read the message that says which items are gone.

Theory of operation. The worker writes ``claimed`` and then reads ``limit``; the controller writes ``limit`` and then
reads ``claimed``. Whichever comes second sees what the other has written, so an item is never both claimed and taken
back: Dekker's rule. A processor may let a read overtake a write; so the controller, which does this seldom, waits a
millisecond between the two: a write of the worker's that its read has overtaken is in memory by then. What the worker
finds closed may still turn out to be its own: the message says how many items it keeps. The controller does not raise
``limit``, because it cannot know whether the worker has looked at it.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Sequence

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.memory import make_memory, map_memory, map_named

_UNLIMITED = 2**62
_NUMBERS_PER_PAGE = 3
_BYTES_PER_NUMBER = 8
_CLAIMED, _LIMIT, _STEP = range(_NUMBERS_PER_PAGE)
# Ten thousand times what a write takes to reach the memory that both see.
_SETTLE_SECONDS = 0.001


class Page:
    """One worker's two numbers, and a third one that tells where it is inside of an item."""

    def __init__(self, numbers: memoryview) -> None:
        self._numbers = numbers
        self._kept = 0

    @classmethod
    def private(cls) -> Page:
        """Return a page that nobody else sees: nothing is ever taken back."""
        page = cls(memoryview(bytearray(_NUMBERS_PER_PAGE * _BYTES_PER_NUMBER)).cast("q"))
        page.reset()
        return page

    @classmethod
    def mapped(cls, memory: mmap.mmap, place: int) -> Page:
        """Return the page at a ``place`` of a ledger that was shared."""
        return cls(_page(memoryview(memory).cast("q"), place))

    def reset(self) -> None:
        """Begin anew, before a worker is born."""
        self._numbers[_CLAIMED] = 0
        self._numbers[_LIMIT] = _UNLIMITED
        self._numbers[_STEP] = 0

    # --- The worker's side -------------------------------------------------------------------------------------------

    def claim(self, count: int) -> None:
        """Say that the first ``count`` items are begun or decided; then ask ``is_open``."""
        self._numbers[_CLAIMED] = count

    def is_open(self, count: int) -> bool:
        """Whether the first ``count`` items are this worker's. If not, the message that says so is under way."""
        return bool(count <= self._numbers[_LIMIT])

    def reopen(self) -> None:
        """Say that the message was read."""
        self._numbers[_LIMIT] = _UNLIMITED

    @property
    def step(self) -> memoryview:
        """A number that the worker may write at any time, to say where it is inside of an item; nothing follows."""
        return self._numbers[_STEP:]

    # --- The controller's side ---------------------------------------------------------------------------------------

    @property
    def claimed(self) -> int:
        """How many items the worker has begun or decided to be next; exact once it is dead."""
        claimed = int(self._numbers[_CLAIMED])
        # What it has found closed is not its own, whatever it was given behind that.
        return claimed if self._numbers[_LIMIT] == _UNLIMITED else min(claimed, self._kept)

    def take_back(self, count: int) -> int | None:
        """Take back all items behind the first ``count``, but for those the worker has claimed meanwhile.

        Returns:
            How many items the worker keeps, at least ``count``; it has to be told. None if it has not yet read what was
            taken back the last time: then nothing was done.
        """
        if self._numbers[_LIMIT] != _UNLIMITED:
            return None
        self._numbers[_LIMIT] = count
        time.sleep(_SETTLE_SECONDS)
        self._kept = max(count, int(self._numbers[_CLAIMED]))
        return self._kept


class Ledger:
    """The pages of all slots, in memory that is shared across forks. Made before the first fork.

    Args:
        workers: The slots.

    Attributes:
        size_bytes: Of all pages.
    """

    def __init__(self, workers: Sequence[WorkerId]) -> None:
        self._places = {worker: place for place, worker in enumerate(workers)}
        self.size_bytes = max(1, len(workers)) * _NUMBERS_PER_PAGE * _BYTES_PER_NUMBER
        self._fd = -1
        # Anonymous: there is no descriptor that a test could close, and nothing is left anywhere.
        self._map(mmap.mmap(-1, self.size_bytes))

    def _map(self, memory: mmap.mmap) -> None:
        self._memory = memory
        numbers = memoryview(memory).cast("q")
        self._pages = {worker: Page(_page(numbers, place)) for worker, place in self._places.items()}

    def share(self) -> int:
        """Use memory that a process can map that is no copy of this one, before anybody has used a page.

        Returns:
            Its descriptor, which is ours to close.
        """
        self._fd = make_memory("parpool-ledger", self.size_bytes)
        self._map(map_memory(self._fd))
        return self._fd

    def share_as(self, name: str) -> None:
        """As ``share``, where memory has names and no descriptors: on Windows."""
        self._map(map_named(name, self.size_bytes))

    def close(self) -> None:
        """Close the descriptor, if there is one. What is on the pages stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            # Before Python 3.13 what is mapped keeps another one.
            copy = mmap.mmap(-1, self.size_bytes)
            copy[:] = self._memory[:]
            self._map(copy)

    def place(self, worker: WorkerId) -> int:
        """Return where a worker's page is, for ``Page.mapped``."""
        return self._places[worker]

    def page(self, worker: WorkerId) -> Page:
        """Return one worker's page."""
        return self._pages[worker]


def _page(numbers: memoryview, place: int) -> memoryview:
    return numbers[place * _NUMBERS_PER_PAGE : (place + 1) * _NUMBERS_PER_PAGE]
