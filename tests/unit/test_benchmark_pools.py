"""What the figures of pools rest on: how often what is called, what is divided by what, and what the table says."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from benchmarks.cpu_time import Cost
from benchmarks.pool_contenders import PROCESSES, SUBJECT, Calls, PoolContender
from benchmarks.pool_rows import (
    POOL_ROWS,
    do_nothing,
    make_numbers,
    measure_calls,
    measure_lives,
    run_chunked,
    run_streamed,
    run_unchunked,
)
from benchmarks.pool_table import PoolTable
from benchmarks.pools import measure_rounds

OTHER = "multiprocessing.Pool"


class Serial(PoolContender):
    """Makes all calls here, and remembers how it was asked. ``lost`` is how many results it drops."""

    name = "serial"
    module = "itertools"
    distribution = None

    def __init__(self, *, lost: int = 0) -> None:
        self.asked: list[tuple[str, int, int | None]] = []
        self.lives: list[str] = []
        self._lost = lost

    @contextlib.contextmanager
    def started(self) -> Iterator[Calls]:
        """Note the beginning and the end."""
        self.lives.append("begin")
        yield Calls(self._map, self._stream)
        self.lives.append("end")

    def _map(self, function: Callable[[Any], Any], items: Sequence[Any], chunksize: int) -> Iterable[Any]:
        self.asked.append(("map", len(items), chunksize))
        return [function(item) for item in items][self._lost :]

    def _stream(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        items = list(items)
        self.asked.append(("stream", len(items), None))
        return map(function, items)


class TestRows:
    """What is asked of a pool."""

    @pytest.mark.parametrize(
        ("run", "asked"),
        [
            (run_chunked, ("map", 1000, 1000 // (4 * PROCESSES))),
            (run_unchunked, ("map", 1000, 1)),
            (run_streamed, ("stream", 1000, None)),
        ],
    )
    def test_ways(
        self,
        run: Callable[[Calls, Callable[[Any], Any], Any], Iterable[Any]],
        asked: tuple[str, int, int | None],
    ) -> None:
        """A pool works once before the measured calls, which are handed out in chunks or one by one."""
        serial = Serial()
        cost = measure_calls(serial, 1000, run=run, function=do_nothing, make_items=make_numbers)
        assert len(serial.asked) == 2
        assert serial.asked[-1] == asked
        assert serial.lives == ["begin", "end"]
        assert cost.seconds > 0

    def test_lost_results(self) -> None:
        """A pool that does not do all calls has no figure."""
        with pytest.raises(RuntimeError, match="serial gave 9 results for 10 calls"):
            measure_calls(Serial(lost=1), 10, run=run_unchunked, function=do_nothing, make_items=make_numbers)

    def test_lives(self) -> None:
        """Each life of a pool is a start, a call and an end; one more is not counted."""
        serial = Serial()
        measure_lives(serial, 3)
        assert serial.lives == ["begin", "end"] * 4
        assert serial.asked == [("map", 1, 1)] * 4

    def test_count(self) -> None:
        """A slow contender makes fewer calls, and never more than are asked for."""
        row = dataclasses.replace(POOL_ROWS["unchunked"], count=50, fewer={"loky": 10})
        assert [row.count_for(name) for name in (SUBJECT.name, "loky")] == [50, 10]
        assert [row.count_for(name, 7) for name in (SUBJECT.name, "loky")] == [7, 7]
        assert row.describe(7).startswith("7 calls")

    def test_same_goals(self) -> None:
        """Every row is to be ahead of the others, and at most twice as long as the pool that loses calls."""
        for row in POOL_ROWS.values():
            assert row.goals.keys() == {OTHER, "ProcessPoolExecutor", "loky", "joblib"}
            assert all(1.0 <= goal <= 2.0 for goal in row.goals.values())


def test_cost_of_one() -> None:
    """A cost is divided in both clocks, where there are two."""
    assert Cost(10.0, 5.0).divided(5) == Cost(2.0, 1.0)
    assert Cost(10.0, None).divided(5) == Cost(2.0, None)


class TestTable:
    """What the page says."""

    @staticmethod
    def table(ours: Sequence[Cost], theirs: Sequence[Cost], *, count: int | None = None) -> PoolTable:
        """Return a table with one row."""
        row = dataclasses.replace(POOL_ROWS["unchunked"], count=1000, fewer={OTHER: 100}, goals={OTHER: 2.0})
        figures = {row.name: {SUBJECT.name: ours, OTHER: theirs}}
        return PoolTable(rows=[row], names=[SUBJECT.name, OTHER], figures=figures, count=count)

    def test_ratios(self) -> None:
        """Ratios are ours by theirs, round by round, of wall time and of CPU time."""
        ours = [Cost(0.002, 0.01), Cost(0.012, 0.01), Cost(0.002, 0.01)]
        theirs = [Cost(0.004, 0.02), Cost(0.024, 0.04), Cost(0.004, 0.02)]
        page = self.table(ours, theirs).render("the command")
        assert "| 2e+03 µs (2e+03 to 1.2e+04) |" in page
        assert "| 0.50 [0.50, 0.50], goal 2.00 |" in page
        assert "| 0.50 [0.25, 0.50] |" in page
        assert "- Command: `the command`." in page

    def test_fewer(self) -> None:
        """Who makes fewer calls is named with both numbers."""
        costs = [Cost(1.0, 1.0)]
        assert f"- {OTHER} makes 100 instead of 1,000" in self.table(costs, costs).render("")
        assert "instead of" not in self.table(costs, costs, count=50).render("")

    def test_short(self) -> None:
        """CPU time that a few ticks of the clock have counted is not compared."""
        page = self.table([Cost(1.0, 0.01)], [Cost(1.0, 0.00001)]).render("")
        assert "| too short |" in page

    def test_without_cpu_time(self) -> None:
        """Where the system does not tell CPU time, there is no table of it."""
        page = self.table([Cost(1.0, None)], [Cost(2.0, None)]).render("")
        assert "CPU time" not in page
        assert "| 0.50 [0.50, 0.50], goal 2.00 |" in page


def test_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """In each round every contender is measured once for each row, and the order changes."""
    names = [SUBJECT.name, OTHER, "loky", "joblib"]
    seconds = itertools.count()
    order: list[str] = []

    def measure(row: str, name: str, count: int | None) -> Cost:
        assert (row, count) == ("naps", 9)
        order.append(name)
        return Cost(float(next(seconds)), None)

    monkeypatch.setattr("benchmarks.pools.measure_apart", measure)
    figures = measure_rounds([POOL_ROWS["naps"]], names, 4, 9)
    rounds = [tuple(order[first : first + 4]) for first in range(0, 16, 4)]
    assert all(sorted(each) == sorted(names) for each in rounds)
    assert len(set(rounds)) > 1
    assert figures["naps"][OTHER] == [Cost(float(place), None) for place, name in enumerate(order) if name == OTHER]
