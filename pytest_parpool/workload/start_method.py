"""How a pool's workers are started, if the user does not say it."""

from __future__ import annotations

import os
import sys
import threading
import time

from pytest_parpool.runtime.thread_counts import python_thread_count
from pytest_parpool.workload.service_threads import THREAD_NAME, await_ends

# A thread that has been joined, as that of the pool before, is seen for a moment yet.
_LOOK_SECONDS = 0.0002


def choose_start_method(wanted: str | None) -> str:
    """Return ``fork`` or ``spawn``.

    A fork copies one thread only, and whatever lock another one holds stays locked in the copy. So a process is forked
    only if it has no other thread but those that do no harm: the service threads of other pools, which stand still
    meanwhile (see ``fork_gate``), and those of OpenBLAS, which stops them before a fork.

    Args:
        wanted: What the user said, or None.
    """
    if wanted is not None:
        return wanted
    if sys.platform == "win32":
        return "spawn"
    this = threading.current_thread()
    threads = [thread for thread in threading.enumerate() if thread is this or not _is_stand_in(thread)]
    if any(thread is not this and thread.name != THREAD_NAME for thread in threads):
        return "spawn"
    known = len(threads)
    if _native_thread_count() > known:
        await_ends()
    return "spawn" if _native_thread_count() > known and _has_unsafe_threads(known) else "fork"


def _is_stand_in(thread: threading.Thread) -> bool:
    """Whether a thread that was not started by ``threading`` once asked who it is; it may be long gone.

    If it is still there, it is among those that the system counts, where the system can be asked.
    """
    return sys.platform == "linux" and isinstance(thread, threading._DummyThread)  # noqa: SLF001 - the only way to tell


def _has_unsafe_threads(known: int) -> bool:
    """Look at threads that ``threading`` does not know: of libraries, or of Python's, but started in another way."""
    # Not loaded for most processes, which have none.
    from pytest_parpool.runtime import native_threads

    give_up_at = time.monotonic() + native_threads.SETTLE_SECONDS
    while python_thread_count() > known:
        if time.monotonic() > give_up_at:
            return True
        time.sleep(_LOOK_SECONDS)
    return bool(native_threads.scan(()))


def _native_thread_count() -> int:
    if sys.platform != "linux":
        return 1
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:  # A hardened system; the fork itself does not depend on this.
        return 1
