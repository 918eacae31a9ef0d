"""The sheet: what each process of a run does with the CPU slots, in memory that all of them see.

A row for each worker slot, which only the process in it writes, so nobody waits for anybody. Its numbers are written
one by one: who reads may see one of them a moment before the next. The controller clears the row of a process that has
ended, before its replacement is born.

Loaded in every run with workers, so it is as small as can be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap

_BYTES_PER_NUMBER = 8
# What stands above the rows.
_SLOTS, _ROWS, _NUMBERS_ABOVE = range(3)
# In a row: whether there is a test, or about to be one; in how many waits for its own pools it is, one inside of the
# other; how many tasks these run, and how many they would run at once if they could.
_IS_BUSY, _LENDINGS, _RUNNING, _WANTED, _NUMBERS_PER_ROW = range(5)


class Sheet:
    """All rows.

    Args:
        memory: What ``make`` has returned, or the same memory in another process.

    Attributes:
        slots: How many CPU slots the run has.
        rows: How many rows there are.
    """

    def __init__(self, memory: bytearray | mmap.mmap) -> None:
        self._numbers = memoryview(memory).cast("q")
        self.slots = int(self._numbers[_SLOTS])
        self.rows = int(self._numbers[_ROWS])

    @classmethod
    def make(cls, memory: bytearray | mmap.mmap, slots: int, rows: int) -> Sheet:
        """Return a new sheet.

        Args:
            memory: As many bytes as ``size_bytes`` says, all zeros.
            slots: How many CPU slots the run has.
            rows: How many workers it has.
        """
        numbers = memoryview(memory).cast("q")
        numbers[_SLOTS], numbers[_ROWS] = slots, rows
        return cls(memory)

    @classmethod
    def alone(cls, slots: int) -> Sheet:
        """Return the sheet of a process that shares its slots with no other."""
        return cls.make(bytearray(size_bytes(1)), slots, 1)

    def read(self) -> list[tuple[bool, int, int]]:
        """Return of each row: whether it computes for a test, how many tasks it runs, and how many it would run."""
        numbers = self._numbers[_NUMBERS_ABOVE : _NUMBERS_ABOVE + self.rows * _NUMBERS_PER_ROW].tolist()
        columns = [numbers[column::_NUMBERS_PER_ROW] for column in (_IS_BUSY, _LENDINGS, _RUNNING, _WANTED)]
        return [
            # Who still waits, but has no task any more, has its result, and is about to go on.
            (is_busy > 0 and (lendings <= 0 or not (running or wanted)), running, wanted)
            for is_busy, lendings, running, wanted in zip(*columns, strict=True)
        ]

    def row(self, place: int) -> Row:
        """Return the row at a place."""
        first = _NUMBERS_ABOVE + place * _NUMBERS_PER_ROW
        return Row(self._numbers[first : first + _NUMBERS_PER_ROW])


class Row:
    """What one process does, for the one that writes it. All is 0 where there is none."""

    def __init__(self, numbers: memoryview) -> None:
        self._numbers = numbers

    def clear(self) -> None:
        """Note that there is nobody."""
        for column in range(_NUMBERS_PER_ROW):
            self._numbers[column] = 0

    def go_on(self) -> None:
        """Note that there is a test to run."""
        self._numbers[_IS_BUSY] = 1

    def rest(self) -> None:
        """Note that there is none, and so none that waits."""
        self._numbers[_IS_BUSY] = self._numbers[_LENDINGS] = 0

    def lend(self) -> None:
        """Note that the test waits for a pool of its own."""
        self._numbers[_LENDINGS] += 1

    def take_back(self) -> None:
        """Note that it does no more."""
        self._numbers[_LENDINGS] -= 1

    def note(self, running: int, wanted: int) -> None:
        """Note how many tasks the process's pools run, and how many they would run at once if they could."""
        # In this order: nobody should think that the slot of a task that is over is wanted by nobody.
        self._numbers[_WANTED] = wanted
        self._numbers[_RUNNING] = running


def size_bytes(rows: int) -> int:
    """Return how much memory a sheet takes."""
    return (_NUMBERS_ABOVE + rows * _NUMBERS_PER_ROW) * _BYTES_PER_NUMBER
