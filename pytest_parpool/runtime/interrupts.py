"""How SIGINT reaches a worker's main thread.

From the C module: what ``signal`` wraps around it makes enums of all that it returns, and takes more of a young
process's pages than all else that is done here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # it has no stub

SIGINT: int = _signal.SIGINT


def raise_interrupts() -> None:
    """Have SIGINT raise ``KeyboardInterrupt``, whatever the parent has done with it."""
    _signal.signal(SIGINT, _signal.default_int_handler)


def unignore_interrupts() -> None:
    """Have SIGINT raise ``KeyboardInterrupt``, if it would be ignored: a shell's background job ignores it."""
    if _signal.getsignal(SIGINT) == _signal.SIG_IGN:
        raise_interrupts()
