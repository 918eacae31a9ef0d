"""The worker's end of a connection, as the system has it: a descriptor on POSIX, a socket on Windows.

Theory of operation. Tests do to a process whatever they like, so an end trusts little:

* The functions of the operating system are bound at import: tests mock ``os.write``. They are attributes of a class,
  because a fake file system (pyfakefs) looks through the globals of all modules and replaces them there too.
* A test may close every file descriptor, and open its own under our number: so a descriptor is compared with what it
  was at birth (device and inode of the socket). A socket of Windows is no file descriptor, and out of a test's reach.
* ``read`` and ``write`` are functions of C, with no Python frame in which a signal handler could raise.
"""

from __future__ import annotations

import functools
import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pytest_parpool.runtime.sockets import RawSocket

_MOST_BUFFERS = 256  # in one system call; IOV_MAX is 1024 wherever we run


class _System:
    """The operating system's own functions, whatever a test has put in their place."""

    read = staticmethod(os.read)
    write = staticmethod(os.write)
    close = staticmethod(os.close)
    fstat = staticmethod(os.fstat)
    select = staticmethod(select.select)
    if sys.platform != "win32":
        readv = staticmethod(os.readv)
        writev = staticmethod(os.writev)


class FdEnd:
    """An end that is a descriptor. Open until the process ends.

    Args:
        fd: Of a connected, blocking stream socket; owned from here on.

    Attributes:
        fd: As given.
        read: Returns what has come, at most as many bytes as it is given; blocks, empty at end-of-file.
        write: Sends a part of what it is given, and returns how many bytes; blocks.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.read: Callable[[int], bytes] = functools.partial(_System.read, fd)
        self.write: Callable[[memoryview], int] = functools.partial(_System.write, fd)
        status = _System.fstat(fd)
        self._identity = (status.st_dev, status.st_ino)
        # A poll object has no descriptor of its own that a test could close.
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def is_intact(self) -> bool:
        """Whether the number still leads to what it did at birth."""
        try:
            status = _System.fstat(self.fd)
        except OSError as error:
            if not is_of_system_call(error):
                raise
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def read_into(self, space: memoryview) -> int:
        """As ``read``, into memory that is there; return how many bytes came."""
        return _System.readv(self.fd, [space])

    def write_some(self, buffers: Sequence[bytes | bytearray | memoryview]) -> int:
        """As ``write``, of several buffers, at most ``_MOST_BUFFERS`` of them."""
        if len(buffers) == 1:
            return _System.write(self.fd, buffers[0])
        return _System.writev(self.fd, buffers[:_MOST_BUFFERS])

    def is_readable(self) -> bool:
        """Whether ``read`` would return at once."""
        return bool(self._poll.poll(0))

    def keep_from_children(self) -> None:
        """Have it closed in every process that is forked from this one."""
        os.register_at_fork(after_in_child=self._close_in_child)

    def _close_in_child(self) -> None:
        try:
            status = _System.fstat(self.fd)
        except OSError:  # A test has closed it before.
            return
        if (status.st_dev, status.st_ino) == self._identity:
            _System.close(self.fd)


class SocketEnd:
    """An end that is a socket, where sockets are no descriptors. All that is here is said at ``FdEnd``."""

    def __init__(self, sock: RawSocket) -> None:
        self._socket = sock
        self.fd = sock.fileno()
        self.read: Callable[[int], bytes] = sock.recv
        self.write: Callable[[memoryview], int] = sock.send

    def is_intact(self) -> bool:
        """See ``FdEnd``."""
        return self._socket.fileno() == self.fd

    def read_into(self, space: memoryview) -> int:
        """See ``FdEnd``."""
        return self._socket.recv_into(space)

    def write_some(self, buffers: Sequence[bytes | bytearray | memoryview]) -> int:
        """See ``FdEnd``."""
        return self._socket.send(buffers[0])

    def is_readable(self) -> bool:
        """See ``FdEnd``."""
        return bool(_System.select([self.fd], [], [], 0)[0])

    def keep_from_children(self) -> None:
        """Do nothing: where this is used, nothing is forked, and sockets are not inherited."""


LinkEnd: TypeAlias = "FdEnd | SocketEnd"


def is_of_system_call(error: OSError) -> bool:
    """Whether the call itself failed, in the frame that catches it, and not a signal handler inside of it.

    What a handler raises may be an ``OSError`` (``TimeoutError`` is one) and must not be taken for the end of the
    connection. A failed system call has no Python frame of its own in the traceback, a handler has.
    """
    return error.__traceback__ is not None and error.__traceback__.tb_next is None
