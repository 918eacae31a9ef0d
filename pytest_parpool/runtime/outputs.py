"""What a worker wrote and never sent: its capture files, held open by the controller from birth.

The files are anonymous and would go with the worker. The controller opens them while the worker stands still after its
birth, and reads them if it dies: through ``/proc/PID/fd`` on Linux, by duplicates of the worker's handles on Windows.
"""

from __future__ import annotations

import os
import sys

from pytest_parpool.model.records import Record, record

if sys.platform == "win32":
    from pytest_parpool.runtime.windows import kernel

# The end of an output says why it died; a report of gigabytes helps nobody.
_TAIL_BYTES = 1 << 20

OUTPUT_NAME = "parpool-output"
STACKS_NAME = "parpool-stacks"

_kept_files: list[object] = []


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
        fds: What it has said of stdout, stderr and the faulthandler file: see ``tell_fds``.
    """

    def __init__(self, pid: int, fds: tuple[int, int, int]) -> None:
        self._fds = tuple(_open_other(pid, fd) for fd in fds)

    @classmethod
    def inherited(cls, out_fd: int, stack_fd: int) -> OutputFiles:
        """Return files that the worker has inherited from this process, and writes at the position of ours."""
        files = cls.__new__(cls)
        files._fds = (out_fd, -1, stack_fd)  # noqa: SLF001  -- its own class
        return files

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
    """Open another process's file: a file description of our own, so that reading moves no position of its.

    On Windows it moves that, too, but nobody reads before the other one is dead.
    """
    if fd < 0:
        return -1
    try:
        if sys.platform == "win32":
            return kernel.open_handle_of(pid, fd)
        return os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # No /proc, or the worker is gone already: then there is nothing to show.
        return -1


def make_file(name: str) -> int:
    """Return the descriptor of a file that is gone with its last descriptor, or -1 where others could not open it."""
    if sys.platform == "linux":
        return os.memfd_create(name, os.MFD_CLOEXEC)
    if sys.platform == "win32":
        import tempfile

        file = tempfile.TemporaryFile(prefix=name, buffering=0)  # noqa: SIM115  -- it lives as long as the worker
        _kept_files.append(file)
        return file.fileno()
    return -1


def _read_tail(fd: int) -> str:
    if fd < 0:
        return ""
    os.lseek(fd, max(0, os.fstat(fd).st_size - _TAIL_BYTES), os.SEEK_SET)
    data = b""
    while len(data) < _TAIL_BYTES and (part := os.read(fd, _TAIL_BYTES - len(data))):
        data += part
    return data.decode("utf-8", "replace")


# --- In the worker ----------------------------------------------------------------------------------------------------


def tell_fds(fds: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return what the controller opens this process's files by; -1 for none."""
    if sys.platform == "win32":
        out, err, stack = [kernel.handle_of(fd) if fd >= 0 else -1 for fd in fds]
        return out, err, stack
    return fds
