"""What the broker is told (notices), and what it wants done (moves). The requests are in ``sync_requests``."""

from __future__ import annotations

from typing import Any, NewType, TypeAlias

from pytest_parpool.model.records import Record, record
from pytest_parpool.model.sync_requests import Origin, Request, Status

# One open connection: a thread's, or an event loop's. Never used twice.
ConnectionId = NewType("ConnectionId", int)
# One process that uses shared objects. Never used twice.
PartyId = NewType("PartyId", int)

# --- Notices: the process around the broker to the broker -------------------------------------------------------------


@record
class Joined(Record):
    """A connection was opened.

    Attributes:
        connection: It.
        party: The process at its other end; several connections may have the same.
        pid: That process's id, by which it is known in the notes of the locks it takes by itself.
        name: What the process is called in messages, as "gw1", or "process 123, started by gw1".
        is_blocking: Whether who asks on it does nothing else until the answer is there; an event loop does.
    """

    connection: ConnectionId
    party: PartyId
    pid: int
    name: str
    is_blocking: bool = True


@record
class Asked(Record):
    """A request came. One that may wait has one answer, later or now.

    Attributes:
        connection: Whence.
        number: The request's number; unique within its connection.
        origin: Who asks.
        request: What is asked.
    """

    connection: ConnectionId
    number: int
    origin: Origin
    request: Request


@record
class Abandoned(Record):
    """Whoever sent this request does not look at its answer any more (it was interrupted, or cancelled).

    If it still waits, it is forgotten. If it was granted, and is the last that the connection was granted, that is
    undone: a lock is free again, what was got from a queue is its first again.
    """

    connection: ConnectionId
    number: int


@record
class Parted(Record):
    """A connection was closed: what waits on it is forgotten. What its party holds, it goes on holding."""

    connection: ConnectionId


@record
class Died(Record):
    """A process has ended; how is for messages, as "was killed by SIGKILL", or "has ended"."""

    party: PartyId
    how: str


@record
class Holder(Record):
    """Who has taken a lock by itself, as it wrote into the lock's slot.

    Attributes:
        party_name: As in ``Joined``.
        pid: Its process id.
        origin: Who took it there.
        since: When, on the machine's monotonic clock, in seconds.
    """

    party_name: str
    pid: int
    origin: Origin
    since: float


@record
class Tried(Record):
    """What became of a ``Try``.

    Attributes:
        slot: Which lock.
        is_taken: Whether the broker has it now, and may give it away.
        holder: If not, who has it; None if that is not known (it was just taken, or just let go). If so, who died
            with it; None if nobody did.
    """

    slot: int
    is_taken: bool
    holder: Holder | None


@record
class Silent(Record):
    """The workers were silent for a while: perhaps nobody is left who could end their waits.

    Attributes:
        runners: The processes of all workers that are alive, by their ids.
        at: When that was so, on the machine's monotonic clock, in seconds.
    """

    runners: tuple[int, ...]
    at: float


@record
class Inspection(Record):
    """What the system says of a process.

    Attributes:
        pid: Its process id.
        threads: How many it has.
        children: The process ids of its children that are alive.
    """

    pid: int
    threads: int
    children: tuple[int, ...]


@record
class Inspected(Record):
    """What came of an ``Inspect``, without those processes of which nothing can be said for certain."""

    processes: tuple[Inspection, ...]


@record
class Passed(Record):
    """Time has passed: look at the deadlines."""


SyncNotice: TypeAlias = Joined | Asked | Abandoned | Parted | Died | Tried | Silent | Inspected | Passed

# --- Moves: the broker to the process around it -----------------------------------------------------------------------


@record
class Answer(Record):
    """Answer a request."""

    connection: ConnectionId
    number: int
    status: Status
    value: Any


@record
class AnswerWithMemory(Record):
    """Answer ``OpenArray``: with the descriptor of memory ``array``, which is made now if it is not there."""

    connection: ConnectionId
    number: int
    array: int
    size_bytes: int


@record
class CloseMemory(Record):
    """Close the broker's descriptor of memory ``array``, if it was made: nobody will ask for it any more."""

    array: int


@record
class Try(Record):
    """Mark the slot, so that whoever lets its lock go says so; then try to take the lock. ``Tried`` says what came."""

    slot: int


@record
class Free(Record):
    """Take the mark from the slot and let the lock go: nobody waits, whoever is next may take it by itself."""

    slot: int


@record
class Inspect(Record):
    """Find out whether these processes can do anything but wait. ``Inspected`` says what came of it, at once."""

    pids: tuple[int, ...]


Move: TypeAlias = Answer | AnswerWithMemory | CloseMemory | Try | Free | Inspect
