"""What the dispatcher asks for. Somebody else makes it happen."""

from __future__ import annotations

from typing import TypeAlias

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import Command
from pytest_parpool.model.records import Record, record


@record
class Spawn(Record):
    """Have a process born into this slot.

    Attributes:
        is_replacement: Whether the slot had one before.
    """

    worker: WorkerId
    is_replacement: bool


@record
class Send(Record):
    """Send a command."""

    worker: WorkerId
    command: Command


@record
class TakeBack(Record):
    """Take back what the worker holds and has not begun.

    Attributes:
        begun: How many of all items it was ever given it has begun, as far as is known.
    """

    worker: WorkerId
    begun: int


@record
class AwaitExit(Record):
    """From now on the worker has only to tear down and leave: start its shutdown timeout.

    Attributes:
        is_interrupted: Whether the short timeout after an interrupt holds.
    """

    worker: WorkerId
    is_interrupted: bool


@record
class Interrupt(Record):
    """Have KeyboardInterrupt raised in the worker."""

    worker: WorkerId


@record
class Kill(Record):
    """End the worker's process at once."""

    worker: WorkerId


@record
class ReportCrash(Record):
    """The worker died while it ran this item.

    Attributes:
        is_overdue: Whether we killed it because it did not leave in time.
    """

    worker: WorkerId
    item: ItemIndex
    exit: Exit
    is_overdue: bool


@record
class ReportLoss(Record):
    """The worker died while it ran no item.

    Attributes:
        last_item: The item it finished last, or None.
        is_failure: Whether it had been told to leave, so that teardowns are missing. One that dies while it is born, or
            between two items, is replaced, and nothing is missing.
        is_overdue: Whether we killed it because it did not leave in time.
    """

    worker: WorkerId
    last_item: ItemIndex | None
    exit: Exit
    is_failure: bool
    is_overdue: bool


@record
class ReportLimit(Record):
    """More workers died than ``--max-worker-restart`` allows; the run stops."""

    worker: WorkerId
    limit: int


Action: TypeAlias = Spawn | Send | TakeBack | AwaitExit | Interrupt | Kill | ReportCrash | ReportLoss | ReportLimit
