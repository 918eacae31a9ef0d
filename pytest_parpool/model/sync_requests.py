"""What a process that uses shared objects says to the broker, and what it gets back.

Every field is a plain value that ``marshal`` takes. A user's values travel as opaque ``Payload``: the broker never
unpickles anything.

Fields that many requests have:

* ``name``: the object's name. Each kind of object has names of its own.
* ``timeout``: seconds to wait, counted from the arrival of the request; None for as long as it takes, 0 for not at all.
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


# --- Locks (also those behind rlock, condition and value) ------------------------------------------------------------


@record
class OpenLock(Record):
    """Give me the lock's slot in the shared memory (int), or -1 if there is none left. Created on first use."""

    name: str


@record
class AcquireLock(Record):
    """Give me the lock; I found it taken, or marked. Answer: an ``Inherited`` text (str), empty as a rule."""

    name: str
    timeout: float | None


@record
class ReleaseLock(Record):
    """Take the lock back that you gave. Anyone may do this, as in ``threading``. Refused if nobody holds it."""

    name: str


@record
class LockLetGo(Record):
    """I had taken the lock by myself, have let it go, and saw the mark: somebody waits. Has no answer."""

    name: str


# --- Semaphores -------------------------------------------------------------------------------------------------------


@record
class AcquireSemaphore(Record):
    """Give me one of the semaphore's ``permits``. Answer as for ``AcquireLock``."""

    name: str
    permits: int
    timeout: float | None


@record
class ReleaseSemaphore(Record):
    """Take ``count`` back, as ``threading.Semaphore.release``: also more than were ever taken."""

    name: str
    permits: int
    count: int


@record
class ReturnPermits(Record):
    """A test is over: take back what this process still has of its permits; some may be released by others since.

    Answer: the user's lines that took them (tuple of str), the oldest first. None is no refusal.

    Attributes:
        test: Its node id, without a phase.
    """

    name: str
    permits: int
    test: str


# --- Reader-writer locks ----------------------------------------------------------------------------------------------


@record
class AcquireReadWrite(Record):
    """Give me the lock, for writing alone or for reading with others; first come, first served.

    Answer as for ``AcquireLock``; only who dies writing is told of.
    """

    name: str
    is_write: bool
    timeout: float | None


@record
class ReleaseReadWrite(Record):
    """Take it back. Refused if this process does not hold it in this way."""

    name: str
    is_write: bool


# --- Events -----------------------------------------------------------------------------------------------------------


@record
class SetEvent(Record):
    """Set it, and wake all who wait."""

    name: str


@record
class ClearEvent(Record):
    """Clear it."""

    name: str


@record
class IsEventSet(Record):
    """Is it set? Answer: bool."""

    name: str


@record
class WaitEvent(Record):
    """Answer once it is set."""

    name: str
    timeout: float | None


# --- Values -----------------------------------------------------------------------------------------------------------


@record
class OpenValue(Record):
    """There is a value of this name; it starts with ``initial`` if nobody has opened it before."""

    name: str
    initial: Payload


@record
class GetValue(Record):
    """What is it now? Answer: a payload. Refused, as all that follow, if it was never opened."""

    name: str


@record
class SetValue(Record):
    """Make it this."""

    name: str
    payload: Payload


@record
class AddToValue(Record):
    """Add a plain number (or string) to a plain one. Answer: the new payload. Refused if it cannot be added."""

    name: str
    amount: Payload


@record
class CompareAndSetValue(Record):
    """Make it ``new`` if it is ``expected``. Answer: bool."""

    name: str
    expected: Payload
    new: Payload


# --- Barriers ---------------------------------------------------------------------------------------------------------


@record
class WaitBarrier(Record):
    """Answer once ``parties`` wait. Answer: the place in which I came, 0 to ``parties - 1``."""

    name: str
    parties: int
    timeout: float | None


@record
class ResetBarrier(Record):
    """Break it for those who wait, and begin anew, as ``threading.Barrier.reset``."""

    name: str
    parties: int


@record
class AbortBarrier(Record):
    """Break it, until it is reset."""

    name: str
    parties: int


@record
class ReadBarrier(Record):
    """How is it? Answer: (number that wait, is_broken)."""

    name: str
    parties: int


# --- Queues -----------------------------------------------------------------------------------------------------------


@record
class PutOnQueue(Record):
    """Put it at the end; wait while there are ``maxsize`` (0: no limit)."""

    name: str
    maxsize: int
    payload: Payload
    timeout: float | None


@record
class GetFromQueue(Record):
    """Give me the first. Answer: a payload."""

    name: str
    maxsize: int
    timeout: float | None


@record
class ReadQueue(Record):
    """How is it? Answer: (size, unfinished tasks)."""

    name: str
    maxsize: int


@record
class TaskDone(Record):
    """One of what was got is done. Refused if there is none."""

    name: str
    maxsize: int


@record
class JoinQueue(Record):
    """Answer once all that was put is done."""

    name: str
    maxsize: int
    timeout: float | None


# --- Once -------------------------------------------------------------------------------------------------------------


@record
class BeginOnce(Record):
    """Shall I run it? Answer: ("run", None), ("done", payload) or ("failed", payload); waits while another runs it.

    If who runs it dies, the next one who waits runs it.
    """

    name: str
    timeout: float | None


@record
class EndOnce(Record):
    """I ran it, and here is what came out. Refused if I was not asked to."""

    name: str
    is_failure: bool
    payload: Payload


# --- Conditions -------------------------------------------------------------------------------------------------------


@record
class EnlistCondition(Record):
    """I am about to let the condition's lock go and wait. Answer: a ticket (int); from now on a notification counts."""

    name: str


@record
class WaitCondition(Record):
    """Answer once my ticket was notified."""

    name: str
    ticket: int
    timeout: float | None


@record
class NotifyCondition(Record):
    """Notify the first ``count`` tickets; all of them if negative. Answer: how many were notified."""

    name: str
    count: int


# --- Dictionaries -----------------------------------------------------------------------------------------------------


class DictVerb(enum.IntEnum):
    """What is done to a dictionary.

    Answers: GET ``(found, payload)``; SET None; DELETE bool; SET_DEFAULT and POP ``(found, payload)``; KEYS a tuple of
    keys; ITEMS a tuple of pairs; LENGTH int; CLEAR None; UPDATE None (``key`` is then a tuple of pairs); HAS bool.
    """

    GET = 0
    SET = 1
    DELETE = 2
    SET_DEFAULT = 3
    POP = 4
    KEYS = 5
    ITEMS = 6
    LENGTH = 7
    CLEAR = 8
    UPDATE = 9
    HAS = 10


@record
class AskDict(Record):
    """Do this to a dictionary. Keys are plain values, also tuples of them; values are payloads."""

    name: str
    verb: int
    key: Any
    payload: Payload | None


# --- Arrays -----------------------------------------------------------------------------------------------------------


@record
class OpenArray(Record):
    """Give me the array's memory. Answer: its number (int); a descriptor comes with it.

    Refused if it exists with another type or shape.

    Attributes:
        type_name: A typecode of ``struct``, or the string of a numpy dtype.
        shape: Its lengths.
        size_bytes: How large it is.
    """

    name: str
    type_name: str
    shape: tuple[int, ...]
    size_bytes: int


# --- Anything ---------------------------------------------------------------------------------------------------------


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


Request: TypeAlias = (
    OpenLock
    | AcquireLock
    | ReleaseLock
    | LockLetGo
    | AcquireSemaphore
    | ReleaseSemaphore
    | ReturnPermits
    | AcquireReadWrite
    | ReleaseReadWrite
    | SetEvent
    | ClearEvent
    | IsEventSet
    | WaitEvent
    | OpenValue
    | GetValue
    | SetValue
    | AddToValue
    | CompareAndSetValue
    | WaitBarrier
    | ResetBarrier
    | AbortBarrier
    | ReadBarrier
    | PutOnQueue
    | GetFromQueue
    | ReadQueue
    | TaskDone
    | JoinQueue
    | BeginOnce
    | EndOnce
    | EnlistCondition
    | WaitCondition
    | NotifyCondition
    | AskDict
    | OpenArray
    | AwaitChange
    | ForgetNames
)


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
