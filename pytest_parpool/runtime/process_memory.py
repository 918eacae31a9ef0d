"""This process' memory: how much it is, and how what nobody uses is given back to the system."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Protocol

    class ProcessMemory(Protocol):
        """What is known of this process' memory, and can be done about it."""

        def touched_bytes(self) -> int:
            """Return how much memory has become its own since the process began; only grows, and is cheap to ask."""
            ...

        def held_bytes(self) -> int:
            """Return how much it has now, mapped files not counted; 0 if the system does not tell."""
            ...

        def give_back(self) -> None:
            """Give back what nobody uses."""
            ...


# Bound here, because test suites replace what modules have.
_collect = gc.collect
_open, _read, _close = os.open, os.read, os.close

if sys.platform == "linux":
    import resource

    class _LinuxMemory:
        """Memory as Linux and the GNU C library have it: getrusage(2), proc_pid_statm(5), malloc_trim(3)."""

        def __init__(self) -> None:
            self._page_bytes = resource.getpagesize()
            self._getrusage = resource.getrusage
            self._trim = getattr(c_library(), "malloc_trim", None)

        def touched_bytes(self) -> int:
            return self._getrusage(resource.RUSAGE_SELF).ru_minflt * self._page_bytes

        def held_bytes(self) -> int:
            try:
                fd = _open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # No descriptors are left, or the system hides it.
                return 0
            try:
                _, resident, of_files, *_ = map(int, _read(fd, 256).split())
            finally:
                _close(fd)
            return (resident - of_files) * self._page_bytes

        def give_back(self) -> None:
            _collect()
            if self._trim is not None:
                self._trim(0)


def c_library() -> Any:
    """Return the C library as ``ctypes`` sees it, or None if it is not there.

    Which is not imported for this alone: it takes two milliseconds, and who brings large arrays has it.
    """
    ctypes = sys.modules.get("ctypes")
    try:
        return ctypes.CDLL(None) if ctypes is not None else None
    except (OSError, TypeError):  # A program that is linked as a whole.
        return None


def own_memory() -> ProcessMemory | None:
    """Return this process' memory, or None where the system does not tell of it."""
    if sys.platform == "linux":
        return _LinuxMemory()
    return None
