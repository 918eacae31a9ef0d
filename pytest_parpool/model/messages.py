"""What a worker and its controller say to each other: one union per direction.

Every field is a plain value that ``marshal`` takes. Reports and warnings travel as opaque bytes: this layer does not
know what pytest puts into them.
"""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from pytest_parpool.model.ids import ItemIndex

# --- Commands: controller to worker ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Begin:
    """The first command: who you are.

    Attributes:
        identity: Marshalled values that the adapter on the other side understands (pytest: ``workerinput``).
    """

    identity: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """Run these items, in this order, behind what you already hold."""

    items: tuple[ItemIndex, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """There is nothing for you now: tear down all below session scope, then wait for the next command."""


@dataclasses.dataclass(frozen=True, slots=True)
class Drain:
    """The run is over for you: forget what you hold and have not begun, tear everything down, leave."""


@dataclasses.dataclass(frozen=True, slots=True)
class Proceed:
    """The failed report was looked at, and the run goes on."""


Command: TypeAlias = Begin | Run | Wait | Drain | Proceed

# --- Events: worker to controller -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """The worker is born and was given its identity.

    Attributes:
        pid: Its process id.
        output_fds: Numbers of its capture files (stdout, stderr) and of its faulthandler file, in its own table; -1
            where there is none. The controller opens them through ``/proc/PID/fd`` to read them after a death.
    """

    pid: int
    output_fds: tuple[int, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Started:
    """The item begins. Sent before anything of it runs."""

    item: ItemIndex


@dataclasses.dataclass(frozen=True, slots=True)
class Reported:
    """One phase's report.

    Attributes:
        item: The item that was running.
        report: Marshalled ``pytest_report_to_serializable``.
        is_awaiting: Whether the worker stands still until ``Proceed`` or ``Drain`` (a failure under ``-x`` and the like).
    """

    item: ItemIndex
    report: bytes
    is_awaiting: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Finished:
    """The item is over, its teardown included.

    Attributes:
        seconds: Wall time from ``Started`` to here.
    """

    item: ItemIndex
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """The worker holds nothing more and stands still until ``Run``, ``Wait`` or ``Drain`` comes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Troubled:
    """A phase of the item just raised; its report is being made. Sent only under a stop condition, so that no other
    worker begins a test while a long traceback is being formatted."""

    item: ItemIndex


@dataclasses.dataclass(frozen=True, slots=True)
class WarningSeen:
    """A warning was recorded. ``warning`` is the adapter's own encoding."""

    warning: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class StopAsked:
    """Something in the worker set ``session.shouldstop`` or ``session.shouldfail``."""

    reason: str
    is_failure: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ExitAsked:
    """``pytest.exit()`` was called in the worker."""

    reason: str
    returncode: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Interrupted:
    """KeyboardInterrupt reached the worker.

    Attributes:
        item: What was running, or None.
        where: File and line it hit, for the summary; may be empty.
    """

    item: ItemIndex | None
    where: str


@dataclasses.dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot go on through no fault of a test.

    Attributes:
        what: What failed, e.g. ``INTERNALERROR`` or ``worker initializer 'pkg:setup'``.
        text: The traceback.
    """

    what: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Draining:
    """The worker has seen ``Drain`` and finished what it ran; what is left is tearing down."""


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """The last event: everything is torn down.

    Attributes:
        output: Marshalled ``config.workeroutput``.
    """

    output: bytes


Event: TypeAlias = (
    Ready
    | Started
    | Reported
    | Finished
    | Asked
    | Troubled
    | WarningSeen
    | StopAsked
    | ExitAsked
    | Interrupted
    | Broken
    | Draining
    | Left
)
