"""What is measured about pools of worker processes: each row is a function from a contender to what a call has cost."""

from __future__ import annotations

import collections
import dataclasses
import functools
import importlib.util
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.cpu_time import Cost, Stopwatch
from benchmarks.pool_contenders import PROCESSES, Calls, PoolContender

CHUNKS_PER_PROCESS = 4  # What both kinds of ``Pool.map`` choose, if nothing is said.
LARGE_BYTES = 1 << 20
NAP_SECONDS = 0.01

_WARM_UP_CALLS = 8 * PROCESSES


# --- What workers do --------------------------------------------------------------------------------------------------


def do_nothing(item: object) -> None:
    """Take next to no time."""


def give_back(item: bytes) -> bytes:
    """Return what was given."""
    return item


def add_one(array: Any) -> Any:
    """Return another array of the same size."""
    return array + 1


def nap(seconds: float) -> None:
    """Take time, and no CPU."""
    time.sleep(seconds)


# --- What items there are ---------------------------------------------------------------------------------------------


def make_numbers(count: int) -> range:
    """Return the smallest items there are."""
    return range(count)


def make_naps(count: int) -> list[float]:
    """Return durations, in seconds."""
    return [NAP_SECONDS] * count


def make_bytes(count: int) -> list[bytes]:
    """Return large byte strings: the same one, which no contender notices."""
    return [bytes(LARGE_BYTES)] * count


def make_arrays(count: int) -> list[Any]:
    """Return large arrays of numpy. Each is an object of its own: joblib writes down an object only once.

    They are a little above a mebibyte, from where on joblib maps files into memory.
    """
    import numpy as np

    array = np.ones(LARGE_BYTES // 8 + 512)
    return [array.view() for _ in range(count)]


# --- How they are handed out ------------------------------------------------------------------------------------------


def run_chunked(calls: Calls, function: Callable[[Any], Any], items: Any) -> Iterable[Any]:
    """Hand out large chunks."""
    return calls.map(function, items, -(-len(items) // (PROCESSES * CHUNKS_PER_PROCESS)))


def run_unchunked(calls: Calls, function: Callable[[Any], Any], items: Any) -> Iterable[Any]:
    """Hand out each call by itself, and return all results."""
    return calls.map(function, items, 1)


def run_streamed(calls: Calls, function: Callable[[Any], Any], items: Any) -> Iterable[Any]:
    """Hand out each call by itself, and let go of each result before the next one is taken."""
    return calls.stream(function, items)


# --- What is measured -------------------------------------------------------------------------------------------------


def measure_calls(
    contender: PoolContender,
    count: int,
    *,
    run: Callable[[Calls, Callable[[Any], Any], Any], Iterable[Any]],
    function: Callable[[Any], Any],
    make_items: Callable[[int], Any],
) -> Cost:
    """Return the cost of so many calls in a pool that has worked before.

    Raises:
        RuntimeError: If there are not as many results as calls.
    """
    contender.load()
    with contender.started() as calls:
        _exhaust(run(calls, function, make_items(_WARM_UP_CALLS)))
        items = make_items(count)
        with Stopwatch() as stopwatch:
            found = _exhaust(run(calls, function, items))
    if found != count:
        raise RuntimeError(f"{contender.name} gave {found} results for {count} calls")
    return stopwatch.cost


def measure_lives(contender: PoolContender, count: int) -> Cost:
    """Return the cost of starting a pool, making one call and stopping it, so many times.

    With a call, because some start no process before the first one.
    """
    contender.load()
    _live_once(contender)
    with Stopwatch() as stopwatch:
        for _ in range(count):
            _live_once(contender)
    return stopwatch.cost


def _live_once(contender: PoolContender) -> None:
    with contender.started() as calls:
        _exhaust(calls.map(do_nothing, range(1), 1))


def _exhaust(results: Iterable[Any]) -> int:
    """Return how many there are, and keep none."""
    ends = collections.deque(enumerate(results, 1), maxlen=1)
    return ends[0][0] if ends else 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolRow:
    """One row of the table. Its figure is what one call, or one life of a pool, has cost.

    Attributes:
        name: As in ``--rows``.
        title: As in the table, with a place for the number of calls.
        unit: Of the figure.
        units_per_second: How many of them are a second.
        measure: Measures one contender, with so many calls.
        count: How many calls.
        fewer: By contender, how many at most, where all would take minutes.
        goals: By contender, the largest ratio of this project to it that we are content with.
        module: Without which there is no such row, or None.
    """

    name: str
    title: str
    unit: str
    units_per_second: float
    measure: Callable[[PoolContender, int], Cost]
    count: int
    fewer: Mapping[str, int] = dataclasses.field(default_factory=dict)
    goals: Mapping[str, float]
    module: str | None = None

    def count_for(self, contender: str, count: int | None = None) -> int:
        """Return how many calls a contender makes, if it is to make so many; None for as many as the row has."""
        wanted = self.count if count is None else count
        return min(wanted, self.fewer.get(contender, wanted))

    def describe(self, count: int | None = None) -> str:
        """Return the title with its number of calls."""
        return self.title.format(self.count if count is None else count)

    def is_possible(self) -> bool:
        """Return whether what it needs is installed."""
        return self.module is None or importlib.util.find_spec(self.module) is not None


# They need about half a millisecond per call.
_FEWER = {"loky": 10_000, "joblib": 10_000}
_AHEAD = {"ProcessPoolExecutor": 1.0, "loky": 1.0, "joblib": 1.0}
_GOALS = {"multiprocessing.Pool": 1.1, **_AHEAD}
# It pays for no attribution of crashes: for knowing which call a worker died in.
_GOALS_ALONE = {"multiprocessing.Pool": 2.0, **_AHEAD}

_ALL = (
    PoolRow(
        name="chunked",
        title="{:,} calls that do nothing, in 8 chunks (`map`)",
        unit="µs",
        units_per_second=1e6,
        measure=functools.partial(measure_calls, run=run_chunked, function=do_nothing, make_items=make_numbers),
        count=100_000,
        goals=_GOALS,
    ),
    PoolRow(
        name="unchunked",
        title="{:,} calls that do nothing, one by one (`map`, chunk size 1)",
        unit="µs",
        units_per_second=1e6,
        measure=functools.partial(measure_calls, run=run_unchunked, function=do_nothing, make_items=make_numbers),
        count=100_000,
        fewer=_FEWER,
        goals=_GOALS_ALONE,
    ),
    PoolRow(
        name="streamed",
        title="{:,} calls that do nothing, results taken one by one (`imap`)",
        unit="µs",
        units_per_second=1e6,
        measure=functools.partial(measure_calls, run=run_streamed, function=do_nothing, make_items=make_numbers),
        count=100_000,
        fewer=_FEWER,
        goals=_GOALS_ALONE,
    ),
    PoolRow(
        name="bytes",
        title="{:,} calls with 1 MiB of bytes there and back (`imap`)",
        unit="ms",
        units_per_second=1e3,
        measure=functools.partial(measure_calls, run=run_streamed, function=give_back, make_items=make_bytes),
        count=1_000,
        goals=_GOALS,
    ),
    PoolRow(
        name="arrays",
        title="{:,} calls with a numpy array of 1 MiB there and back (`imap`)",
        unit="ms",
        units_per_second=1e3,
        measure=functools.partial(measure_calls, run=run_streamed, function=add_one, make_items=make_arrays),
        count=1_000,
        goals=_GOALS,
        module="numpy",
    ),
    PoolRow(
        name="naps",
        title="{:,} calls that sleep for 10 ms, one by one (`map`, chunk size 1)",
        unit="ms",
        units_per_second=1e3,
        measure=functools.partial(measure_calls, run=run_unchunked, function=nap, make_items=make_naps),
        count=200,
        goals=_GOALS,
    ),
    PoolRow(
        name="life",
        title="{:,} times: start a pool, make one call, stop the pool",
        unit="ms",
        units_per_second=1e3,
        measure=measure_lives,
        count=30,
        fewer={"loky": 3, "joblib": 3},
        goals=_GOALS,
    ),
)

POOL_ROWS = {row.name: row for row in _ALL}
