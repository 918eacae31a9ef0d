"""What something has cost: wall time, and the CPU time of this process and of all that it has started.

CPU time tells on a busy machine, where wall time tells of others.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from types import TracebackType
from typing import final

from benchmarks.memory import process_tree

_PROC = Path("/proc")
# Of proc_pid_stat(5), behind the name: utime, stime, cutime and cstime. The last two are of children that have been
# waited for, so that nobody's time is lost when it ends.
_FIRST, _LAST = 11, 15


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What a measurement took.

    Attributes:
        seconds: On the clock.
        cpu_seconds: Of the CPUs, user and system, by all processes together, to the tick of the system's clock (10 ms);
            None where the system does not say it.
    """

    seconds: float
    cpu_seconds: float | None

    def divided(self, count: int) -> Cost:
        """Return the share of one of so many."""
        return Cost(self.seconds / count, None if self.cpu_seconds is None else self.cpu_seconds / count)


@final
class Stopwatch:
    """Measures a ``with`` block.

    Attributes:
        cost: Of the block, once it is over.
    """

    cost: Cost

    def __enter__(self) -> Stopwatch:
        self._cpu_begin = cpu_seconds()
        self._begin = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._begin
        end = cpu_seconds()
        self.cost = Cost(seconds, None if self._cpu_begin is None or end is None else end - self._cpu_begin)


def cpu_seconds() -> float | None:
    """Return what this process and its descendants have used so far, None where the system does not say it."""
    if not (_PROC / "self" / "stat").exists():
        return None
    ticks = sum(map(_ticks, process_tree(os.getpid())))
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # It ended meanwhile.
        return 0
    return sum(map(int, stat.rpartition(")")[2].split()[_FIRST:_LAST]))
