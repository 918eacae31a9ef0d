"""The few words of sockets that are needed, from the C module; and which of them this process has open.

``socket`` wraps it, and takes 5 ms at import to make enums of all its constants: a fortieth of what a run of one test
takes.
"""

from __future__ import annotations

import _socket
import array
import os
import stat
import sys
from _socket import socket as RawSocket  # noqa: N812  -- it is a class
from collections.abc import Iterator

__all__ = [
    "RawSocket",
    "find_sockets",
    "packet_pair",
    "receive_with_fds",
    "send_with_fds",
    "socket_inodes",
    "stream_pair",
]

FD_DIRECTORY = "/proc/self/fd"

MSG_PEEK = _socket.MSG_PEEK
SOL_SOCKET = _socket.SOL_SOCKET
SO_SNDBUF = _socket.SO_SNDBUF
SHUT_RDWR = _socket.SHUT_RDWR

_FD_BYTES = array.array("i").itemsize


def stream_pair() -> tuple[RawSocket, RawSocket]:
    """Return two connected sockets that carry bytes."""
    if sys.platform != "win32":
        return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    import socket

    # Of TCP: nothing small may wait there for more to come.
    pair = socket.socketpair()
    for sock in pair:
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    return pair


def packet_pair() -> tuple[RawSocket, RawSocket]:
    """Return two connected sockets that keep the borders of messages."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)


def send_with_fds(sock: RawSocket, data: bytes, fds: list[int]) -> None:
    """Send a message with file descriptors attached (unix(7), SCM_RIGHTS)."""
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], ancillary)


def receive_with_fds(sock: RawSocket, most_bytes: int, most_fds: int) -> tuple[bytes, list[int]]:
    """Return a message and the file descriptors that came with it; the caller owns them. Empty at end-of-file."""
    data, ancillary, _, _ = sock.recvmsg(most_bytes, _socket.CMSG_LEN(most_fds * _FD_BYTES))
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            fds.frombytes(payload[: len(payload) - len(payload) % _FD_BYTES])
    return data, list(fds)


def find_sockets(directory: str = FD_DIRECTORY) -> Iterator[tuple[int, int]]:
    """Yield the descriptors of all sockets that are open now, with their inodes; none without ``/proc``."""
    try:
        names = os.listdir(directory)
    except OSError:  # Not Linux, or a hardened one.
        return
    for name in names:
        try:
            status = os.fstat(int(name))
        except OSError:  # The directory's own descriptor; or another thread has just closed it.
            continue
        if stat.S_ISSOCK(status.st_mode):
            yield int(name), status.st_ino


def socket_inodes(directory: str = FD_DIRECTORY) -> frozenset[int]:
    """Return the inodes of all sockets that are open now, by which they are known."""
    return frozenset([inode for _, inode in find_sockets(directory)])
