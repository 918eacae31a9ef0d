"""What wakes the dispatcher: everything that happens to a run, as data."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Event


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """A worker sent an event."""

    worker: WorkerId
    event: Event


@dataclasses.dataclass(frozen=True, slots=True)
class Gone:
    """A worker's process has ended, and everything it sent was read."""

    worker: WorkerId
    exit: Exit


@dataclasses.dataclass(frozen=True, slots=True)
class NotBorn:
    """A process that was asked for was not started, because the run had begun to stop before its turn came."""

    worker: WorkerId


@dataclasses.dataclass(frozen=True, slots=True)
class TemplateGone:
    """The process that forks workers has ended: there will be no replacements."""

    exit: Exit


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A failure of this worker was reported, and nobody asked to stop because of it."""

    worker: WorkerId


@dataclasses.dataclass(frozen=True, slots=True)
class StopRequested:
    """Nothing more is to be started. What runs may finish."""


@dataclasses.dataclass(frozen=True, slots=True)
class InterruptRequested:
    """Ctrl-C or a termination signal: what runs is interrupted too."""


@dataclasses.dataclass(frozen=True, slots=True)
class Overdue:
    """A worker did not leave within the shutdown timeout."""

    worker: WorkerId


Notice: TypeAlias = Heard | Gone | NotBorn | TemplateGone | Judged | StopRequested | InterruptRequested | Overdue
