"""A jobserver as GNU make has it: a pipe that holds a token for each slot that is free.

Whoever wants to run a second job takes a token out (by reading a byte), and puts it back when the job has ended (by
writing it); the first job needs none, because its slot is that of the test. See GNU make's manual, "POSIX Jobserver".
The pipe is the whole server: no process has to answer, and none can be waited for in vain.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from types import TracebackType
from typing import TYPE_CHECKING

from pytest_parpool.budget.makeflags import parse_make_version, with_fifo, with_pipe

if TYPE_CHECKING:
    from typing_extensions import Self

# So many bytes go into every empty pipe without blocking, on every system.
MOST_TOKENS = 4096

_TOKEN = b"+"  # Any byte will do; this is make's own.

# It prints a few lines; on a machine where everything competes for two CPUs.
_ASK_SECONDS = 10


class Jobserver:
    """Owns the pipe, and the directory that it stands in; leaving the context removes them.

    If the process that owns it is killed, the directory stays.

    Args:
        is_named: Whether ``MAKEFLAGS`` is to say the pipe's path. Else it says two descriptors, which are inherited.

    Raises:
        OSError: If there can be no such directory or pipe.
    """

    def __init__(self, *, is_named: bool) -> None:
        self.is_named = is_named
        # Mode 0700: a token is a process's right to work, and a pipe that anybody may read could be emptied.
        self._directory = tempfile.mkdtemp(prefix="pytest-parpool-jobserver-")
        self.path = os.path.join(self._directory, "tokens")
        try:
            os.mkfifo(self.path, 0o600)
            # Kept open while the run lasts: a pipe that nobody has open is empty.
            self._reader, self._writer = open_ends(self.path, is_inheritable=not is_named)
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close and remove the pipe. Whoever has it open goes on with what is in it."""
        os.close(self._reader)
        os.close(self._writer)
        shutil.rmtree(self._directory, ignore_errors=True)

    def add_tokens(self, count: int) -> None:
        """Say that so many slots have become free.

        Args:
            count: All calls together at most ``MOST_TOKENS``, so that this never blocks.
        """
        os.write(self._writer, _TOKEN * count)

    def makeflags(self, before: str, slots: int) -> str:
        """Return the text that tells of this jobserver.

        Args:
            before: ``MAKEFLAGS`` without it.
            slots: Of the whole run. Make shows the number and does not count by it.
        """
        if self.is_named:
            return with_fifo(before, slots, self.path)
        return with_pipe(before, self._reader, self._writer)


def open_ends(path: str, *, is_inheritable: bool) -> tuple[int, int]:
    """Open a named pipe and return the descriptors to read and to write with.

    Args:
        path: Of the pipe.
        is_inheritable: Whether programs that are started here get them too, if they are not closed on the way.

    Raises:
        OSError: If it is not there.
    """
    # Opening one end would wait for somebody who has the other, but for reading without blocking (fifo(7)).
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        writer = os.open(path, os.O_WRONLY)
    except BaseException:
        os.close(reader)
        raise
    os.set_blocking(reader, True)  # As make expects it.
    for fd in (reader, writer):
        os.set_inheritable(fd, is_inheritable)
    return reader, writer


def ask_make_version() -> tuple[int, int] | None:
    """Return the version of the GNU make that tests find, or None if they find none."""
    make = shutil.which("make")
    if make is None:
        return None
    environ = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    try:
        answer = subprocess.run(
            [make, "--version"], env=environ, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None  # Nothing that could run in a test either.
    return parse_make_version(answer.stdout)
