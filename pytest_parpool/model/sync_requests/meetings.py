"""Requests about what processes meet at: events, barriers, conditions, and what is run once."""

from __future__ import annotations

from typing import TypeAlias

from pytest_parpool.model.records import Record, record
from pytest_parpool.model.sync_requests.asking import Payload

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


MeetingRequest: TypeAlias = (
    SetEvent
    | ClearEvent
    | IsEventSet
    | WaitEvent
    | WaitBarrier
    | ResetBarrier
    | AbortBarrier
    | ReadBarrier
    | EnlistCondition
    | WaitCondition
    | NotifyCondition
    | BeginOnce
    | EndOnce
)
