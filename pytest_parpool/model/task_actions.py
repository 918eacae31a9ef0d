"""What the dispatcher of tasks asks for. Somebody else makes it happen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

from pytest_parpool.model.actions import AwaitExit, Kill, Spawn, TakeBack
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.records import Record, record
from pytest_parpool.model.task_messages import Part


@record
class Give(Record):
    """Put tasks into a worker's hand. ``announced`` are those of them that it announces."""

    worker: WorkerId
    tasks: Sequence[int]
    announced: Collection[int]


@record
class Dismiss(Record):
    """Have a worker leave when it has done what it holds."""

    worker: WorkerId


@record
class Finish(Record):
    """Nobody will be born any more: what workers are born from may end with the last of them."""


@record
class TellDone(Record):
    """A task is over, and this is what the worker says came of it."""

    task: int
    parts: Sequence[Part]


@record
class TellCrashed(Record):
    """A task's worker died in it, for the last time it may. ``step`` is the call that it was in."""

    task: int
    exit: Exit
    worker: WorkerId
    step: int


@record
class TellTimedOut(Record):
    """A task took longer than it may, and its worker was killed."""

    task: int


@record
class TellCancelled(Record):
    """A task ends undone."""

    task: int


@record
class TellUnstartable(Record):
    """A task cannot be done, because nobody can be started to do it. See ``Broken`` for the words."""

    task: int
    what: str
    text: str


@record
class SetTimer(Record):
    """A task with a time limit was begun: say so when its time is up.

    Attributes:
        at: When it was begun.
        seconds: How long it may run.
    """

    worker: WorkerId
    task: int
    at: float
    seconds: float


TaskAction: TypeAlias = (
    Spawn
    | Give
    | Dismiss
    | Finish
    | TakeBack
    | Kill
    | AwaitExit
    | SetTimer
    | TellDone
    | TellCrashed
    | TellTimedOut
    | TellCancelled
    | TellUnstartable
)
