"""What all that can be acquired has in common: how long to wait for it, and the warning if somebody died with it."""

from __future__ import annotations

from typing import Final

from pytest_parpool.sync.caller import warn_at_line
from pytest_parpool.sync.errors import AbandonedLockWarning

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_FOR_EVER: Final = -1


def wait_seconds(timeout: float | None, *, is_blocking: bool) -> float | None:
    """Return the timeout of a request from the arguments of an ``acquire``.

    None and -1 mean for ever, as in ``multiprocessing`` and ``threading``; other negative numbers mean 0.

    Raises:
        ValueError: If a timeout is given for something that does not wait, as in ``threading``.
    """
    if not is_blocking:
        if timeout is not None and timeout != _FOR_EVER:
            raise ValueError("timeout: can't be given for a non-blocking call")
        return 0
    if timeout is None or timeout == _FOR_EVER:
        return None
    return max(0.0, timeout)


def warn_of_dead(text: str) -> bool:
    """Warn the user's line that who had this before died with it; return True.

    Raises:
        AbandonedLockWarning: If warnings are errors.
    """
    warn_at_line(text, AbandonedLockWarning)
    return True
