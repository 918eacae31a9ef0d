"""The memory of a process and everything it started.

Counted is the proportional set size (PSS): a page that several processes share counts once, divided among them, so that
the sum over the tree is what the machine really gives. The summed resident size would count a forked worker's inherited
pages once per worker.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import final

SAMPLES_PER_SECOND = 4.0  # Reading the size of a large process costs milliseconds of the machine that is measured.

_PROC = Path("/proc")


def is_memory_known() -> bool:
    """Return whether this system tells the proportional set size (Linux 4.14 and later do)."""
    return (_PROC / "self" / "smaps_rollup").exists()


@final
class PeakMemory:
    """Samples a process tree while the ``with`` block lasts; owns the thread that does.

    The sum is not taken at one instant, so that a fork between two readings counts some pages twice: this is to the
    disadvantage of who forks.

    Attributes:
        peak_bytes: The largest sum seen so far.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._is_over.wait(1 / SAMPLES_PER_SECOND):
            self.peak_bytes = max(self.peak_bytes, sum(map(proportional_bytes, process_tree(self._pid))))


def process_tree(root: int) -> Iterator[int]:
    """Yield a process and all its descendants that run now."""
    children = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # It ended meanwhile.
            # "pid (name) state parent ...": the name may hold anything, brackets too (proc_pid_stat(5)).
            parent = int(stat.rpartition(")")[2].split()[1])
            children[parent].append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children[pid]


def proportional_bytes(pid: int) -> int:
    """Return a process' proportional set size, 0 when it has ended."""
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
