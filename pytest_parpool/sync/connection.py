"""A way to the broker for one thread: asks, and waits for the answer.

Theory of operation. An interrupted wait leaves a connection on which an answer may still arrive, or only half of a
request has gone out. Such a connection is closed and never used again, and the next one says what was abandoned.

As in ``runtime.link_ends``, a test may close our descriptor and open its own under the number; so it is compared with
what it was before each use. A connection that was lost in this way is let go without closing somebody else's file.
"""

from __future__ import annotations

import _socket
import array
import select
import sys
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_parpool.errors import ProtocolError
from pytest_parpool.model.sync_moves import ConnectionId
from pytest_parpool.model.sync_requests import Origin, Request
from pytest_parpool.runtime.framing import FrameReader, frame
from pytest_parpool.runtime.link_ends import is_of_system_call
from pytest_parpool.runtime.slots import keep_fd
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.runtime.sync_codec import (
    BREAKDOWN,
    WITHOUT_ANSWER,
    Abandon,
    Greeting,
    Hello,
    Reply,
    decode_greeting,
    decode_reply,
    encode_opening,
    encode_request,
)
from pytest_parpool.sync.service import Service
from pytest_parpool.sync.system import System

if TYPE_CHECKING:
    from typing_extensions import Self

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_READ_BYTES: Final = 16384
_HAS_FDS: Final = hasattr(_socket, "SCM_RIGHTS")
_ANCILLARY_BYTES: Final = _socket.CMSG_SPACE(array.array("i").itemsize) if _HAS_FDS else 0
_FLAGS: Final = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
_LOOK_SECONDS: Final = 0.2
# A starter that dies takes those with it who wait behind it; that this often no other succeeds has other reasons.
_MOST_ATTEMPTS: Final = 20

_select = select.select

_NOBODY: Final = Origin(0, "", "")


class ConnectionLostError(Exception):
    """The other end, or our descriptor, is not there any more."""


class Connection:
    """An open connection; used by one caller at a time. Owns its socket.

    Args:
        sock: As ``Service.connect`` returns it.
        hello: What is said first.

    Attributes:
        connection: Its number at the broker.
        broker: Which broker it leads to.
        under_way: The number of the request that was asked last, until whoever asked says that its answer has arrived
            where it belongs, by making this 0.
        is_blocking: Whether who asks does nothing else until the answer is there.
    """

    is_blocking: ClassVar[bool] = True

    def __init__(self, sock: RawSocket, hello: Hello) -> None:
        self._sock = sock
        self._identity = _identify(sock)
        self._reader = FrameReader()
        self._frames: list[bytes] = []
        self._fds: list[int] = []
        self._number = 0
        self.under_way = 0
        self._send(encode_opening(hello))
        greeting: Greeting = decode_greeting(self._receive())
        self.connection: ConnectionId = greeting.connection
        self.broker = greeting.broker

    @classmethod
    def open(cls, service: Service, hello: Hello, *, may_start: bool) -> Self:
        """Connect, and wait for the greeting.

        Args:
            service: Where the broker is.
            hello: What is said first.
            may_start: Whether to start a broker if there is none.

        Raises:
            ParpoolError: If the broker cannot be started.
            ConnectionLostError: If there is none, or it goes away again and again.
        """
        for _ in range(_MOST_ATTEMPTS):
            sock = service.connect() if may_start else service.try_connect()
            if sock is None:
                break
            try:
                return cls(sock, hello)
            except ConnectionLostError:  # Whoever would have started the broker was killed.
                sock.close()
            except BaseException:
                sock.close()
                raise
        raise ConnectionLostError

    def __del__(self) -> None:
        # A thread has ended, or a fork has left this process a copy of somebody else's connection.
        if hasattr(self, "_identity"):
            self.close()

    def close(self) -> None:
        """Close this process's copy, if it is still ours."""
        if self.is_connected():
            self._sock.close()
        else:
            self._sock.detach()

    def is_connected(self) -> bool:
        """Whether the descriptor is the socket that it was."""
        try:
            return _identify(self._sock) == self._identity
        except OSError:  # It is closed.
            return False

    def take_fds(self) -> list[int]:
        """Return the descriptors that came since the last time; the caller owns them."""
        fds, self._fds = self._fds, []
        return fds

    def tell(self, data: bytes, sent: list[int]) -> None:
        """Send a request whose answer nobody needs. Afterwards ``sent`` is not empty, whatever a signal handler raises.

        Raises:
            ConnectionLostError: If there is nobody to send it to.
        """
        try:
            # The count is stored in C, where no handler runs.
            sent.extend(map(self._sock.send, (data,)))
            if (count := sum(sent)) < len(data):
                self._sock.sendall(data[count:])
        except OSError as error:
            if not is_of_system_call(error):
                raise
            raise ConnectionLostError from error

    def ask(self, origin: Origin, request: Request | Abandon) -> Reply:
        """Send a request and wait for its answer. If this is left by any exception, the connection must be closed.

        Raises:
            ConnectionLostError: If the answer will never come.
            ProtocolError: If the broker has come upon a bug.
            ValueError: If a field is no plain value.
        """
        data = encode_request(self._number + 1, origin, request)
        self._number = self.under_way = self._number + 1
        self._send(data)
        return decode_sound_reply(self._receive())

    def _send(self, payload: bytes) -> None:
        try:
            self._sock.sendall(frame(payload))
        except OSError as error:
            if not is_of_system_call(error):
                raise
            raise ConnectionLostError from error

    def _receive(self) -> bytes:
        while not self._frames:
            try:
                if _HAS_FDS:
                    data, ancillary, _, _ = self._sock.recvmsg(_READ_BYTES, _ANCILLARY_BYTES, _FLAGS)
                else:
                    # No signal cuts a read off there: handlers run in between.
                    while not _select([self._sock], [], [], _LOOK_SECONDS)[0]:
                        pass
                    data, ancillary = self._sock.recv(_READ_BYTES), []
            except OSError as error:
                if not is_of_system_call(error):
                    raise
                raise ConnectionLostError from error
            if not data:
                raise ConnectionLostError
            for _, _, payload in ancillary:
                self._fds += [keep_fd(fd) for fd in array.array("i", payload)]
            self._reader.feed(data)
            self._frames = self._reader.frames()
        return self._frames.pop(0)


def telling(request: Request) -> bytes:
    """Return what ``Connection.tell`` sends for a request. Nobody is shown who said it, so it does not say that."""
    return frame(encode_request(WITHOUT_ANSWER, _NOBODY, request))


def decode_sound_reply(data: bytes) -> Reply:
    """Return an answer.

    Raises:
        ProtocolError: If the broker has come upon a bug.
    """
    reply = decode_reply(data)
    if reply.number == BREAKDOWN:
        raise ProtocolError(f"the broker of shared objects broke down\n{reply.value}")
    return reply


def _identify(sock: RawSocket) -> tuple[int, int]:
    """Return what no other open socket has.

    Raises:
        OSError: If it is closed.
    """
    if sys.platform == "win32":  # No descriptor, and out of a test's reach.
        return sock.fileno(), 0
    status = System.fstat(sock.fileno())
    return status.st_dev, status.st_ino
