"""The controller's end of the connection to one worker: never blocks, whatever the worker does or does not do."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_parpool.model.messages import Command, Event
from pytest_parpool.runtime.codec import decode_events, encode
from pytest_parpool.runtime.framing import FrameReader, frame
from pytest_parpool.runtime.sockets import MSG_PEEK, RawSocket

_READ_BYTES = 1 << 18
# One worker's flood must not keep the others waiting: at most so much is read from it in one go.
FAIR_SHARE_BYTES = 1 << 22


class Channel:
    """Owns its end of the socket; ``close`` it.

    Attributes:
        is_ended: Whether nothing more will come.
        is_spoiled: Whether something came that no worker of ours sends: a test has written to our descriptor.
    """

    def __init__(self, sock: RawSocket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._reader = FrameReader()
        self._unsent = bytearray()
        self.is_ended = False
        self.is_spoiled = False

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end. What was not sent is lost."""
        self._socket.close()

    def send(self, commands: Iterable[Command]) -> None:
        """Send commands, or keep them until ``send_pending``.

        A worker that is gone gets nothing; its end is told elsewhere.
        """
        self._unsent += frame(encode(commands))
        self.send_pending()

    @property
    def has_unsent(self) -> bool:
        """Whether ``send_pending`` should be called once the socket is writable."""
        return bool(self._unsent)

    def send_pending(self) -> None:
        """Send as much of what is kept as the socket takes."""
        while self._unsent:
            try:
                count = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                # Nobody reads there any more. That the process has ended is said by whoever watches processes.
                self._unsent.clear()
                return
            del self._unsent[:count]

    def receive(self, limit: int = FAIR_SHARE_BYTES) -> list[Event]:
        """Return the events that have come. Sets ``is_ended`` at end-of-file, and with ``is_spoiled``."""
        taken = 0
        while taken < limit:
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                self.is_ended = True
                break
            if not data:
                self.is_ended = True
                break
            taken += len(data)
            self._reader.feed(data)
            if len(data) < _READ_BYTES:
                break
        events: list[Event] = []
        try:
            while payloads := self._reader.frames():
                for payload in payloads:
                    events += decode_events(payload)
        except (ValueError, EOFError, TypeError, IndexError):
            self.is_ended = self.is_spoiled = True
        return events

    def receive_all(self) -> list[Event]:
        """Return everything that a dead worker had sent, to the last whole frame.

        End-of-file is not waited for: a grandchild may hold the other end for ever.
        """
        events: list[Event] = []
        while not self.is_ended:
            before = len(events)
            events += self.receive(limit=1 << 62)
            if len(events) == before and not self._is_readable():
                break
        return events

    def _is_readable(self) -> bool:
        try:
            return bool(self._socket.recv(1, MSG_PEEK))
        except OSError:
            return False
