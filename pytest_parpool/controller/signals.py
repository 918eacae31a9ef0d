"""Ctrl-C, Ctrl-Z and termination, while the controller runs tests elsewhere.

Workers are sessions of their own, so the terminal's signals reach the controller alone, which passes them on. Handlers
are installed only where the default stood, and only in the main thread: ``nohup`` ignores SIGHUP, and who calls
``pytest.main`` may have handlers of their own.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from pytest_parpool.model.exits import SIGKILL

_INTERRUPTING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class SignalWatch:
    """Counts interrupts, and stops and continues workers with the controller. A context manager; undone at its end.

    Args:
        wake: Has the run loop look at ``interrupts`` soon.
        wake_fd: It does so, too, when something is written there.
        signal_workers: Sends a signal to every worker's process group.
    """

    def __init__(self, wake: Callable[[], None], wake_fd: int, signal_workers: Callable[[int], None]) -> None:
        self._wake = wake
        self._wake_fd = wake_fd
        self._former_wake_fd: int | None = None
        self._signal_workers = signal_workers
        self._replaced: dict[int, Any] = {}
        self.interrupts = 0

    def __enter__(self) -> SignalWatch:  # noqa: PYI034  -- typing.Self is newer than Python 3.10
        if threading.current_thread() is threading.main_thread():
            for name in _INTERRUPTING:
                self._install(name, self._interrupt)
            if sys.platform == "win32":
                # A handler runs only when the wait for the workers is over, which no signal cuts off there.
                self._former_wake_fd = signal.set_wakeup_fd(self._wake_fd, warn_on_full_buffer=False)
            else:
                self._install("SIGTSTP", self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._former_wake_fd is not None:
            signal.set_wakeup_fd(self._former_wake_fd)
        for number, handler in self._replaced.items():
            signal.signal(number, handler)
        self._replaced.clear()

    def _install(self, name: str, handler: Callable[[int, FrameType | None], None]) -> None:
        number = getattr(signal, name, None)
        if number is None:
            return
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            self._replaced[number] = signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """The first time: wake the loop. The second time: end everything, whatever the loop is busy with."""
        self.interrupts += 1
        if self.interrupts == 1:
            self._wake()
            return
        self._signal_workers(SIGKILL)
        raise KeyboardInterrupt

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Stop the workers, then ourselves; go on when we are continued, and so do they."""
        assert sys.platform != "win32"
        self._signal_workers(signal.SIGSTOP)
        ours = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here we are continued (SIGCONT).
        signal.signal(number, ours)
        self._signal_workers(signal.SIGCONT)
