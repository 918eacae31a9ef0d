"""Ends a worker, and its process group, when its controller is gone, however busy the worker is.

One silent pipe. The controller holds the write end and never writes. Each worker asks the kernel to signal its process
group with SIGKILL as soon as something happens on the read end, and the only thing that can happen is its end. No
thread, no polling; blocked signals do not matter, because SIGKILL cannot be blocked (fcntl(2), F_SETSIG and F_SETOWN).

Only on Linux: on Windows jobs do it (``windows.job``), elsewhere the end of the channel has to do.
"""

from __future__ import annotations

import os
import sys

if sys.platform != "win32":
    import fcntl

from pytest_parpool.model.exits import SIGKILL


class Lifeline:
    """A pipe whose end kills whoever is ``tied`` to it. Owned by the controller, which keeps it open while it lives."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()

    @classmethod
    def inherited(cls, read_fd: int) -> Lifeline:
        """Return the lifeline that a process was given the read end of, and nothing else."""
        lifeline = cls.__new__(cls)
        lifeline.read_fd, lifeline.write_fd = read_fd, -1
        return lifeline

    def close_write_end(self) -> None:
        """Close this process's copy of the write end, if it has one: the end comes when the last copy is closed."""
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def close(self) -> None:
        """Let go: whoever is still tied to it is killed."""
        self.close_write_end()
        os.close(self.read_fd)


class Tie:
    """What holds this process to its controller; made in the worker. ``release`` before a good end.

    Args:
        lifeline: As inherited.

    Must be called by the leader of its process group, which is what is killed.
    """

    def __init__(self, lifeline: Lifeline) -> None:
        # First: until the last copy is closed the end never comes (pipe(7)).
        lifeline.close_write_end()
        self._fd = -1
        if sys.platform != "linux":
            # End-of-file on the channel has to do.
            self._fd = lifeline.read_fd
            return
        # Re-open the read end: the signal settings belong to the open file description, which a fork shares, so that
        # without this only the last worker would be signalled.
        self._fd = os.open(f"/proc/self/fd/{lifeline.read_fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.close(lifeline.read_fd)
        fcntl.fcntl(self._fd, fcntl.F_SETSIG, SIGKILL)
        fcntl.fcntl(self._fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(self._fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        # The controller may have gone before the last line took effect; then the end is there already.
        if self._has_ended():
            os.killpg(os.getpgrp(), SIGKILL)

    def _has_ended(self) -> bool:
        try:
            return os.read(self._fd, 1) == b""
        except BlockingIOError:
            return False

    def release(self) -> None:
        """Untie, so that children that outlive this worker on purpose are not killed at the end of the run.

        A descriptor that a test has closed, or taken for itself, is left alone by whoever checks that before.
        """
        if sys.platform == "linux":
            fcntl.fcntl(self._fd, fcntl.F_SETFL, os.O_NONBLOCK)
