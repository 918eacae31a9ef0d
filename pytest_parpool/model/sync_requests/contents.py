"""Requests about what keeps something: values, queues, dictionaries, arrays."""

from __future__ import annotations

import enum
from typing import Any, TypeAlias

from pytest_parpool.model.records import Record, record
from pytest_parpool.model.sync_requests.asking import Payload

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


ContentRequest: TypeAlias = (
    OpenValue
    | GetValue
    | SetValue
    | AddToValue
    | CompareAndSetValue
    | PutOnQueue
    | GetFromQueue
    | ReadQueue
    | TaskDone
    | JoinQueue
    | AskDict
    | OpenArray
)
