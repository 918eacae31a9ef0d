"""How a pool's workers are started, if the user does not say it."""

from __future__ import annotations

import os
import sys
import threading
import time

from pytest_parpool.workload.service import THREAD_NAME

# A thread that has been joined, as that of the pool before, is seen by the system for a moment yet.
_LINGER_SECONDS = 0.01
_LOOK_SECONDS = 0.0002


def choose_start_method(wanted: str | None) -> str:
    """Return ``fork`` or ``spawn``.

    A fork copies one thread only, and whatever lock another one holds stays locked in the copy. So a process is forked
    only if it has no other thread; the service threads of other pools do not count, as they hold nothing that a worker
    could want.

    Args:
        wanted: What the user said, or None.
    """
    if wanted is not None:
        return wanted
    own = sum(thread.name == THREAD_NAME for thread in threading.enumerate())
    known = threading.active_count()
    give_up_at = time.monotonic() + _LINGER_SECONDS
    while (count := _native_thread_count()) > known and time.monotonic() < give_up_at:
        time.sleep(_LOOK_SECONDS)
    return "fork" if max(known, count) - own == 1 else "spawn"


def _native_thread_count() -> int:
    if sys.platform != "linux":
        return 1
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:  # A hardened system; the fork itself does not depend on this.
        return 1
