"""``sync.peers``: the broker's end of a connection."""

from __future__ import annotations

import os
import sys

import pytest

from pytest_parpool.model.sync_moves import ConnectionId
from pytest_parpool.runtime.framing import FrameReader, frame
from pytest_parpool.runtime.sockets import RawSocket, receive_with_fds, stream_pair
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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not say it")
def test_the_kernel_says_who_is_there(ends: tuple[Peer, RawSocket]) -> None:
    """Process and user are not what the other end says of itself."""
    peer, there = ends
    assert peer.credentials() == (os.getpid(), os.getuid())
    peer.close()
    there.close()
