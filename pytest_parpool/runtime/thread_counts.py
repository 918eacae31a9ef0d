"""Whether there are threads that Python did not start: what is asked in every run before any are looked for."""

from __future__ import annotations

import _thread
import os


def python_thread_count() -> int:
    """Return how many threads Python started and has not yet ended, the main thread included.

    Not ``threading.active_count()``: it also counts native threads that once called into Python, even if long gone.
    """
    return _thread._count() + 1  # noqa: SLF001 - the only exact count; in every CPython since 2.7.


def may_have_native_threads() -> bool:
    """Whether the system counts more threads than Python does, now; False where it does not tell.

    A Python thread that has just ended may be among them for a moment.
    """
    try:
        return len(os.listdir("/proc/self/task")) > python_thread_count()
    except OSError:  # Not Linux, or a hardened one; the fork itself does not depend on this.
        return False
