"""What is measured about locks: each row is a function from a contender to one figure."""

from __future__ import annotations

import dataclasses
import multiprocessing.connection
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.lock_contenders import FORK, SECONDS_FOR_EVER, LockContender

PAIRS = 20_000
PAIRS_UNDER_LOAD = 10_000
PROCESSES = 8
TURNS = 100
SECTION_SECONDS = 0.001
TIMEOUT_SECONDS = 0.2
TIMEOUTS = 10


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LockRow:
    """One row of the table.

    Attributes:
        name: As in ``--rows``.
        title: As in the table.
        unit: Of the figure.
        measure: Measures one contender.
        goals: By contender, the largest ratio of this project to it that we are content with.
        limits: The smallest and the largest figure of this project that we are content with, whatever others have.
    """

    name: str
    title: str
    unit: str
    measure: Callable[[LockContender], float]
    goals: Mapping[str, float] = dataclasses.field(default_factory=dict)
    limits: tuple[float, float] | None = None


def measure_pair(contender: LockContender) -> float:
    """Return the median of an acquire and a release that nobody is in the way of, in microseconds."""
    return statistics.median(_pairs(contender.open(0), PAIRS)) * 1e6


def measure_pair_under_load(contender: LockContender) -> float:
    """Return the 99th percentile of the same, in microseconds, while eight processes contend for another lock.

    They compute all the time, a fifth of it with the lock, so that the cores have no rest whatever the lock does.
    """
    over = FORK.Event()

    def contend(lock: Any) -> None:
        while not over.is_set():
            lock.acquire()
            _compute(SECTION_SECONDS)
            lock.release()
            _compute(4 * SECTION_SECONDS)

    with _processes(contender, contend):
        lock = contender.open(0)
        _pairs(lock, 100)
        found = sorted(_pairs(lock, PAIRS_UNDER_LOAD))
        over.set()
    return found[len(found) * 99 // 100] * 1e6


def measure_turns(contender: LockContender) -> float:
    """Return how long eight processes need for a hundred turns of a millisecond each, in seconds."""
    return _take_turns(contender)[0]


def measure_longest_wait(contender: LockContender) -> float:
    """Return the longest wait for one of those turns, in fair shares.

    A fair share is what eight turns took on the average.
    """
    seconds, longest = _take_turns(contender)
    return longest / (seconds / (PROCESSES * TURNS) * PROCESSES)


def measure_earliest_timeout(contender: LockContender) -> float:
    """Return by how much the earliest of some timeouts of 200 ms was late, in milliseconds; negative is too early."""
    return min(_lateness(contender)) * 1e3


def measure_latest_timeout(contender: LockContender) -> float:
    """Return by how much the latest was late, in milliseconds."""
    return max(_lateness(contender)) * 1e3


def _pairs(lock: Any, count: int) -> list[float]:
    clock = time.perf_counter
    acquire, release = lock.acquire, lock.release
    found = []
    for _ in range(count):
        begin = clock()
        acquire()
        release()
        found.append(clock() - begin)
    return found


def _compute(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


class _processes:  # noqa: N801  -- reads as what it is: a block with processes
    """Eight processes that each have lock 1 open, and have begun when the block begins; joined at its end."""

    def __init__(self, contender: LockContender, work: Callable[[Any], Any]) -> None:
        self._barrier = FORK.Barrier(PROCESSES + 1)
        self._ours, self._theirs = zip(*[FORK.Pipe(duplex=False) for _ in range(PROCESSES)], strict=True)
        self._work = work
        self._contender = contender
        self.results: list[Any] = []

    def _live(self, place: int) -> None:
        lock = self._contender.open(1)
        lock.acquire()  # Whatever a first use costs is paid here.
        lock.release()
        self._barrier.wait()
        self._theirs[place].send(self._work(lock))

    def __enter__(self) -> _processes:  # noqa: PYI034  -- typing.Self is newer than Python 3.10
        self._all = [FORK.Process(target=self._live, args=(place,), daemon=True) for place in range(PROCESSES)]
        for process in self._all:
            process.start()
        self._barrier.wait()
        return self

    def collect(self) -> None:
        """Wait for what each has found."""
        for receiver in self._ours:
            if not multiprocessing.connection.wait([receiver], SECONDS_FOR_EVER):
                raise TimeoutError("a process did not come to its end")
            self.results.append(receiver.recv())

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            process.join(SECONDS_FOR_EVER)
            process.kill()


def _take_turns(contender: LockContender) -> tuple[float, float]:
    """Return how long all turns took together, and the longest wait for one."""
    clock = time.perf_counter

    def take_turns(lock: Any) -> tuple[float, float, float]:
        longest = 0.0
        first = clock()
        for _ in range(TURNS):
            begin = clock()
            lock.acquire()
            longest = max(longest, clock() - begin)
            time.sleep(SECTION_SECONDS)
            lock.release()
        return first, clock(), longest

    with _processes(contender, take_turns) as processes:
        processes.collect()
    begins, ends, waits = zip(*processes.results, strict=True)
    return max(ends) - min(begins), max(waits)


def _lateness(contender: LockContender) -> list[float]:
    """Return by how many seconds each of some timeouts was late, while another process held the lock."""
    over, held = FORK.Event(), FORK.Event()

    def hold() -> None:
        lock = contender.open(0)
        lock.acquire()
        held.set()
        over.wait(SECONDS_FOR_EVER)
        lock.release()

    process = FORK.Process(target=hold, daemon=True)
    process.start()
    held.wait(SECONDS_FOR_EVER)
    lock = contender.open(0)
    found = []
    for _ in range(TIMEOUTS):
        begin = time.monotonic()
        if contender.try_for(lock, TIMEOUT_SECONDS):
            raise RuntimeError(f"{contender.name} gave a lock that another process holds")
        found.append(time.monotonic() - begin - TIMEOUT_SECONDS)
    over.set()
    process.join(SECONDS_FOR_EVER)
    return found


_ALL = (
    LockRow(
        name="pair",
        title="acquire and release, nobody in the way (median)",
        unit="µs",
        measure=measure_pair,
        goals={"FileLock": 0.5},
    ),
    LockRow(
        name="load",
        title="the same while 8 processes contend for another lock (99th percentile)",
        unit="µs",
        measure=measure_pair_under_load,
        goals={"FileLock": 0.25},
    ),
    LockRow(
        name="turns",
        title="8 processes, 100 turns of 1 ms each",
        unit="s",
        measure=measure_turns,
        goals={"multiprocessing.Lock": 1.3},
    ),
    LockRow(
        name="fair",
        title="the longest wait for a turn, in fair shares",
        unit="shares",
        measure=measure_longest_wait,
        limits=(0.0, 2.0),
    ),
    LockRow(
        name="early",
        title="timeouts of 200 ms: how late the earliest came",
        unit="ms",
        measure=measure_earliest_timeout,
        limits=(0.0, 50.0),
    ),
    LockRow(
        name="late",
        title="timeouts of 200 ms: how late the latest came",
        unit="ms",
        measure=measure_latest_timeout,
        limits=(0.0, 50.0),
    ),
)

LOCK_ROWS = {row.name: row for row in _ALL}
