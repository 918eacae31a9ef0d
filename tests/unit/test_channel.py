"""The controller's end of the connection never waits, and loses nothing that a worker managed to send."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import Asked, Begin, Command, Event, Finished, Troubled, Wait, WarningSeen
from pytest_parpool.runtime.channel import Channel
from pytest_parpool.runtime.codec import decode_commands, encode
from pytest_parpool.runtime.framing import FrameReader, frame

DEADLINE_SECONDS = 60.0  # for what takes milliseconds


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the worker's end of its socket."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(DEADLINE_SECONDS)
    channel = Channel(ours)
    with theirs:
        yield channel, theirs
    channel.close()


def say(sock: socket.socket, *events: Event) -> None:
    """Send events as a worker does."""
    sock.sendall(frame(encode(events)))


def receive_until_ended(channel: Channel) -> list[Event]:
    """Return all events until the stream's end."""
    events: list[Event] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not channel.is_ended:
        assert time.monotonic() < deadline, "the end was not seen"
        events += channel.receive()
    return events


def test_events_come_in_order(ends: tuple[Channel, socket.socket]) -> None:
    """Several events of one frame, and several frames, keep their order."""
    channel, worker = ends
    first: list[Event] = [Troubled(ItemIndex(0)), Finished(ItemIndex(0), 0.25)]
    say(worker, *first)
    say(worker, Asked())
    assert channel.receive() == [*first, Asked()]
    assert not channel.is_ended


def test_with_nothing_to_read_nothing_is_waited_for(ends: tuple[Channel, socket.socket]) -> None:
    """A silent worker, and one that stopped in the middle of a frame, hold nobody up."""
    channel, worker = ends
    assert channel.receive() == []
    data = frame(encode([Asked()]))
    for position in range(len(data) - 1):
        worker.sendall(data[position : position + 1])
        assert channel.receive() == []
    worker.sendall(data[-1:])
    assert channel.receive() == [Asked()]


def test_the_end_is_told_apart_from_silence(ends: tuple[Channel, socket.socket]) -> None:
    """At end-of-file what came before is there, and ``is_ended`` says that no more will come."""
    channel, worker = ends
    say(worker, Asked())
    worker.close()
    assert receive_until_ended(channel) == [Asked()]
    assert channel.receive() == []


def test_a_frame_that_was_cut_off_never_comes_out(ends: tuple[Channel, socket.socket]) -> None:
    """A worker that dies while it writes spoils that frame alone."""
    channel, worker = ends
    say(worker, Asked())
    worker.sendall(frame(encode([WarningSeen(b"x" * 1000)]))[:-1])
    worker.close()
    assert channel.receive_all() == [Asked()]
    assert channel.is_ended


def test_a_dead_workers_channel_is_read_though_somebody_holds_its_end(ends: tuple[Channel, socket.socket]) -> None:
    """Without an end-of-file everything that was sent comes out, and then nothing is waited for."""
    channel, worker = ends
    events = [WarningSeen(bytes([number]) * 100) for number in range(20)]
    for event in events:
        say(worker, event)
    grandchilds = os.dup(worker.fileno())
    worker.close()
    try:
        assert channel.receive_all() == events
        assert not channel.is_ended
    finally:
        os.close(grandchilds)


def test_one_flood_does_not_hold_up_the_others(ends: tuple[Channel, socket.socket]) -> None:
    """``receive`` reads no more than its share in one go; the rest comes with the next calls."""
    channel, worker = ends
    event = WarningSeen(b"x" * 100_000)
    count = 200

    def flood() -> None:
        for _ in range(count):
            say(worker, event)
        worker.close()

    writer = threading.Thread(target=flood)
    writer.start()
    found: list[Event] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not channel.is_ended:
        assert time.monotonic() < deadline, "the end was not seen"
        # No share is smaller than one read of the socket, which is what a call may take too much.
        events = channel.receive(limit=500_000)
        assert sum(len(e.warning) for e in events if isinstance(e, WarningSeen)) < 1_000_000
        found += events
    writer.join(DEADLINE_SECONDS)
    assert found == [event] * count


def test_commands_wait_for_a_worker_that_does_not_read(ends: tuple[Channel, socket.socket]) -> None:
    """What the socket does not take is kept, in order, and sent when it does."""
    channel, worker = ends
    commands: list[Command] = [Begin(bytes([number]) * 100_000) for number in range(30)]
    for command in commands:
        channel.send([command])
    assert channel.has_unsent
    reader, found = FrameReader(), list[Command]()
    while len(found) < len(commands):
        channel.send_pending()
        reader.feed(worker.recv(1 << 16))
        found += [command for payload in reader.frames() for command in decode_commands(payload)]
    assert found == commands
    assert not channel.has_unsent


def test_sending_to_a_worker_that_is_gone_is_no_error(ends: tuple[Channel, socket.socket]) -> None:
    """Its end is told by whoever watches processes; nothing is kept for it."""
    channel, worker = ends
    worker.close()
    channel.send([Wait()])
    channel.send([Wait()])
    assert not channel.has_unsent


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not marshalled", id="text"),
        pytest.param(encode([Wait()])[:-1], id="cut"),
        pytest.param(b"[\x01\x00\x00\x00(\x01\x00\x00\x00i\x00\x00\x00\x00", id="too few fields"),
    ],
)
def test_what_no_worker_sends_ends_the_channel(ends: tuple[Channel, socket.socket], payload: bytes) -> None:
    """What came before it is heard, and nothing more."""
    channel, worker = ends
    worker.sendall(frame(encode([Asked()])) + frame(payload) + frame(encode([Asked()])))
    assert channel.receive() == [Asked()]
    assert channel.is_spoiled
    assert channel.is_ended


def test_what_is_no_frame_ends_the_channel(ends: tuple[Channel, socket.socket]) -> None:
    """It is not taken for a length; nobody waits for so many bytes."""
    channel, worker = ends
    worker.sendall(frame(encode([Asked()])) + b"x" * 40)
    assert channel.receive() == [Asked()]
    assert channel.is_spoiled
