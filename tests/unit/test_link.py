"""The worker's end of the connection keeps its word whatever a test does to the process around it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import (
    Begin,
    Command,
    Drain,
    Event,
    Finished,
    Proceed,
    Run,
    Troubled,
    Wait,
    WarningSeen,
)
from pytest_parpool.runtime import link as link_module
from pytest_parpool.runtime import link_ends
from pytest_parpool.runtime.codec import decode_events, encode
from pytest_parpool.runtime.framing import FrameReader, frame
from pytest_parpool.runtime.link import Inbox, LinkLostError, WorkerLink
from pytest_parpool.runtime.link_ends import FdEnd, SocketEnd

assert sys.platform != "win32"  # There are no workers to test, and type checkers know it.

DEADLINE_SECONDS = 60.0  # for what takes milliseconds
STORM_SECONDS = 0.0002  # between two signals: some ten of them hit each larger call
STORMS = 200  # enough to hit every place of a call several times


class StormError(TimeoutError):
    """What the handler raises; an ``OSError``, as the ``TimeoutError`` of many alarm handlers is."""


class Storm:
    """Raises in the main thread, from a signal handler, at most once each time it is ``armed``."""

    def __init__(self) -> None:
        self.is_armed = False
        self.hits = 0

    def strike(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.is_armed:
            self.is_armed = False
            self.hits += 1
            raise StormError

    def insist(self, call: Callable[[], None], is_done: Callable[[], bool]) -> None:
        """Call again until it has done its work, however often a handler raises in it."""
        while not is_done():
            with contextlib.suppress(StormError):
                self.is_armed = True
                call()
                self.is_armed = False


@pytest.fixture
def storm() -> Iterator[Storm]:
    """Signals at a high rate, while the test runs."""
    made = Storm()
    before = signal.signal(signal.SIGALRM, made.strike)
    signal.setitimer(signal.ITIMER_REAL, STORM_SECONDS, STORM_SECONDS)
    yield made
    made.is_armed = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=[lambda sock: FdEnd(sock.fileno()), SocketEnd], ids=["descriptor", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[WorkerLink, socket.socket]]:
    """A link, and the controller's end of its socket."""
    ours, theirs = socket.socketpair()
    ours.settimeout(DEADLINE_SECONDS)
    with ours, theirs:
        yield WorkerLink(request.param(theirs)), ours


def command(sock: socket.socket, *commands: Command) -> None:
    """Send commands as the controller does."""
    sock.sendall(frame(encode(commands)))


def read_events(sock: socket.socket, count: int) -> list[Event]:
    """Return so many events, or all until the end of the stream."""
    reader, events = FrameReader(), list[Event]()
    while len(events) < count and (data := sock.recv(1 << 20)):
        reader.feed(data)
        events += [event for payload in reader.frames() for event in decode_events(payload)]
    return events


# --- In peace ---------------------------------------------------------------------------------------------------------


def test_commands_are_summed_up(ends: tuple[WorkerLink, socket.socket]) -> None:
    """The inbox says all that was ever commanded, in whatever pieces it came."""
    link, controller = ends
    assert link.inbox == Inbox()
    command(controller, Begin(b"me"), Run((ItemIndex(4), ItemIndex(5))))
    command(controller, Wait())
    command(controller, Run((ItemIndex(1),)), Proceed(), Drain())
    link.receive_nowait()
    assert link.inbox == Inbox(items=3, identity=b"me", waits=1, proceeds=1, is_drained=True)
    assert link.items == [4, 5, 1]


def test_receive_nowait_does_not_wait(ends: tuple[WorkerLink, socket.socket]) -> None:
    """With nothing to read, and with half a frame, nothing is taken in, and the half is not lost."""
    link, controller = ends
    link.receive_nowait()
    data = frame(encode([Wait()]))
    controller.sendall(data[:5])
    link.receive_nowait()
    assert link.inbox == Inbox()
    controller.sendall(data[5:])
    link.receive_nowait()
    assert link.inbox.waits == 1


def test_posted_events_travel_with_the_next_flush(ends: tuple[WorkerLink, socket.socket]) -> None:
    """Posting sends nothing; flushing sends all, in order, and only once."""
    link, controller = ends
    events: list[Event] = [Troubled(ItemIndex(0)), Finished(ItemIndex(0), 0.5)]
    for event in events:
        link.post(event)
    controller.setblocking(False)
    with pytest.raises(BlockingIOError):
        controller.recv(1)
    link.flush()
    link.flush()
    controller.settimeout(DEADLINE_SECONDS)
    assert read_events(controller, 2) == events
    controller.setblocking(False)
    with pytest.raises(BlockingIOError):
        controller.recv(1)


def test_flush_waits_for_a_slow_reader(ends: tuple[WorkerLink, socket.socket]) -> None:
    """An event far larger than the socket's buffer arrives whole."""
    link, controller = ends
    event = WarningSeen(os.urandom(1 << 20) * 8)
    found: list[Event] = []
    reader = threading.Thread(target=lambda: found.extend(read_events(controller, 1)))
    reader.start()
    link.post(event)
    link.flush()
    reader.join(DEADLINE_SECONDS)
    assert found == [event]


# --- When the connection is gone --------------------------------------------------------------------------------------


def test_the_end_of_the_controller_is_the_end_of_the_link(ends: tuple[WorkerLink, socket.socket]) -> None:
    """Reading at end-of-file and writing to nobody raise, each time; commands that came before are still there."""
    link, controller = ends
    command(controller, Wait())
    controller.close()
    with pytest.raises(LinkLostError):
        link.receive_nowait()
    assert link.inbox.waits == 1
    link.post(Troubled(ItemIndex(0)))
    for talk in (link.receive, link.receive_nowait, link.flush):
        with pytest.raises(LinkLostError):
            talk()


def test_a_closed_descriptor_is_noticed() -> None:
    """Closing it makes every use raise, and none of them waits."""
    ours, theirs = socket.socketpair()
    with ours:
        link = WorkerLink(FdEnd(theirs.detach()))
        assert link.is_connected()
        os.close(link.fd)
        assert not link.is_connected()
        link.post(Troubled(ItemIndex(0)))
        for talk in (link.receive, link.receive_nowait, link.flush):
            with pytest.raises(LinkLostError):
                talk()


def test_a_foreign_file_under_our_number_gets_nothing(tmp_path: Path) -> None:
    """A file that a test opened under the link's number is neither written to nor read from."""
    ours, theirs = socket.socketpair()
    with ours:
        link = WorkerLink(FdEnd(theirs.detach()))
        file = tmp_path / "file"
        file.write_bytes(b"not ours")
        with file.open("r+b") as foreign:
            os.dup2(foreign.fileno(), link.fd)
            assert not link.is_connected()
            link.post(Troubled(ItemIndex(0)))
            for talk in (link.receive, link.receive_nowait, link.flush):
                with pytest.raises(LinkLostError):
                    talk()
            os.close(link.fd)
        assert file.read_bytes() == b"not ours"


def test_a_forked_child_is_not_the_worker(ends: tuple[WorkerLink, socket.socket]) -> None:
    """The link knows the process that it was made in, and is of no use in another."""
    link, controller = ends
    link.post(Troubled(ItemIndex(0)))
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(LinkLostError):
            link.flush()
            os._exit(1)
        os._exit(1 if link.is_own_process else 0)
    assert link.is_own_process
    assert os.waitpid(pid, 0)[1] == 0
    link.flush()
    assert read_events(controller, 1) == [Troubled(ItemIndex(0))]


def test_mocked_system_calls_are_not_ours(
    ends: tuple[WorkerLink, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replacing the functions of ``os`` does not reach the link."""
    link, controller = ends
    with monkeypatch.context() as patch:
        for name in ("read", "write", "fstat", "getpid"):
            patch.setattr(os, name, None)
        command(controller, Wait())
        link.receive()
        link.post(Troubled(ItemIndex(3)))
        link.flush()
    assert link.inbox.waits == 1
    assert read_events(controller, 1) == [Troubled(ItemIndex(3))]


# --- When signal handlers raise ---------------------------------------------------------------------------------------


def test_nothing_sent_is_lost_or_doubled_when_handlers_raise(
    ends: tuple[WorkerLink, socket.socket], storm: Storm
) -> None:
    """A handler may raise anywhere in ``flush``; who calls it again sends what is left and nothing twice."""
    link, controller = ends
    found: list[Event] = []
    reader = threading.Thread(target=lambda: found.extend(read_events(controller, 1 << 60)))
    reader.start()
    sent: list[Event] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while storm.hits < STORMS and time.monotonic() < deadline:
        for size in (1, 100, 300_000):
            event = WarningSeen(bytes([len(sent) % 256]) * size)
            link.post(event)
            sent.append(event)
        storm.insist(link.flush, lambda: not (link._outgoing.posted or link._outgoing.data))
    controller.shutdown(socket.SHUT_RD)  # The reader has read all there is, then sees the end.
    reader.join(DEADLINE_SECONDS)
    assert storm.hits >= STORMS
    assert found == sent


def test_nothing_received_is_lost_or_doubled_when_handlers_raise(
    ends: tuple[WorkerLink, socket.socket], storm: Storm
) -> None:
    """A handler may raise anywhere in ``receive``; who calls it again gets what was read, without waiting for more."""
    link, controller = ends
    deadline = time.monotonic() + DEADLINE_SECONDS
    expected: list[ItemIndex] = []

    def has_all() -> bool:
        return link.inbox.items == len(expected) and link.inbox.waits == len(expected) // 300

    while storm.hits < STORMS and time.monotonic() < deadline:
        items = tuple(ItemIndex(len(expected) + number) for number in range(300))
        # Nothing more is sent before this has arrived: waiting for more would be waiting for ever.
        command(controller, Run(items), Wait())
        expected += items
        storm.insist(link.receive, has_all)
    assert storm.hits >= STORMS
    assert link.items == expected
    assert has_all()


@pytest.mark.parametrize("talk", ["receive", "receive_nowait"])
def test_what_was_read_before_a_handler_raised_is_taken_in_next(
    ends: tuple[WorkerLink, socket.socket], monkeypatch: pytest.MonkeyPatch, talk: str
) -> None:
    """A call that is cut off between reading and understanding is completed by the next, with nothing more to read."""
    link, controller = ends
    command(controller, Run((ItemIndex(7),)))

    def raise_as_a_handler(data: bytes) -> list[Command]:
        raise StormError

    with monkeypatch.context() as patch:
        patch.setattr(link_module, "decode_commands", raise_as_a_handler)
        with pytest.raises(StormError):
            link.receive()
    assert link.inbox.items == 0
    getattr(link, talk)()
    assert link.inbox.items == 1
    assert link.items == [7]


@pytest.mark.parametrize("call", ["read", "write", "is_intact"])
def test_an_error_of_a_handler_is_not_the_end_of_the_connection(
    ends: tuple[WorkerLink, socket.socket], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A ``TimeoutError`` that an alarm handler raises inside of a system call comes out as it is."""
    link, controller = ends
    command(controller, Wait())
    link.post(Troubled(ItemIndex(0)))

    def raise_as_a_handler(*args: object) -> None:
        raise StormError

    with monkeypatch.context() as patch:
        patch.setattr(link._end, call, raise_as_a_handler)
        with pytest.raises(StormError):
            (link.flush if call == "write" else link.receive)()
    link.receive()
    link.flush()
    assert link.inbox.waits == 1
    assert read_events(controller, 1) == [Troubled(ItemIndex(0))]


def test_an_error_of_a_handler_is_not_the_end_of_the_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while it is compared with what it was."""

    def raise_as_a_handler(*args: object) -> None:
        raise StormError

    ours, theirs = socket.socketpair()
    with ours, theirs:
        end = FdEnd(theirs.fileno())
        with monkeypatch.context() as patch:
            patch.setattr(link_ends._System, "fstat", raise_as_a_handler)
            with pytest.raises(StormError):
                end.is_intact()
        assert end.is_intact()
