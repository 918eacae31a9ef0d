"""The shared memory in which locks are taken without asking the broker, and the kernel's locks that go with it.

Each lock has a *slot*: a mark, a note, and one byte of the file that stands for it in the kernel (``fcntl(2)``, record
locks). ``docs/explanation/shared-objects.md`` says who does what with them, in which order, and why that is right.

What one has to know about record locks: they belong to a process, are not inherited by a fork, and end with the
process. They also end when their process closes *any* descriptor of the file. So a process gets one descriptor, once,
and neither it nor the mapping is ever closed, not even when they are replaced.

A note is written by whoever holds the byte, and read by others at any time. Its first byte is a sequence number, zero
while there is no note: written last, and compared before and after the rest was read.
"""

from __future__ import annotations

import marshal
import mmap
import os
import struct
import sys
from typing import Any, Final

from pytest_parpool.model.sync_moves import Holder
from pytest_parpool.model.sync_requests import Origin
from pytest_parpool.runtime.memory import make_memory

if sys.platform != "win32":
    import fcntl

HAS_SLOTS: Final = sys.platform != "win32"
"""Whether there are such locks, which a process can take by itself. Else the broker gives all of them."""

SLOTS: Final = 1024
SLOT_BYTES: Final = 512

_MARK: Final = 0
_SEQUENCE: Final = 1
_LENGTH: Final = 2
_TEXT: Final = 4
_ROOM_BYTES: Final = SLOT_BYTES - _TEXT
_WRAP: Final = 256

# Texts that do not fit are cut to the first of these lengths with which all three of them do, whatever their letters.
_CUT_LENGTHS: Final = (120, 60, 30)
# So high that a test that counts or fills descriptors does not meet it.
_LOWEST_FD: Final = 200
_MARSHAL_VERSION: Final = 2

# Bound at import: tests mock modules.
_dumps = marshal.dumps
_loads = marshal.loads
_length = struct.Struct("=H")
_pack_length = _length.pack_into
_unpack_length = _length.unpack_from
if sys.platform != "win32":
    _TRY = fcntl.LOCK_EX | fcntl.LOCK_NB
    _UNLOCK = fcntl.LOCK_UN
    _DUPLICATE = fcntl.F_DUPFD_CLOEXEC


class _System:
    """As in ``link_ends``: the operating system's own functions, where a fake file system does not find them."""

    close = staticmethod(os.close)
    fstat = staticmethod(os.fstat)
    set_inheritable = staticmethod(os.set_inheritable)
    if sys.platform != "win32":
        control = staticmethod(fcntl.fcntl)
        lockf = staticmethod(fcntl.lockf)


class _Slots:
    """What both sides can do. Never closed: see above.

    Args:
        fd: The file's descriptor; owned from here on.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._identity = _identity(fd)
        self._memory = mmap.mmap(fd, SLOTS * SLOT_BYTES)

    def try_take(self, slot: int) -> bool:
        """Take the slot's byte, if no other process has it. This process may take it again and again."""
        try:
            _System.lockf(self.fd, _TRY, 1, slot)
        except (BlockingIOError, PermissionError):  # POSIX allows EAGAIN and EACCES.
            return False
        return True

    def let_go(self, slot: int) -> None:
        """Unlock the slot's byte."""
        _System.lockf(self.fd, _UNLOCK, 1, slot)

    def is_marked(self, slot: int) -> bool:
        """Whether the broker has marked the slot."""
        return self._memory[slot * SLOT_BYTES] != 0

    def has_note(self, slot: int) -> bool:
        """Whether somebody has written a note and not wiped it."""
        return self._memory[slot * SLOT_BYTES + _SEQUENCE] != 0

    def wipe(self, slot: int) -> None:
        """Forget the note."""
        self._memory[slot * SLOT_BYTES + _SEQUENCE] = 0

    def read_note(self, slot: int) -> Holder | None:
        """Return who wrote the note, or None if there is none, or if it was changed meanwhile."""
        memory, start = self._memory, slot * SLOT_BYTES
        sequence = memory[start + _SEQUENCE]
        if not sequence:
            return None
        (length,) = _unpack_length(memory, start + _LENGTH)
        data = memory[start + _TEXT : start + _TEXT + min(length, _ROOM_BYTES)]
        if memory[start + _SEQUENCE] != sequence:
            return None
        try:
            party_name, pid, lane, test, where, since = _loads(data)
        except (ValueError, EOFError, TypeError):  # Cut off by its writer's death.
            return None
        return Holder(party_name, pid, Origin(lane, test, where), since)


class PartySlots(_Slots):
    """The side of a process that uses shared objects.

    A fork inherits it, and may use it: the kernel's locks tell the processes apart.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._sequence = 0

    def is_connected(self) -> bool:
        """Whether the descriptor is still what it was: a test may close it, or put another file in its place."""
        try:
            return _identity(self.fd) == self._identity
        except OSError:  # It is closed.
            return False

    def replace_fd(self, fd: int) -> None:
        """Go on with another descriptor of the same file, owned from here on."""
        self.fd = fd
        self._identity = _identity(fd)

    def write_note(self, slot: int, party_name: str, pid: int, lane: int, test: str, where: str, since: float) -> None:
        """Say who has the slot; only for who has."""
        data = _dumps((party_name, pid, lane, test, where, since), _MARSHAL_VERSION)
        if len(data) > _ROOM_BYTES:
            data = _cut_note(party_name, pid, lane, test, where, since)
        memory, start, length = self._memory, slot * SLOT_BYTES, len(data)
        self._sequence = sequence = self._sequence % (_WRAP - 1) + 1
        _pack_length(memory, start + _LENGTH, length)
        memory[start + _TEXT : start + _TEXT + length] = data
        memory[start + _SEQUENCE] = sequence


class BrokerSlots(_Slots):
    """The broker's side, which makes the memory; it is gone when the last process that knows it has ended."""

    def __init__(self) -> None:
        super().__init__(make_memory("parpool-locks", SLOTS * SLOT_BYTES))

    def mark(self, slot: int) -> None:
        """Ask whoever lets the slot go to say so, and everybody else to ask before they take it."""
        self._memory[slot * SLOT_BYTES] = 1

    def mark_all(self) -> None:
        """Mark all slots: from now on nobody takes one by itself."""
        for slot in range(SLOTS):
            self.mark(slot)

    def unmark(self, slot: int) -> None:
        """Let everybody take the slot by themselves again."""
        self._memory[slot * SLOT_BYTES] = 0


def keep_fd(fd: int) -> int:
    """Move a descriptor out of the way of tests, and keep it from programs that are executed; return its new number.

    Only before a lock was taken through it: the old number is closed.
    """
    try:
        kept = _System.control(fd, _DUPLICATE, _LOWEST_FD)
    except OSError:  # There may be a lower limit.
        _System.set_inheritable(fd, False)
        return fd
    _System.close(fd)
    return kept


def _identity(fd: int) -> tuple[int, int]:
    status = _System.fstat(fd)
    return status.st_dev, status.st_ino


def _cut_note(*values: Any) -> bytes:
    """Return a note whose texts are cut: of the end of a node id and of a path one can tell the most."""
    data = b""
    for length in _CUT_LENGTHS:
        cut = tuple([value[-length:] if isinstance(value, str) else value for value in values])
        data = _dumps(cut, _MARSHAL_VERSION)
        if len(data) <= _ROOM_BYTES:
            break
    return data
