"""How far streams are read ahead: what is done, in numbers, to how much is read."""

from __future__ import annotations

import pytest

from pytest_parpool.policy.tasks.read_ahead import AHEAD_SECONDS, MOST_AHEAD, MOST_BYTES, ReadAhead


class Bench:
    """A policy and its clock."""

    def __init__(self, least: int = 8, chunksize: int = 1) -> None:
        self.now = 100.0
        self.policy = ReadAhead.by_pace(least, chunksize, self.now)

    def work(self, count: int, seconds_each: float) -> int:
        """Have so many chunks done, one after the other, and return how many may be read ahead then."""
        for _ in range(count):
            self.now += seconds_each
            if self.policy.is_window_over():
                self.policy.end_window(self.now)
        return self.policy.chunks


def test_the_beginning() -> None:
    """Nothing is known, and the least is read."""
    assert Bench().policy.chunks == 8


def test_it_follows_the_pace() -> None:
    """As much is read ahead as is done in a moment, after a few windows."""
    bench = Bench()
    assert bench.work(200, AHEAD_SECONDS / 50) == pytest.approx(50, abs=1)
    assert bench.work(500, AHEAD_SECONDS / 200) == pytest.approx(200, abs=1)


def test_it_has_bounds() -> None:
    """No more than a number of inputs, and never less than the least."""
    assert Bench().work(5000, 1e-9) == MOST_AHEAD
    assert Bench(chunksize=100).work(5000, 1e-9) == MOST_AHEAD // 100
    assert Bench(chunksize=10 * MOST_AHEAD).work(5000, 1e-9) == 8
    bench = Bench()
    bench.work(5000, 1e-9)
    assert bench.work(5000, 1.0) == 8


def test_a_burst_after_a_pause_is_no_pace() -> None:
    """What was long on its way, and comes at once, counts with the time before."""
    bench = Bench()
    for _ in range(5):
        bench.now += 1.0
        assert bench.work(8, 1e-6) == 8


def test_large_chunks_are_few() -> None:
    """As many as memory is worth, and the least in any case; small ones count for nothing."""
    bench = Bench()
    bench.policy.note_size(100)
    assert bench.work(5000, 1e-9) == MOST_AHEAD
    bench.policy.note_size(MOST_BYTES // 20)
    assert bench.policy.chunks == 20
    bench.policy.note_size(3 * MOST_BYTES)
    bench.policy.note_size(1)
    assert bench.policy.chunks == 8


def test_a_fixed_number_is_kept() -> None:
    """However fast, and one is read for each that is taken."""
    policy = ReadAhead(5, 5, 0.0)
    for now in range(50):
        if policy.is_window_over():
            policy.end_window(now * 1e-6)
    policy.note_size(1 << 40)
    assert policy.chunks == 5
    assert policy.is_reading_due(4)
    assert not policy.is_reading_due(5)


def test_much_is_read_together() -> None:
    """Where many are on their way, a quarter of them is read at once."""
    bench = Bench(least=8)
    assert bench.policy.is_reading_due(7)
    bench.work(5000, AHEAD_SECONDS / 408)
    chunks = bench.policy.chunks
    assert chunks == pytest.approx(408, abs=1)
    assert not bench.policy.is_reading_due(chunks - 99)
    assert bench.policy.is_reading_due(chunks - 101)
