"""What a pool's owner and its workers say survives the way, in pieces or whole."""

from __future__ import annotations

import pytest

from pytest_parpool.model.messages import Broken, Ready, Recalled
from pytest_parpool.model.task_messages import (
    Assignment,
    Begun,
    Do,
    Done,
    Leave,
    Part,
    Spoiled,
    TaskCommand,
    TaskEvent,
)
from pytest_parpool.runtime.parts import Buffer, Frame, PartReader
from pytest_parpool.workload.task_codec import decode_command, decode_event, encode_command, encode_event

LARGE = b"x" * 20_000


def received(buffers: list[Buffer]) -> Frame:
    """Return the frame that comes out at the other end."""
    (frame,) = all_received(buffers)
    return frame


def all_received(buffers: list[Buffer]) -> list[Frame]:
    """Return the frames that come out at the other end."""
    reader = PartReader(1 << 16)
    for buffer in buffers:
        rest = bytes(buffer)
        while rest:
            space = reader.space()
            count = min(len(space), len(rest))
            space[:count] = rest[:count]
            reader.fill(count)
            rest = rest[count:]
    return reader.frames()


@pytest.mark.parametrize(
    "command",
    [
        Do([]),
        Do([Assignment(0, True, (b"a",)), Assignment(2**40, False, (b"",))]),
        Recalled(7),
        Leave(),
    ],
    ids=repr,
)
def test_commands(command: TaskCommand) -> None:
    """Small ones."""
    assert decode_command(*received(encode_command(command))) == command


@pytest.mark.parametrize(
    "event",
    [Done(3, 0.5, (b"a",)), Begun(3, 17.25), Ready(77, (-1, -1, 9)), Broken("initializer", "Traceback \ud800")],
    ids=["Done", "Begun", "Ready", "Broken"],
)
def test_events(event: TaskEvent) -> None:
    """Small ones, also those with a text that no other encoding would take."""
    assert decode_event(*received(encode_event(event))) == event


def test_large_parts_travel_apart() -> None:
    """Each finds its task again, and tasks behind a large one come when it has been read."""
    parts: list[list[Part]] = [
        [b"small"],
        [LARGE],
        [b"small"],
        [b"small"],
        [b"pickle", bytearray(LARGE), memoryview(b"view")],
    ]
    buffers = encode_command(Do([Assignment(place, False, entry) for place, entry in enumerate(parts)]))
    assert buffers[1] == LARGE
    commands = [decode_command(*frame) for frame in all_received(buffers)]
    hands = [command.tasks for command in commands if isinstance(command, Do)]
    assert [[entry.task for entry in hand] for hand in hands] == [[0, 1], [2, 3, 4]]
    assert [[bytes(part) for part in entry.parts] for hand in hands for entry in hand] == [
        [bytes(part) for part in entry] for entry in parts
    ]
    event = decode_event(*received(encode_event(Done(1, 0.0, parts[4]))))
    assert isinstance(event, Done)
    assert [bytes(part) for part in event.parts] == [bytes(part) for part in parts[4]]


def test_what_only_the_owner_notices_is_never_sent() -> None:
    """A worker cannot say that it spoke nonsense."""
    with pytest.raises(ValueError, match="never sent"):
        encode_event(Spoiled("nonsense"))
