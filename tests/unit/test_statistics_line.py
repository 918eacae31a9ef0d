"""The closing line says how busy the workers were."""

from __future__ import annotations

import pytest

from pytest_parpool.controller.statistics import RunStatistics
from pytest_parpool.model.ids import worker_ids

GW0, GW1 = worker_ids(2)


@pytest.mark.parametrize(
    ("workers", "seconds", "times", "line"),
    [
        (2, 10.0, [9.6, 9.6], "2 workers, 96 % busy, 1.9x"),
        (1, 10.0, [5.0], "1 worker, 50 % busy, 0.5x"),
        (2, 10.0, [10.0, 10.0], "2 workers, 100 % busy, 2.0x"),
        (4, 1.0, [0.001], "4 workers, 0 % busy, 0.0x"),
    ],
)
def test_closing_line(workers: int, seconds: float, times: list[float], line: str) -> None:
    """Busy is the time inside of tests over the workers' time; the factor is that time over the run's."""
    statistics = RunStatistics()
    statistics.begin(100.0, workers)
    for worker, taken in zip((GW0, GW1), times, strict=False):
        statistics.add(worker, "test_a.py::test", taken)
    statistics.end(100.0 + seconds)
    assert statistics.closing_line() == line


def test_tests_add_up() -> None:
    """A worker's tests count together, and each is kept as measured."""
    statistics = RunStatistics()
    statistics.begin(0.0, 1)
    statistics.add(GW0, "a", 1.0)
    statistics.add(GW0, "b", 2.0)
    statistics.end(6.0)
    assert statistics.closing_line() == "1 worker, 50 % busy, 0.5x"
    assert statistics.measured == [("a", 1.0), ("b", 2.0)]


def test_nothing_ran() -> None:
    """A run without tests, or one that took no time, has nothing to say."""
    statistics = RunStatistics()
    statistics.begin(1.0, 2)
    statistics.end(9.0)
    assert statistics.closing_line() is None
    statistics.begin(1.0, 2)
    statistics.add(GW0, "a", 1.0)
    statistics.end(1.0)
    assert statistics.closing_line() is None
