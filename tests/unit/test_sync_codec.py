"""What travels between the broker and who uses it arrives as it was sent."""

from __future__ import annotations

import marshal
from typing import get_args

import pytest

from pytest_parpool.model import sync_requests as asked
from pytest_parpool.model.sync_moves import ConnectionId
from pytest_parpool.model.sync_requests import Origin, Request, Status
from pytest_parpool.runtime.sync_codec import (
    Abandon,
    Goodbye,
    Greeting,
    Hello,
    Opening,
    Reply,
    Silence,
    decode_greeting,
    decode_opening,
    decode_reply,
    decode_request,
    encode_greeting,
    encode_opening,
    encode_reply,
    encode_request,
)

NAME = "db \udce4 \U0001f600 \x00"
ORIGIN = Origin(2**62, "tests/test_a.py::test_x (call)", "tests/test_a.py:12")
PLAIN = ("plain", 2**100)
PICKLE = ("pickle", b"\x00\xff")

REQUESTS: list[Request] = [
    asked.OpenLock(NAME),
    asked.AcquireLock(NAME, None),
    asked.ReleaseLock(NAME),
    asked.LockLetGo(NAME),
    asked.AcquireSemaphore(NAME, 3, 0.25),
    asked.ReleaseSemaphore(NAME, 3, 2),
    asked.ReturnPermits(NAME, 3, NAME),
    asked.AcquireReadWrite(NAME, True, 1e-9),
    asked.ReleaseReadWrite(NAME, False),
    asked.SetEvent(NAME),
    asked.ClearEvent(NAME),
    asked.IsEventSet(NAME),
    asked.WaitEvent(NAME, 0),
    asked.OpenValue(NAME, PLAIN),
    asked.GetValue(NAME),
    asked.SetValue(NAME, ("plain", float("inf"))),
    asked.AddToValue(NAME, ("plain", NAME)),
    asked.CompareAndSetValue(NAME, ("plain", None), PICKLE),
    asked.WaitBarrier(NAME, 2, None),
    asked.ResetBarrier(NAME, 2),
    asked.AbortBarrier(NAME, 2),
    asked.ReadBarrier(NAME, 2),
    asked.PutOnQueue(NAME, 0, PICKLE, None),
    asked.GetFromQueue(NAME, 5, 1.5),
    asked.ReadQueue(NAME, 5),
    asked.TaskDone(NAME, 5),
    asked.JoinQueue(NAME, 5, None),
    asked.BeginOnce(NAME, None),
    asked.EndOnce(NAME, True, PICKLE),
    asked.EnlistCondition(NAME),
    asked.WaitCondition(NAME, 7, None),
    asked.NotifyCondition(NAME, -1),
    asked.AskDict(NAME, int(asked.DictVerb.UPDATE), ((("a", 1), PLAIN), (b"b", PICKLE)), None),
    asked.OpenArray(NAME, "<f8", (2, 3), 48),
    asked.AwaitChange(9, 0.05),
    asked.ForgetNames((NAME, "")),
]
OPENINGS: list[Opening] = [
    Hello("token", NAME, "1-ab", 1, True, ((ConnectionId(3), 4), (ConnectionId(5), 6))),
    Hello("", "", "", 0, False, (), False),
    Goodbye("token"),
    Silence("token", (), 0.5),
    Silence("token", (1, 2**22), 1e9),
]


def test_an_abandoned_request_travels_like_a_request() -> None:
    """What is said of another connection's request arrives, with its own number."""
    abandon = Abandon(ConnectionId(3), 17)
    assert decode_request(encode_request(5, ORIGIN, abandon)) == (5, ORIGIN, abandon)


def test_every_request_is_among_the_samples() -> None:
    """A request that is added to the union is tested here on arrival."""
    assert {type(request) for request in REQUESTS} == set(get_args(Request))
    assert {type(opening) for opening in OPENINGS} == set(get_args(Opening))


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_one_request(request_: Request) -> None:
    """Every request arrives equal, with its number and who asks, its fields of the same types."""
    arrived = decode_request(encode_request(5, ORIGIN, request_))
    assert arrived == (5, ORIGIN, request_)
    assert repr(arrived) == repr((5, ORIGIN, request_))


@pytest.mark.parametrize("opening", OPENINGS, ids=lambda opening: type(opening).__name__)
def test_one_opening(opening: Opening) -> None:
    """What opens a connection arrives equal."""
    assert repr(decode_opening(encode_opening(opening))) == repr(opening)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("value", [None, True, 5, NAME, PICKLE, (PLAIN, PICKLE), ("run", None)], ids=repr)
def test_one_reply(status: Status, value: object) -> None:
    """Every answer arrives equal, its status as a member."""
    arrived = decode_reply(encode_reply(5, status, value))
    assert repr(arrived) == repr(Reply(5, status, value))


def test_a_reply_says_whether_memory_comes_with_it() -> None:
    """So that who reads it looks for the descriptor."""
    assert decode_reply(encode_reply(1, Status.DONE, 2, has_memory=True)) == Reply(1, Status.DONE, 2, has_memory=True)


def test_one_greeting() -> None:
    """The greeting arrives equal."""
    greeting = Greeting(ConnectionId(7), "12-34")
    assert decode_greeting(encode_greeting(greeting)) == greeting


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        encode_request(1, ORIGIN, REQUESTS[0])[:-1],
        marshal.dumps(1),
        marshal.dumps(()),
        marshal.dumps((1, 999, 1, "", "")),
        marshal.dumps((1, 0, 1, "", "", "name", "one too many")),
    ],
    ids=["nothing", "no marshal", "cut off", "no tuple", "no message", "no kind", "too many"],
)
def test_what_was_not_encoded(data: bytes) -> None:
    """Bytes that are no frame of ours are refused, not guessed at."""
    for decode in (decode_request, decode_opening, decode_reply):
        with pytest.raises((ValueError, EOFError, TypeError, IndexError)):
            decode(data)


def test_what_does_not_travel() -> None:
    """A field that is no plain value is refused by the sender, where the stack says whose it is."""
    with pytest.raises(ValueError, match="unmarshallable"):
        encode_request(1, ORIGIN, asked.SetValue(NAME, ("plain", object())))
