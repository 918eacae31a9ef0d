"""How a pool's workers are started, if the user does not say it."""

from __future__ import annotations

import os
import sys
import threading

from pytest_parpool.workload.service import THREAD_NAME


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
    return "fork" if max(threading.active_count(), _native_thread_count()) - own == 1 else "spawn"


def _native_thread_count() -> int:
    if sys.platform != "linux":
        return 1
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:  # A hardened system; the fork itself does not depend on this.
        return 1
