"""Learns from the kernel that a process has ended, whoever its parent is, and asks how."""

from __future__ import annotations

import os
import sys
from typing import Final

from pytest_parpool.sync.system import System

# Fields of /proc/<pid>/stat behind the command's name, which may hold anything (proc_pid_stat(5)).
_EXIT_CODE_FIELD: Final = 49
_SIGNAL_BITS: Final = 0x7F

HAS_ENDED: Final = "has ended"


def watch(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, or None where there is no such thing.

    Raises:
        ProcessLookupError: If there is no such process.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:  # An old kernel, a sandbox, or no descriptors left.
        return None


def is_alive(pid: int) -> bool:
    """Whether there is such a process, or what is left of it before its parent looks."""
    if sys.platform == "win32":
        from pytest_parpool.runtime.windows import kernel

        return kernel.is_alive(pid)
    try:
        System.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # It is somebody else's, but it is.
        return True
    return True


def describe_end(pid: int) -> str:
    """Return how a process ended, for messages, as "was killed by SIGKILL", while its parent has not reaped it."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        status = int(fields[_EXIT_CODE_FIELD])
    except (OSError, IndexError, ValueError):
        return HAS_ENDED
    if number := status & _SIGNAL_BITS:
        import signal  # It takes a millisecond, and most processes end otherwise.

        try:
            return f"was killed by {signal.Signals(number).name}"
        except ValueError:  # A real-time signal.
            return f"was killed by signal {number}"
    if code := os.waitstatus_to_exitcode(status):
        return f"has ended with exit code {code}"
    return HAS_ENDED
