"""What wakes the dispatcher: everything that happens to a run, as data."""

from __future__ import annotations

from typing import TypeAlias

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Event
from pytest_parpool.model.records import Record, record


@record
class Heard(Record):
    """A worker sent an event."""

    worker: WorkerId
    event: Event


@record
class Gone(Record):
    """A worker's process has ended, and everything it sent was read."""

    worker: WorkerId
    exit: Exit


@record
class NotBorn(Record):
    """A process that was asked for was not started, because the run had begun to stop before its turn came."""

    worker: WorkerId


@record
class TemplateGone(Record):
    """The process that forks workers has ended: there will be no replacements."""

    exit: Exit


@record
class Judged(Record):
    """A failure of this worker was reported, and nobody asked to stop because of it."""

    worker: WorkerId


@record
class StopRequested(Record):
    """Nothing more is to be started. What runs may finish."""


@record
class InterruptRequested(Record):
    """Ctrl-C or a termination signal: what runs is interrupted too."""


@record
class Stalled(Record):
    """A worker has been running one item for long, while it holds others."""

    worker: WorkerId


@record
class TakenBack(Record):
    """Items were taken back from a worker.

    Attributes:
        kept: How many of all items it was ever given are its own.
    """

    worker: WorkerId
    kept: int


@record
class Overdue(Record):
    """A worker did not leave within the shutdown timeout."""

    worker: WorkerId


Notice: TypeAlias = (
    Heard | Gone | NotBorn | TemplateGone | Judged | StopRequested | InterruptRequested | Stalled | TakenBack | Overdue
)
