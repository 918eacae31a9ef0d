"""Numbers what can wait by itself: the threads of this process, and the tasks of its event loops."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_numbers = itertools.count(1)
_of_tasks: Final[WeakKeyDictionary[asyncio.Task[Any], int]] = WeakKeyDictionary()
_modules = sys.modules


def new_lane() -> int:
    """Return a number that this process has not given to any other lane."""
    return next(_numbers)


def running_task() -> asyncio.Task[Any] | None:
    """Return the task that runs in this thread, or None if there is none. Does not import ``asyncio``."""
    asyncio = _modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        loop = asyncio._get_running_loop()  # noqa: SLF001  -- listed in its __all__; the public one raises, slowly
        return None if loop is None else asyncio.current_task(loop)
    except AttributeError:  # Another thread is importing it.
        return None


def lane_of(task: asyncio.Task[Any]) -> int:
    """Return a task's number."""
    try:
        return _of_tasks[task]
    except KeyError:
        # Only the task itself comes here.
        lane = _of_tasks[task] = new_lane()
        return lane
