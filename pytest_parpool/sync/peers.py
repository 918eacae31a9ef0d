"""The broker's end of a connection: what came in, and what could not be sent yet. Never blocks."""

from __future__ import annotations

import _socket
import array
import struct
from collections import deque
from typing import Final

from pytest_parpool.model.sync_moves import ConnectionId
from pytest_parpool.runtime.framing import FrameReader, SpoiledStreamError, frame
from pytest_parpool.runtime.sockets import RawSocket

_READ_BYTES: Final = 65536
_CREDENTIALS = struct.Struct("3i")


class PeerGoneError(Exception):
    """The other end is closed."""


class Peer:
    """One connection.

    Args:
        sock: A connected socket; owned from here on.
        connection: Its number.
    """

    def __init__(self, sock: RawSocket, connection: ConnectionId) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._reader = FrameReader()
        # What waits to be sent, each with the descriptors that have to go with its first byte.
        self._unsent: deque[tuple[bytes, list[int]]] = deque()
        self.fd = sock.fileno()
        self.connection = connection
        self.is_greeted = False

    def close(self) -> None:
        """Close it."""
        self._sock.close()

    def credentials(self) -> tuple[int, int] | None:
        """Return the other end's process id and user id, or None where the kernel does not say."""
        if not hasattr(_socket, "SO_PEERCRED"):
            return None
        data = self._sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(data)
        return pid, uid

    def receive(self) -> list[bytes]:
        """Return the frames that have come; none if there is nothing to read.

        Raises:
            PeerGoneError: If nothing will come any more, or what has come makes no sense.
        """
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            raise PeerGoneError from error
        if not data:
            raise PeerGoneError
        self._reader.feed(data)
        try:
            return self._reader.frames()
        except SpoiledStreamError as error:
            raise PeerGoneError from error

    @property
    def has_unsent(self) -> bool:
        """Whether ``flush`` has something to do."""
        return bool(self._unsent)

    def send(self, payload: bytes, fds: list[int] | None = None) -> None:
        """Send a frame, now or when the other end reads.

        Raises:
            PeerGoneError: If nobody will read it.
        """
        self._unsent.append((frame(payload), fds or []))
        if len(self._unsent) == 1:
            self.flush()

    def flush(self) -> None:
        """Send as much as the other end takes.

        Raises:
            PeerGoneError: If nobody will read it.
        """
        while self._unsent:
            data, fds = self._unsent[0]
            try:
                if fds:
                    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds))
                    sent = self._sock.sendmsg([data], [rights])
                else:
                    sent = self._sock.send(data)
            except BlockingIOError:
                return
            except OSError as error:
                raise PeerGoneError from error
            if sent < len(data):
                self._unsent[0] = (data[sent:], [])
            else:
                self._unsent.popleft()
