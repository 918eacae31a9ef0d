"""How Ctrl-C gets to a worker on Windows, which leads a group of its own, to which the console sends none.

A thread waits for the controller's word and raises SIGINT: the only thread of ours in a worker. It is not among those
of ``threading``, which tests count.
"""

from __future__ import annotations

import _thread
import os
import signal
from collections.abc import Callable
from types import FrameType

from pytest_parpool.runtime.windows import kernel
from pytest_parpool.runtime.windows.job import interrupt_name

_SIGINT = int(signal.SIGINT)


def allow_interrupts() -> None:
    """Have SIGINT raised in this worker whenever the controller says so; one that was said before is raised here.

    Ctrl-Break, which the console sends to everybody, kills whoever does nothing about it; the controller does.
    """
    if signal.getsignal(signal.SIGBREAK) is signal.SIG_DFL:
        signal.signal(signal.SIGBREAK, _disregard)
    event = kernel.open_event(interrupt_name(os.getpid()))
    _thread.start_new_thread(_pass_on, (event, kernel.wait_for, signal.raise_signal))


def _disregard(number: int, frame: FrameType | None) -> None:
    """Take no notice."""


def _pass_on(event: int, wait_for: Callable[[int], bool], raise_signal: Callable[[int], None]) -> None:
    """Raise SIGINT whenever the event is set. Functions are given, because tests change what modules have."""
    while wait_for(event):
        raise_signal(_SIGINT)
