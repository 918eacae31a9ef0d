"""Requests about what is taken and given back: locks, semaphores, reader-writer locks."""

from __future__ import annotations

from typing import TypeAlias

from pytest_parpool.model.records import Record, record

# --- Locks (also those behind rlock, condition and value) -------------------------------------------------------------


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


LockRequest: TypeAlias = (
    OpenLock
    | AcquireLock
    | ReleaseLock
    | LockLetGo
    | AcquireSemaphore
    | ReleaseSemaphore
    | ReturnPermits
    | AcquireReadWrite
    | ReleaseReadWrite
)
