"""The worker's end of its connection to the controller.

Theory of operation. Tests do to a process whatever they like. What the system has of the connection is in
``link_ends``, with what is done about that there. Besides:

* Before each use the end is asked whether it is still what it was, else ``LinkLostError``.
* A signal handler may raise between any two bytecodes, so after ``n = os.write(...)`` the count may never reach ``n``.
  ``list.extend(map(os.write, ...))`` stores it in C, where no handler runs. What was read and what is to be sent live
  in one object each, replaced by one assignment: an interrupted call has happened or has not, and the next one goes on.
* What a handler raises must not be taken for the end of the connection (``link_ends.is_of_system_call``).
* A child that a test forks would share the connection, and two that talk over one stream would spoil it; so it is
  closed there (``keep_from_children``). Whoever sends asks ``is_own_process`` first; one that nobody asked finds the
  connection lost.
"""

from __future__ import annotations

import os

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import BaseTemp, Begin, Drain, Event, Matched, Proceed, Recalled, Run, Wait
from pytest_parpool.model.records import Record, prepare, record
from pytest_parpool.runtime.codec import decode_commands, encode
from pytest_parpool.runtime.framing import FrameReader, frame
from pytest_parpool.runtime.ledger import Page
from pytest_parpool.runtime.link_ends import LinkEnd, is_of_system_call

_getpid = os.getpid

_READ_BYTES = 65536


class LinkLostError(Exception):
    """The connection is not there any more: the test closed it, or the controller is gone."""


@record
class Inbox(Record):
    """All that was ever commanded, summed up.

    Attributes:
        items: How many entries of ``WorkerLink.items`` are valid.
        identity: What ``Begin`` brought, or None before it came.
        waits: How many times ``Wait`` came.
        proceeds: How many times ``Proceed`` came.
        recalls: How many times ``Recalled`` came.
        void_waits: How many of the ``Wait`` came before the last of those. Who was told to wait, and was given
            something, and lost it, waits for nothing that the controller knows of.
        is_drained: Whether ``Drain`` came.
        base_temp: What ``BaseTemp`` brought, or None before it came.
        refused: What ``Matched`` brought, or None before it came.
    """

    items: int = 0
    identity: bytes | None = None
    waits: int = 0
    proceeds: int = 0
    recalls: int = 0
    void_waits: int = 0
    is_drained: bool = False
    base_temp: str | None = None
    refused: tuple[tuple[ItemIndex, str], ...] | None = None


@record
class _Incoming(Record):
    inbox: Inbox
    reader: FrameReader
    chunks: list[bytes]


@record
class _Outgoing(Record):
    posted: list[Event]
    data: bytes
    written: list[int]


class WorkerLink:
    """Sends events and receives commands; blocking, for the worker's main thread only.

    Args:
        end: Leads to the controller.
        page: Says what may be claimed; by default everything.
        files: Descriptors of files that the other side has made for what is written here and for Python's stacks, and
            has open; or None.
    """

    def __init__(self, end: LinkEnd, page: Page | None = None, files: tuple[int, int] | None = None) -> None:
        self.files = files
        self._end = end
        self._page = page if page is not None else Page.private()
        self._pid = _getpid()
        self._incoming = _Incoming(Inbox(), FrameReader(), [])
        self._outgoing = _Outgoing([], b"", [])
        self.items: list[ItemIndex] = []

    @staticmethod
    def prepare() -> None:
        """Write now what would be written in each worker; see ``records.prepare``."""
        prepare(Inbox, _Incoming, _Outgoing)

    @property
    def fd(self) -> int:
        """The descriptor, for whoever must not close it."""
        return self._end.fd

    @property
    def end(self) -> LinkEnd:
        """The end, for who speaks another language on it."""
        return self._end

    @property
    def page(self) -> Page:
        """What is shared with the controller."""
        return self._page

    @property
    def inbox(self) -> Inbox:
        """What was commanded so far."""
        return self._incoming.inbox

    @property
    def is_own_process(self) -> bool:
        """Whether this process is the worker, not a child that a test forked."""
        return _getpid() == self._pid

    def is_connected(self) -> bool:
        """Whether this is the worker, and the descriptor is still the socket it was at birth."""
        return self.is_own_process and self._end.is_intact()

    def keep_from_children(self) -> None:
        """Have the descriptor closed in every process that is forked from this one."""
        self._end.keep_from_children()

    # --- Sending -----------------------------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Put an event behind those to be sent with the next ``flush``."""
        self._outgoing.posted.append(event)

    def flush(self) -> None:
        """Send all that was posted, in order. Blocks while the controller is busy and the socket is full.

        Raises:
            LinkLostError: If the connection is gone.
            ValueError: If an event is larger than a frame can be.
        """
        outgoing = self._outgoing
        if outgoing.posted:
            unsent = outgoing.data[sum(outgoing.written) :]
            outgoing = self._outgoing = _Outgoing([], unsent + frame(encode(outgoing.posted)), [])
        size = len(outgoing.data)
        if not size:
            return
        view = memoryview(outgoing.data)
        while (sent := sum(outgoing.written)) < size:
            if not self.is_connected():
                raise LinkLostError
            try:
                outgoing.written.extend(map(self._end.write, (view[sent:],)))
            except OSError as error:
                if not is_of_system_call(error):
                    raise
                raise LinkLostError from error
        self._outgoing = _Outgoing([], b"", [])

    # --- Receiving ---------------------------------------------------------------------------------------------------

    def receive(self) -> None:
        """Wait until something comes, and take it into the ``inbox``. May take in nothing whole.

        Raises:
            LinkLostError: If the connection is gone.
        """
        incoming = self._incoming
        if not incoming.chunks:  # Else a call was cut off behind its read, and what it read comes first.
            if not self.is_connected():
                raise LinkLostError
            try:
                incoming.chunks.extend(map(self._end.read, (_READ_BYTES,)))
            except OSError as error:
                if not is_of_system_call(error):
                    raise
                raise LinkLostError from error
        if not incoming.chunks[-1]:
            raise LinkLostError
        reader = FrameReader(incoming.reader.rest() + b"".join(incoming.chunks))
        inbox = incoming.inbox
        del self.items[inbox.items :]  # left by a call that was cut off before its last line
        for payload in reader.frames():
            for command in decode_commands(payload):
                match command:
                    case Run(items):
                        self.items += items
                        inbox = inbox.replace(items=len(self.items))
                    case Wait():
                        inbox = inbox.replace(waits=inbox.waits + 1)
                    case Proceed():
                        inbox = inbox.replace(proceeds=inbox.proceeds + 1)
                    case Drain():
                        inbox = inbox.replace(is_drained=True)
                    case Begin(identity):
                        inbox = inbox.replace(identity=identity)
                    case Recalled(kept):
                        del self.items[kept:]
                        inbox = inbox.replace(items=len(self.items), recalls=inbox.recalls + 1, void_waits=inbox.waits)
                        self._page.reopen()
                    case BaseTemp(path):
                        inbox = inbox.replace(base_temp=path)
                    case Matched(refused):
                        inbox = inbox.replace(refused=tuple(refused))
        self._incoming = _Incoming(inbox, reader, [])

    def claim(self, count: int) -> bool:
        """Say that the first ``count`` of ``items`` will be run here, and return whether that may be.

        If not, a command is under way that says how many items are left.
        """
        self._page.claim(count)
        return self._page.is_open(count)

    def receive_nowait(self) -> None:
        """Take in what has come, if anything has.

        Raises:
            LinkLostError: If the connection is gone.
        """
        while self._incoming.chunks or self._end.is_readable():
            self.receive()
