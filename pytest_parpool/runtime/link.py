"""The worker's end of its connection to the controller.

Theory of operation. Tests do to a process whatever they like, so this end trusts little:

* The functions of the operating system are bound at import: tests mock ``os.write``. They are attributes of a class,
  because a fake file system (pyfakefs) looks through the globals of all modules and replaces them there too.
* A test may close every file descriptor, and open its own under our number: before each use the descriptor is compared
  with what it was at birth (device and inode of the socket), else ``LinkLostError``.
* A signal handler may raise between any two bytecodes, so after ``n = os.write(...)`` the count may never reach ``n``.
  ``list.extend(map(os.write, ...))`` stores it in C, where no handler runs. What was read and what is to be sent live
  in one object each, replaced by one assignment: an interrupted call has happened or has not, and the next one goes on.
* What a handler raises may be an ``OSError`` (``TimeoutError`` is one) and must not be taken for the end of the
  connection. A failed system call has no Python frame of its own in the traceback, a handler has.
* A child that a test forks would share the connection, and two that talk over one stream would spoil it; so it is
  closed there (``keep_from_children``). Whoever sends asks ``is_own_process`` first; one that nobody asked finds the
  connection lost.
"""

from __future__ import annotations

import os
import select

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import BaseTemp, Begin, Drain, Event, Matched, Proceed, Recalled, Run, Wait
from pytest_parpool.model.records import Record, prepare, record
from pytest_parpool.runtime.codec import decode_commands, encode
from pytest_parpool.runtime.framing import FrameReader, frame
from pytest_parpool.runtime.ledger import Page


class _System:
    """The operating system's own functions, whatever a test has put in their place."""

    read = staticmethod(os.read)
    write = staticmethod(os.write)
    close = staticmethod(os.close)
    fstat = staticmethod(os.fstat)
    getpid = staticmethod(os.getpid)


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
        is_drained: Whether ``Drain`` came.
        base_temp: What ``BaseTemp`` brought, or None before it came.
        refused: What ``Matched`` brought, or None before it came.
    """

    items: int = 0
    identity: bytes | None = None
    waits: int = 0
    proceeds: int = 0
    recalls: int = 0
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
        fd: A connected, blocking stream socket. Owned from here on until the process ends.
        page: Says what may be claimed; by default everything.
    """

    def __init__(self, fd: int, page: Page | None = None) -> None:
        self._fd = fd
        self._page = page if page is not None else Page.private()
        self._pid = _System.getpid()
        status = _System.fstat(fd)
        self._identity = (status.st_dev, status.st_ino)
        self._incoming = _Incoming(Inbox(), FrameReader(), [])
        self._outgoing = _Outgoing([], b"", [])
        # A poll object has no descriptor of its own that a test could close.
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self.items: list[ItemIndex] = []

    @staticmethod
    def prepare() -> None:
        """Write now what would be written in each worker; see ``records.prepare``."""
        prepare(Inbox, _Incoming, _Outgoing)

    @property
    def fd(self) -> int:
        """The descriptor, for whoever must not close it."""
        return self._fd

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
        return _System.getpid() == self._pid

    def is_connected(self) -> bool:
        """Whether this is the worker, and the descriptor is still the socket it was at birth."""
        if not self.is_own_process:
            return False
        try:
            status = _System.fstat(self._fd)
        except OSError as error:
            if not _is_of_system_call(error):
                raise
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def keep_from_children(self) -> None:
        """Have the descriptor closed in every process that is forked from this one."""
        os.register_at_fork(after_in_child=self._close_in_child)

    def _close_in_child(self) -> None:
        try:
            status = _System.fstat(self._fd)
        except OSError:  # A test has closed it before.
            return
        if (status.st_dev, status.st_ino) == self._identity:
            _System.close(self._fd)

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
                outgoing.written.extend(map(_System.write, (self._fd,), (view[sent:],)))
            except OSError as error:
                if not _is_of_system_call(error):
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
                incoming.chunks.extend(map(_System.read, (self._fd,), (_READ_BYTES,)))
            except OSError as error:
                if not _is_of_system_call(error):
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
                        inbox = inbox.replace(items=len(self.items), recalls=inbox.recalls + 1)
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
        while self._incoming.chunks or self._poll.poll(0):
            self.receive()


def _is_of_system_call(error: OSError) -> bool:
    """Whether the call itself failed, in the frame that catches it, and not a signal handler inside of it."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None
