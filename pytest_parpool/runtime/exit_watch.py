"""Says which of this process's children have ended, through one descriptor that a selector can wait for.

Linux has a descriptor per process (pidfd), macOS and the BSDs have process events in kqueue(2). Neither needs a signal
handler or a thread, and neither takes the exit code away from whoever waits for the child.
"""

from __future__ import annotations

import os
import select
import sys


class ExitWatch:
    """Owns its descriptors; ``close`` it.

    Raises:
        OSError: If this system gives no descriptors, or has no pidfds (Linux before 5.3).
    """

    def __init__(self) -> None:
        self._told, self._tell = os.pipe()
        self._pids: dict[int, int] = {}
        if sys.platform == "linux":
            self._poll = select.epoll()
            self._poll.register(self._told, select.EPOLLIN)
        else:
            self._poll = select.kqueue()
            self._poll.control([select.kevent(self._told, select.KQ_FILTER_READ, select.KQ_EV_ADD)], 0)

    def fileno(self) -> int:
        """Return a descriptor that is readable while ``ended`` has something to say, and after ``wake``."""
        return self._poll.fileno()

    def wake(self) -> None:
        """Make the descriptor readable until ``ended`` is called."""
        os.write(self._tell, b"!")

    def watch(self, pid: int) -> None:
        """Look after a child from now on."""
        if sys.platform == "linux":
            fd = os.pidfd_open(pid)
            self._pids[fd] = pid
            self._poll.register(fd, select.EPOLLIN)
        else:
            flags = select.KQ_EV_ADD | select.KQ_EV_ONESHOT
            self._poll.control([select.kevent(pid, select.KQ_FILTER_PROC, flags, select.KQ_NOTE_EXIT)], 0)

    def ended(self) -> list[int]:
        """Return the ids of those that have ended since the last call; they are not reaped."""
        found = []
        if sys.platform == "linux":
            for fd, _ in self._poll.poll(0):
                if fd == self._told:
                    os.read(self._told, 4096)
                    continue
                self._poll.unregister(fd)
                os.close(fd)
                found.append(self._pids.pop(fd))
        else:
            for event in self._poll.control(None, 64, 0):
                if event.filter == select.KQ_FILTER_READ:
                    os.read(self._told, 4096)
                else:
                    found.append(event.ident)
        return found

    def close(self) -> None:
        """Look after nobody any more."""
        for fd in (*self._pids, self._told, self._tell):
            os.close(fd)
        self._pids.clear()
        self._poll.close()
