"""``sync.peers`` and ``sync.deaths``: the broker's end of a connection, and of a process."""

from __future__ import annotations

import os
import signal

import pytest

from pytest_parpool.model.sync_moves import ConnectionId
from pytest_parpool.runtime.framing import FrameReader, frame
from pytest_parpool.runtime.sockets import RawSocket, receive_with_fds, stream_pair
from pytest_parpool.sync.deaths import HAS_ENDED, describe_end, is_alive, watch
from pytest_parpool.sync.peers import Peer, PeerGoneError


@pytest.fixture
def ends() -> tuple[Peer, RawSocket]:
    """The broker's end, and the other one."""
    here, there = stream_pair()
    return Peer(here, ConnectionId(1)), there


def test_frames_come_in_pieces(ends: tuple[Peer, RawSocket]) -> None:
    """A frame is given out once it is whole, and reading does not wait."""
    peer, there = ends
    assert peer.receive() == []
    data = frame(b"one") + frame(b"two") + frame(b"three")
    cut = len(frame(b"one")) + 2
    there.sendall(data[:cut])
    assert peer.receive() == [b"one"]
    there.sendall(data[cut:])
    assert peer.receive() == [b"two", b"three"]
    there.close()
    with pytest.raises(PeerGoneError):
        peer.receive()
    peer.close()


def test_what_is_not_read_waits(ends: tuple[Peer, RawSocket]) -> None:
    """Sending does not wait; what did not fit is sent later, in order, with its descriptors."""
    peer, there = ends
    read_end, write_end = os.pipe()
    big = b"x" * 5_000_000
    peer.send(big)
    assert peer.has_unsent
    peer.send(b"with a descriptor", [read_end])
    reader = FrameReader()
    fds: list[int] = []
    frames: list[bytes] = []
    while len(frames) < 2:
        data, received = receive_with_fds(there, 65536, 1)
        reader.feed(data)
        fds += received
        frames += reader.frames()
        peer.flush()
    assert frames == [big, b"with a descriptor"]
    assert not peer.has_unsent
    os.write(write_end, b"y")
    assert os.read(fds[0], 1) == b"y"
    for fd in (read_end, write_end, *fds):
        os.close(fd)
    there.close()
    with pytest.raises(PeerGoneError):
        peer.send(b"to nobody")
    peer.close()


def test_the_kernel_says_who_is_there(ends: tuple[Peer, RawSocket]) -> None:
    """Process and user are not what the other end says of itself."""
    peer, there = ends
    assert peer.credentials() == (os.getpid(), os.getuid())
    peer.close()
    there.close()


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (lambda: os._exit(0), HAS_ENDED),
        (lambda: os._exit(3), "has ended with exit code 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
        (lambda: os.kill(os.getpid(), signal.SIGRTMIN + 1), f"was killed by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_how_a_process_ended(end: object, text: str) -> None:
    """It is told while its parent has not reaped it; afterwards only that it has."""
    assert callable(end)
    pid = os.fork()
    if pid == 0:
        end()
        os._exit(99)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # It has ended, and is not reaped.
    assert describe_end(pid) == text
    os.waitpid(pid, 0)
    assert describe_end(pid) == HAS_ENDED
    assert not is_alive(pid)
    with pytest.raises(ProcessLookupError):
        watch(pid)


def test_the_living_are_alive() -> None:
    """Also those of other users."""
    assert is_alive(os.getpid())
    assert is_alive(1)
    fd = watch(os.getpid())
    assert fd is not None
    os.close(fd)
