"""What requests of all kinds have in common: who asks, what users' values travel as, and how a request ends.

Also the requests that are about objects of all kinds.
"""

from __future__ import annotations

import enum
from typing import Any, TypeAlias

from pytest_parpool.model.records import Record, record

# ("plain", value) for a number, string, bytes, bool or None, which the broker can compare and add;
# ("pickle", bytes) for anything else, compared byte by byte.
Payload: TypeAlias = tuple[str, Any]


@record
class Origin(Record):
    """Who asks.

    Attributes:
        lane: The thread, or the task of an event loop, within the process: what can wait by itself.
        test: The node id of the test under way, with its phase, or what runs instead; empty if unknown.
        where: The user's line that asks, as ``path:line``.
    """

    lane: int
    test: str
    where: str

    def is_of(self, test: str) -> bool:
        """Whether this was under way, in whatever phase; ``test`` is a node id without one."""
        return self.test == test or self.test.startswith(f"{test} (")


class Status(enum.IntEnum):
    """How a request ended; in brackets, what the answer's value is.

    The refusals are exceptions on the other side; their value is a text of one or more lines.
    """

    DONE = 0  # (see the request)
    TIMED_OUT = 1  # (str: who holds what was waited for, in which test, where, since when)
    DEADLOCK = 2
    NOT_HELD = 3
    BROKEN = 4  # A barrier, condition or queue that lost somebody.
    MISMATCH = 5  # Opened before with other arguments.
    UNFIT = 6  # The value is not there, or cannot do that.


@record
class AwaitChange(Record):
    """Answer once anything was changed since ``seen``. Answer: the number of changes so far, to be given next time."""

    seen: int
    timeout: float | None


@record
class ForgetNames(Record):
    """Nobody will ever ask for these names again, of whatever kind of object: forget them. Has no answer.

    What somebody waits for, or still holds, stays.
    """

    names: tuple[str, ...]


CommonRequest: TypeAlias = AwaitChange | ForgetNames
