"""Whether the controller may open as many files as its workers need.

Asked before the fork, because a run that meets the limit half-way has already lost something.
"""

from __future__ import annotations

from pytest_parpool.errors import BadSettingError

# In the controller, for each worker: its channel, its pidfd, a second one if it is spawned and not forked, and its
# capture files for stdout, stderr and faulthandler.
FILES_PER_WORKER = 6

# The template's channel and pidfd, the selector, the wake-up and lifeline pipes (about 10); the rest is room for what
# reporters, conftests and the import system open for a moment.
FILES_FOR_THE_REST = 32


def files_needed(processes: int) -> int:
    """Return how many more files the controller must be able to open for a run on ``processes`` workers."""
    return FILES_PER_WORKER * processes + FILES_FOR_THE_REST


def check_open_files(processes: int, soft_limit: int, already_open: int) -> None:
    """Check that the soft limit is high enough.

    Args:
        processes: Number of workers, at least 1.
        soft_limit: Of ``resource.getrlimit(RLIMIT_NOFILE)``; negative (``RLIM_INFINITY``) for none.
        already_open: Number of file descriptors that the controller has open now.

    Raises:
        BadSettingError: If it is too low.
    """
    need = already_open + files_needed(processes)
    if soft_limit < 0 or need <= soft_limit:
        return
    possible = (soft_limit - already_open - FILES_FOR_THE_REST) // FILES_PER_WORKER
    fewer = f"give at most -n {possible}" if possible > 0 else "give -n 0"
    raise BadSettingError(
        f"-n/--numprocesses: {processes} workers need {need} open files, but RLIMIT_NOFILE allows {soft_limit}; "
        f"raise it with 'ulimit -n {need}', or {fewer}"
    )
