"""One thing that this process holds: what, and who took it."""

from __future__ import annotations

from typing import Any


class Hold:
    """A lock or permit in the hands of one of this process's threads.

    Made on every acquire, so it is as small as it can be.

    Args:
        table: Where it is entered while it lasts.
        key: Under which key.
        shown: What it is, for messages, as "lock 'db'".
        lane: The thread that took it.
        test: The test that was under way, with its phase.
        where: The user's line.
    """

    __slots__ = ("depth", "key", "lane", "shown", "table", "test", "where")

    def __init__(self, table: dict[Any, Hold], key: Any, shown: str, lane: int, test: str, where: str) -> None:
        self.table = table
        self.key = key
        self.shown = shown
        self.lane = lane
        self.test = test
        self.where = where
        self.depth = 1  # how many times a re-entrant lock was taken

    def enter(self) -> None:
        """Have it in the table."""
        self.table[self.key] = self

    def leave(self) -> None:
        """Have it out of the table, if it is this one that is there."""
        if self.table.get(self.key) is self:
            del self.table[self.key]

    def is_of(self, test: str) -> bool:
        """Whether this test took it, in whatever phase."""
        return self.test == test or self.test.startswith(f"{test} (")

    def __str__(self) -> str:
        return f"{self.shown}, taken at {self.where}"
