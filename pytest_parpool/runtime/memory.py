"""Memory that processes share which are no copies of one another: it has a descriptor, and no name anywhere.

On Windows it has no descriptor, but a name, until the last process that has mapped it has ended.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable

_UNIQUE_BYTES = 8
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


def map_named(name: str, size_bytes: int) -> mmap.mmap:
    """Return the memory of this name, new if there is none; on Windows only.

    Raises:
        OSError: If there can be no memory of this size.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, size_bytes, tagname=name)
    raise AssertionError("memory has no names here")


def array_name(broker: str, array: int) -> str:
    """Return the name of a shared array's memory.

    Args:
        broker: The broker's name.
        array: The array's number there.
    """
    return f"pytest-parpool-array-{broker}-{array}"


def lend_memory(name: str, size_bytes: int) -> tuple[mmap.mmap, str, Callable[[], None]] | None:
    """Make memory that processes of this run can borrow that inherit none.

    Returns:
        The memory, where others find it, and what has them find it no longer. None on systems where there is no way.
    """
    if sys.platform == "win32":
        unique = f"{name}-{os.getpid()}-{os.urandom(_UNIQUE_BYTES).hex()}"
        return map_named(unique, size_bytes), unique, lambda: None
    if sys.platform != "linux":
        return None
    fd = make_memory(name, size_bytes)
    return map_memory(fd), f"/proc/{os.getpid()}/fd/{fd}", lambda: os.close(fd)


def borrow_memory(address: str, size_bytes: int) -> mmap.mmap:
    """Return what was lent, for as long as this process lives.

    Args:
        address: Where it is found, as ``lend_memory`` has said.
        size_bytes: How much it is.
    """
    if sys.platform == "win32":
        return map_named(address, size_bytes)
    fd = os.open(address, os.O_RDWR | os.O_CLOEXEC)
    try:
        return map_for_ever(fd)
    finally:
        os.close(fd)


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
