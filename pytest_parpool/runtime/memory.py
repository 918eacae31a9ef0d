"""Memory that processes share which are no copies of one another: it has a descriptor, and no name anywhere."""

from __future__ import annotations

import mmap
import os
import sys

_kept: list[mmap.mmap] = []


def make_memory(name: str, size_bytes: int) -> int:
    """Return the descriptor of new memory, filled with zeros.

    Raises:
        OSError, OverflowError: If there can be no memory of this size.
    """
    if sys.platform == "linux" and hasattr(os, "memfd_create"):
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        import tempfile

        fd, path = tempfile.mkstemp(prefix=f"{name}-")
        os.unlink(path)
    try:
        os.ftruncate(fd, size_bytes)
    except BaseException:
        os.close(fd)
        raise
    return fd


def map_memory(fd: int) -> mmap.mmap:
    """Return the memory behind a descriptor, which can then be closed.

    Python before 3.13 keeps a duplicate of the descriptor open, as long as the memory is used.
    """
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, 0, trackfd=False)
    return mmap.mmap(fd, 0)


def map_for_ever(fd: int) -> mmap.mmap:
    """Return the memory behind a descriptor, with no other descriptor for it in this process, to its end.

    A test that writes to every descriptor would else write to what belongs to all workers.
    """
    # The lowest number that is free: there Python before 3.13 puts its duplicate.
    number = os.dup(fd)
    os.close(number)
    memory = map_memory(fd)
    if sys.version_info < (3, 13) and os.path.sameopenfile(number, fd):
        os.close(number)
        _kept.append(memory)  # It would close that number once more, whosever it is then.
    return memory
