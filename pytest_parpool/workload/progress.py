"""Shows how many calls of a map are done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, TextIO, TypeAlias

from pytest_parpool.workload.callbacks import call_back

Report: TypeAlias = Callable[[int, int | None], object]
Choice: TypeAlias = bool | Report | None

_SECONDS_BETWEEN_LINES: Final = 0.1  # Faster than anybody reads; a terminal is slow.


class Progress:
    """Counts what is done, in the service thread.

    Args:
        report: Called with how many calls are done and how many there are, which is None while nobody knows.
        total: How many there are, or None.
    """

    __slots__ = ("_done", "_is_finished", "_report", "total")

    def __init__(self, report: Report, total: int | None) -> None:
        self._report = report
        self._done = 0
        self._is_finished = False
        self.total = total

    def advance(self, count: int) -> None:
        """Report that some more calls are done."""
        self._done += count
        call_back(self._report, self._done, self.total)

    def finish(self) -> None:
        """Report the end: nothing more will come."""
        if isinstance(self._report, Line) and not self._is_finished:
            self._is_finished = True
            self._report.finish(self._done, self.total)


class Line:
    """One line with ``done / total``: redrawn on a terminal, elsewhere written once, at the end.

    Args:
        stream: Where to.
        clock: Returns seconds.
    """

    __slots__ = ("_clock", "_drawn_at", "_is_terminal", "_stream")

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._drawn_at: float | None = None
        self._is_terminal = stream.isatty()

    def __call__(self, done: int, total: int | None) -> None:
        """Draw the line, unless it was drawn just now."""
        if not self._is_terminal:
            return
        now = self._clock()
        if self._drawn_at is None or now - self._drawn_at >= _SECONDS_BETWEEN_LINES:
            self._drawn_at = now
            self._write(f"\r{_text(done, total)}")

    def finish(self, done: int, total: int | None) -> None:
        """Write the line for the last time."""
        self._write(f"{chr(13) if self._is_terminal else ''}{_text(done, total)}\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # Closed meanwhile; nobody looks any more.


def make_progress(progress: Choice, total: int | None) -> Progress | None:
    """Return what counts, or None if nobody wants to know.

    Args:
        progress: True for a line on the standard error, a function, or None or False for nothing.
        total: How many calls there will be, or None if nobody knows yet.

    Raises:
        TypeError: If it is something else.
    """
    if progress is None or progress is False:
        return None
    if progress is True:
        return Progress(Line(sys.stderr), total)
    if not callable(progress):
        raise TypeError(f"progress must be True or a function of (done, total), not {progress!r}")
    return Progress(progress, total)


def _text(done: int, total: int | None) -> str:
    return f"{done} / {'?' if total is None else total}"
