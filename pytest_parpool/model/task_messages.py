"""What a workload pool's owner and one of its workers say to each other.

One union per direction. ``Ready``, ``Broken`` and ``Recalled`` mean what they mean for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from pytest_parpool.model.messages import Broken, Ready, Recalled
from pytest_parpool.model.records import Record, record

Part: TypeAlias = "bytes | bytearray | memoryview"
"""A piece of a payload: the first is a pickle, those behind it its buffers."""


@record
class Assignment(Record):
    """A task in a worker's hand.

    Attributes:
        task: Its number, unique in the pool.
        is_announced: Whether the worker says so when it begins it.
        parts: What is to be done.
    """

    task: int
    is_announced: bool
    parts: Sequence[Part]


# --- Commands: owner to worker ----------------------------------------------------------------------------------------


@record
class Do(Record):
    """Tasks to do, behind those that you hold. The first command may hold none: it says that you are wanted."""

    tasks: Sequence[Assignment]


@record
class Leave(Record):
    """Do what you hold, tear down, leave."""


TaskCommand: TypeAlias = Do | Recalled | Leave

# --- Events: worker to owner ------------------------------------------------------------------------------------------


@record
class Begun(Record):
    """A task that is to be announced begins. ``at`` is ``time.monotonic()``, which all processes share."""

    task: int
    at: float


@record
class Done(Record):
    """A task is over, and here is what came of it.

    Attributes:
        task: Its number.
        seconds: How long it took, with all that is done around it.
        parts: The outcome.
    """

    task: int
    seconds: float
    parts: Sequence[Part]


@record
class Spoiled(Record):
    """The connection is of no use any more: something came through it that was not written by a worker of ours.

    Made at the owner's end. ``why`` is what is wrong with it.
    """

    why: str


TaskEvent: TypeAlias = Ready | Broken | Begun | Done | Spoiled
