"""How a process ended, and how to say it."""

from __future__ import annotations

import signal
from typing import Final

from pytest_parpool.model.records import Record, record

SIGKILL: Final = 9  # POSIX; `signal` has it by name on some systems only.

# Windows: what the kernel ends a process with (NTSTATUS, winnt.h).
_LEAST_STATUS: Final = 0x80000000
_STATUSES: Final = {
    0xC0000005: "access violation",
    0xC000001D: "illegal instruction",
    0xC0000094: "integer division by zero",
    0xC00000FD: "stack overflow",
    0xC000013A: "Ctrl-C",
    0xC0000374: "heap corruption",
    0xC0000409: "stack buffer overrun, or abort()",
}


@record
class Exit(Record):
    """The end of a process.

    Attributes:
        code: As ``multiprocessing.Process.exitcode``: the exit code, or minus the signal's number; None if nobody
            could say any more (the process that would have reaped it died first).
        why: More about an end without a code, e.g. why it could not even be born.
    """

    code: int | None
    why: str = ""

    @property
    def may_be_kill(self) -> bool:
        """Whether SIGKILL ended it, as far as anybody knows."""
        return self.code is None or self.code == -SIGKILL

    def describe(self) -> str:
        """Return e.g. ``killed by SIGSEGV`` or ``exit code 3``."""
        if self.code is None:
            return self.why or "exit code unknown"
        if self.code >= _LEAST_STATUS:
            known = _STATUSES.get(self.code)
            return f"exit code {self.code:#x}" + (f", {known}" if known else "")
        if self.code >= 0:
            return CHANNEL_LOST_TEXT if self.code == CHANNEL_LOST_CODE else f"exit code {self.code}"
        if self.code == -SIGKILL and not hasattr(signal, "SIGKILL"):
            return "killed"
        try:
            name = signal.Signals(-self.code).name
        except ValueError:
            name = f"signal {-self.code}"
        return f"killed by {name}"


# A worker whose channel to the controller was closed (a test closed every file descriptor, say) leaves with this code.
# Above the codes that programs use, below 128 + signal of shells.
CHANNEL_LOST_CODE = 117
CHANNEL_LOST_TEXT = f"exit code {CHANNEL_LOST_CODE}: the test closed or replaced the worker's file descriptors"
CHANNEL_SPOILED_TEXT = "ended, because something in it wrote to file descriptors that are not its own"
