"""Calls what users want to be told by, in the service thread, which has to live on whatever they raise."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from pytest_parpool.workload.errors import PoolUsageError
from pytest_parpool.workload.shares import Share, lending


def call_back(function: Callable[..., object], *args: Any) -> None:
    """Call a user's function. What it raises is reported by ``threading.excepthook``."""
    try:
        function(*args)
    except BaseException:  # noqa: BLE001  -- reported: the thread is needed by all other tasks of the pool
        error_class, error, traceback = sys.exc_info()
        thread = threading.current_thread()
        threading.excepthook(threading.ExceptHookArgs((error_class or BaseException, error, traceback, thread)))


class ServiceThread:
    """Knows in which thread a pool's callbacks run, that nobody may wait there for the pool, and what waiting means.

    Args:
        share: The pool's part in a CPU budget, or None.
    """

    __slots__ = ("_ident", "_share")

    def __init__(self, share: Share | None = None) -> None:
        self._ident: int | None = None
        self._share = share

    def note_current(self) -> None:
        """Remember that this is the thread. There is one, until all tasks are done."""
        self._ident = threading.get_ident()

    def awaited(self) -> AbstractContextManager[None]:
        """Lend the slot of the test meanwhile, if it is the test that waits."""
        return lending(self._share)

    def forbid_wait(self) -> None:
        """Refuse to wait for ever.

        Raises:
            PoolUsageError: If this is the thread.
        """
        if threading.get_ident() == self._ident:
            raise PoolUsageError(
                "a callback must not wait for another result of its pool: the thread that runs callbacks collects the "
                "results; submit the next task from the callback with a callback of its own, or wait with a timeout"
            )
