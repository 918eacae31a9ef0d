"""What the dispatcher asks for. Somebody else makes it happen."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import Command


@dataclasses.dataclass(frozen=True, slots=True)
class Spawn:
    """Have a process born into this slot.

    Attributes:
        is_replacement: Whether the slot had one before.
    """

    worker: WorkerId
    is_replacement: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Send:
    """Send a command."""

    worker: WorkerId
    command: Command


@dataclasses.dataclass(frozen=True, slots=True)
class AwaitExit:
    """From now on the worker has only to tear down and leave: start its shutdown timeout.

    Attributes:
        is_interrupted: Whether the short timeout after an interrupt holds.
    """

    worker: WorkerId
    is_interrupted: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Interrupt:
    """Have KeyboardInterrupt raised in the worker."""

    worker: WorkerId


@dataclasses.dataclass(frozen=True, slots=True)
class Kill:
    """End the worker's process at once."""

    worker: WorkerId


@dataclasses.dataclass(frozen=True, slots=True)
class ReportCrash:
    """The worker died while it ran this item.

    Attributes:
        is_overdue: Whether we killed it because it did not leave in time.
    """

    worker: WorkerId
    item: ItemIndex
    exit: Exit
    is_overdue: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ReportLoss:
    """The worker died while it ran no item.

    Attributes:
        last_item: The item it finished last, or None.
        is_failure: Whether it was tearing down, so that something of the run is missing.
        is_overdue: Whether we killed it because it did not leave in time.
    """

    worker: WorkerId
    last_item: ItemIndex | None
    exit: Exit
    is_failure: bool
    is_overdue: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ReportLimit:
    """More workers died than ``--max-worker-restart`` allows; the run stops."""

    worker: WorkerId
    limit: int


Action: TypeAlias = Spawn | Send | AwaitExit | Interrupt | Kill | ReportCrash | ReportLoss | ReportLimit
