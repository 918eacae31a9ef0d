"""The few words of sockets that are needed, from the C module.

``socket`` wraps it, and takes 5 ms at import to make enums of all its constants: a fortieth of what a run of one test
takes.
"""

from __future__ import annotations

import _socket
import array
from _socket import socket as RawSocket  # noqa: N812  -- it is a class

__all__ = ["RawSocket", "packet_pair", "receive_with_fds", "send_with_fds", "stream_pair"]

MSG_PEEK = _socket.MSG_PEEK
SOL_SOCKET = _socket.SOL_SOCKET
SO_SNDBUF = _socket.SO_SNDBUF

_FD_BYTES = array.array("i").itemsize


def stream_pair() -> tuple[RawSocket, RawSocket]:
    """Return two connected sockets that carry bytes."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)


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
