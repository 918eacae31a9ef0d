"""What a worker wrote and never sent: its capture files, held open by the controller from birth.

The files are anonymous and would go with the worker. The controller opens them through ``/proc/PID/fd`` while the
worker stands still after its birth, and reads them if it dies.
"""

from __future__ import annotations

import os

from pytest_parpool.model.records import Record, record

# The end of an output says why it died; a report of gigabytes helps nobody.
_TAIL_BYTES = 1 << 20


@record
class LastOutput(Record):
    """What a dead worker had written since its last report.

    Attributes:
        out: Standard output.
        err: Standard error.
        stack: What ``faulthandler`` wrote.
    """

    out: str = ""
    err: str = ""
    stack: str = ""


class OutputFiles:
    """The controller's copies of one worker's files; ``close`` them.

    Args:
        pid: The worker's process.
        fds: Its descriptors of stdout, stderr and the faulthandler file; -1 for none.
    """

    def __init__(self, pid: int, fds: tuple[int, int, int]) -> None:
        self._fds = tuple(_open_other(pid, fd) for fd in fds)

    def read(self) -> LastOutput:
        """Return what is in the files now."""
        return LastOutput(*[_read_tail(fd) for fd in self._fds])

    def close(self) -> None:
        """Close the copies."""
        for fd in self._fds:
            if fd >= 0:
                os.close(fd)
        self._fds = ()


def _open_other(pid: int, fd: int) -> int:
    """Open another process's file: a file description of our own, so that reading moves no position of its."""
    if fd < 0:
        return -1
    try:
        return os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # No /proc, or the worker is gone already: then there is nothing to show.
        return -1


def _read_tail(fd: int) -> str:
    if fd < 0:
        return ""
    size = os.fstat(fd).st_size
    data = os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    return data.decode("utf-8", "replace")
