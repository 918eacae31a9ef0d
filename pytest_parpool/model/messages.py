"""What a worker and its controller say to each other: one union per direction.

Every field is a plain value that ``marshal`` takes. Reports and warnings travel as opaque bytes: this layer does not
know what pytest puts into them.
"""

from __future__ import annotations

from typing import TypeAlias

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.records import Record, record

# --- Commands: controller to worker ---------------------------------------------------------------------------------


@record
class Begin(Record):
    """The first command: who you are.

    Attributes:
        identity: Marshalled values that the adapter on the other side understands (pytest: ``workerinput``).
    """

    identity: bytes


@record
class Run(Record):
    """Run these items, in this order, behind what you already hold."""

    items: tuple[ItemIndex, ...]


@record
class Wait(Record):
    """There is nothing for you now: tear down all below session scope, then wait for the next command."""


@record
class Drain(Record):
    """The run is over for you: forget what you hold and have not begun, tear everything down, leave."""


@record
class Proceed(Record):
    """The failed report was looked at, and the run goes on."""


@record
class Recalled(Record):
    """Of the items you were ever given, forget all behind the first ``kept``; somebody else runs them."""

    kept: int


@record
class BaseTemp(Record):
    """The run's base directory for temporary files.

    Attributes:
        path: Its path; empty if there is none.
    """

    path: str


@record
class Matched(Record):
    """What this worker has collected by itself was compared with what all others have.

    Attributes:
        refused: Items that not every worker knows, each with a text that says so. They fail instead of being run.
    """

    refused: tuple[tuple[ItemIndex, str], ...]


Command: TypeAlias = Begin | Run | Wait | Drain | Proceed | Recalled | BaseTemp | Matched

# --- Events: worker to controller -----------------------------------------------------------------------------------


@record
class Collected(Record):
    """A worker has collected by itself, and stands still until ``Matched`` comes.

    Attributes:
        missing: Items that it did not find.
        surplus: Node ids that only it has found: how many, and the first.
        errors: What went wrong, as pytest says it.
    """

    missing: tuple[ItemIndex, ...]
    surplus: tuple[int, str]
    errors: tuple[str, ...]


@record
class Ready(Record):
    """The worker is born and was given its identity.

    Attributes:
        pid: Its process id.
        output_fds: Numbers of its capture files (stdout, stderr) and of its faulthandler file, in its own table; -1
            where there is none. The controller opens them to read them after a death: see ``runtime.outputs``.
    """

    pid: int
    output_fds: tuple[int, int, int]


@record
class Started(Record):
    """The item begins. Sent before anything of it runs.

    Attributes:
        location: As ``pytest.Item.location``: file, line from 0, and name; here so that the controller need not look
            for it.
    """

    item: ItemIndex
    location: tuple[str, int | None, str]


@record
class Reported(Record):
    """One phase's report.

    Attributes:
        item: The item that was running.
        report: Marshalled ``pytest_report_to_serializable``.
        is_awaiting: Whether the worker stands still until ``Proceed`` or ``Drain`` (a failure under ``-x`` and the
            like).
    """

    item: ItemIndex
    report: bytes
    is_awaiting: bool


@record
class Finished(Record):
    """The item is over, its teardown included.

    Attributes:
        seconds: Wall time from ``Started`` to here, without what the worker waited for the controller.
    """

    item: ItemIndex
    seconds: float


@record
class Asked(Record):
    """The worker holds nothing more and stands still until ``Run``, ``Wait`` or ``Drain`` comes."""


@record
class Troubled(Record):
    """A phase of the item just raised; its report is being made.

    Sent only under a stop condition, so that no other worker begins a test while a long traceback is being formatted.
    """

    item: ItemIndex


@record
class BaseTempAsked(Record):
    """A test wants a temporary directory; the worker stands still until ``BaseTemp`` comes."""


@record
class WarningSeen(Record):
    """A warning was recorded. ``warning`` is the adapter's own encoding."""

    warning: bytes


@record
class StopAsked(Record):
    """Something in the worker set ``session.shouldstop`` or ``session.shouldfail``."""

    reason: str
    is_failure: bool


@record
class ExitAsked(Record):
    """``pytest.exit()`` was called in the worker."""

    reason: str
    returncode: int | None


@record
class Interrupted(Record):
    """KeyboardInterrupt reached the worker.

    Attributes:
        item: What was running, or None.
        where: File and line it hit, for the summary; may be empty.
    """

    item: ItemIndex | None
    where: str


@record
class Broken(Record):
    """The worker cannot go on through no fault of a test.

    Attributes:
        what: What failed, e.g. ``INTERNALERROR`` or ``worker initializer 'pkg:setup'``.
        text: The traceback.
    """

    what: str
    text: str


@record
class Draining(Record):
    """The worker has seen ``Drain`` and finished what it ran; what is left is tearing down."""


@record
class Left(Record):
    """The last event: everything is torn down.

    Attributes:
        output: Marshalled ``config.workeroutput``.
    """

    output: bytes


Event: TypeAlias = (
    Collected
    | Ready
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
    | BaseTempAsked
    | Draining
    | Left
)
