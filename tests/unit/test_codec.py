"""Messages arrive as they were sent."""

from __future__ import annotations

import marshal
from typing import get_args

import pytest

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import (
    Asked,
    BaseTemp,
    BaseTempAsked,
    Begin,
    Broken,
    Collected,
    Command,
    Drain,
    Draining,
    Event,
    ExitAsked,
    Finished,
    Interrupted,
    Left,
    Matched,
    Proceed,
    Ready,
    Recalled,
    Reported,
    Run,
    Started,
    StopAsked,
    Troubled,
    Wait,
    WarningSeen,
)
from pytest_parpool.runtime.codec import decode_commands, decode_events, encode

ITEM = ItemIndex(70_000)
LONE_SURROGATE = "\udce4 \U0001f600 \x00"

COMMANDS: list[Command] = [
    Begin(b"\x00\xff"),
    Run(()),
    Run((ItemIndex(0), ITEM)),
    Wait(),
    Drain(),
    Proceed(),
    Recalled(3),
    BaseTemp("/tmp/" + LONE_SURROGATE),
    Matched(((ItemIndex(3), "not there"),)),
]
EVENTS: list[Event] = [
    Ready(2**31, (3, -1, -1)),
    Started(ITEM, ("test_a.py", None, "test_" + LONE_SURROGATE)),
    Reported(ITEM, b"\x00" * 100_000, is_awaiting=True),
    Finished(ITEM, 1e-7),
    Finished(ITEM, float("inf")),
    Asked(),
    Troubled(ITEM),
    WarningSeen(b""),
    StopAsked(LONE_SURROGATE, is_failure=False),
    ExitAsked("", None),
    ExitAsked("", -1),
    Interrupted(None, ""),
    Interrupted(ITEM, "test_a.py:1"),
    Broken("INTERNALERROR", LONE_SURROGATE),
    BaseTempAsked(),
    Collected((ItemIndex(3),), (1, "test_a.py::test_own"), ("SyntaxError",)),
    Draining(),
    Left(b"\xff"),
]


def test_every_message_is_among_the_samples() -> None:
    """A message that is added to a union is tested here on arrival."""
    assert {type(command) for command in COMMANDS} == set(get_args(Command))
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_one_command(command: Command) -> None:
    """Every command arrives equal, its fields of the same types."""
    (arrived,) = decode_commands(encode([command]))
    assert arrived == command
    assert repr(arrived) == repr(command)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_one_event(event: Event) -> None:
    """Every event arrives equal, its fields of the same types."""
    (arrived,) = decode_events(encode([event]))
    assert arrived == event
    assert repr(arrived) == repr(event)


def test_many_messages_in_one_frame() -> None:
    """A frame holds any number of messages, in their order."""
    assert decode_commands(encode(COMMANDS)) == COMMANDS
    assert decode_events(encode(iter(EVENTS))) == EVENTS
    assert decode_events(encode([])) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", encode(EVENTS)[:-1], marshal.dumps(1), marshal.dumps([()]), marshal.dumps([(99,)])],
    ids=["nothing", "no marshal", "cut off", "no list", "no message", "no kind"],
)
def test_what_was_not_encoded(data: bytes) -> None:
    """Bytes that are no frame of ours are refused, not guessed at."""
    with pytest.raises((ValueError, EOFError, TypeError, IndexError)):
        decode_events(data)
    with pytest.raises((ValueError, EOFError, TypeError, IndexError)):
        decode_commands(data)


def test_what_does_not_travel() -> None:
    """A field that is no plain value is refused by the sender, where the stack says whose it is."""
    with pytest.raises(ValueError, match="unmarshallable"):
        encode([StopAsked(object(), is_failure=True)])  # type: ignore[arg-type]
