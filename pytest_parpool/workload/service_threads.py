"""Knows the service threads of this process's pools: those that are there, by their name, and those that just end.

A thread that Python has joined is there for the system a moment longer, and on a busy machine that moment is many
milliseconds. Nobody else may take it for a thread that a fork would leave behind.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Final

THREAD_NAME: Final = "parpool-pool"

# Much longer than it ever takes; and then something else has got its number.
_MOST_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.0002

_ending: set[int] = set()


def note_end() -> None:
    """Note that the thread that calls this, a service thread, is about to end."""
    if sys.platform == "linux":  # Nobody asks elsewhere, where nothing is forked without being told to.
        _ending.add(threading.get_native_id())


def await_ends() -> None:
    """Wait until the system has none of the threads any more that were about to end."""
    give_up_at = time.monotonic() + _MOST_SECONDS
    while _ending and time.monotonic() < give_up_at:
        _ending.difference_update([thread for thread in tuple(_ending) if not _exists(thread)])
        if _ending:
            time.sleep(_LOOK_SECONDS)
    _ending.clear()


def _exists(thread: int) -> bool:
    return os.path.exists(f"/proc/self/task/{thread}")
