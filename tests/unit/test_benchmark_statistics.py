"""What the benchmarks' figures rest on: ratios, intervals, the order of rounds, and which runs are compared at all."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.agreement import find_disagreement, parse_counts
from benchmarks.commands import Run
from benchmarks.differences import Difference, find_differences
from benchmarks.rounds import LONG_ROUNDS, SHORT_ROUNDS, Measured, Rejected, count_rounds, measure_rounds, rotate
from benchmarks.rows import Measure
from benchmarks.statistics import CONFIDENCE, Interval, compare, median_interval, paired_ratios


def finished(output: str, *, exit_code: int = 0, seconds: float = 1.0) -> Run:
    """Return a run that ended by itself and printed this."""
    return Run(seconds=seconds, exit_code=exit_code, output=output, peak_bytes=None, is_timed_out=False)


class TestInterval:
    """The interval of the median."""

    def test_fifteen_values(self) -> None:
        """With fifteen values it reaches from the fourth smallest to the fourth largest, whatever their order."""
        values = [9.0, 1.0, 15.0, 4.0, 12.0, 2.0, 8.0, 3.0, 14.0, 5.0, 11.0, 6.0, 13.0, 7.0, 10.0]
        assert median_interval(values) == Interval(low=4.0, high=12.0, coverage=1 - 2 * 576 / 2**15)

    def test_five_values(self) -> None:
        """With five values it is the whole range and says that this is less than 95 %."""
        interval = median_interval([3.0, 1.0, 2.0, 5.0, 4.0])
        assert interval == Interval(low=1.0, high=5.0, coverage=0.9375)
        assert interval.coverage < CONFIDENCE

    def test_one_value(self) -> None:
        """One value says nothing about where the median is."""
        assert median_interval([2.0]) == Interval(low=2.0, high=2.0, coverage=0.0)

    def test_no_values(self) -> None:
        """No values are an error, not an empty interval."""
        with pytest.raises(ValueError, match="at least one value"):
            median_interval([])

    @pytest.mark.parametrize(
        ("count", "rank"), [(6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (17, 5), (20, 6), (25, 8), (30, 10), (40, 14)]
    )
    def test_published_ranks(self, count: int, rank: int) -> None:
        """From six values on the ranks are those of the published tables for the sign test at 95 %."""
        interval = median_interval([float(number) for number in range(1, count + 1)])
        assert (interval.low, interval.high) == (rank, count + 1 - rank)
        assert interval.coverage >= CONFIDENCE

    @pytest.mark.parametrize("count", range(2, 11))
    def test_coverage_is_exact(self, count: int) -> None:
        """The coverage is the share of all ways to fall below and above the median that leave it inside."""
        ranks = range(1, count + 1)
        interval = median_interval([float(rank) for rank in ranks])
        ways = list(itertools.product((False, True), repeat=count))
        inside = [way for way in ways if interval.low <= sum(way) < interval.high]
        assert interval.coverage == len(inside) / len(ways)


class TestRatios:
    """The comparison of two contenders."""

    def test_pairs(self) -> None:
        """Ratios are taken round by round, not between sorted or averaged times."""
        assert paired_ratios([1.0, 6.0, 2.0], [2.0, 3.0, 8.0]) == (0.5, 2.0, 0.25)

    def test_compare(self) -> None:
        """A machine that slows down for a round changes both times and not the ratio."""
        comparison = compare([1.0, 10.0, 1.0], [2.0, 20.0, 2.0])
        assert comparison.median == 0.5
        assert (comparison.interval.low, comparison.interval.high) == (0.5, 0.5)

    def test_unpaired(self) -> None:
        """A round without its pair is an error."""
        with pytest.raises(ValueError, match="rounds come in pairs: got 2 and 1"):
            paired_ratios([1.0, 2.0], [1.0])

    def test_zero(self) -> None:
        """Nothing can be compared with a reference that took no time or memory."""
        with pytest.raises(ValueError, match="positive reference"):
            paired_ratios([1.0], [0.0])


class TestRounds:
    """Who runs when, and how often."""

    def test_rotate(self) -> None:
        """Every contender begins in turn and keeps its neighbours."""
        orders = [rotate(("plain", "xdist", "parpool"), turn) for turn in range(4)]
        assert [order[0] for order in orders] == ["plain", "xdist", "parpool", "plain"]
        assert orders[1] == ("xdist", "parpool", "plain")

    def test_count_rounds(self) -> None:
        """Rows under two seconds get fifteen rounds, longer ones five."""
        assert count_rounds(1.99) == SHORT_ROUNDS == 15
        assert count_rounds(2.0) == LONG_ROUNDS == 5

    def test_warm_up_is_not_counted(self) -> None:
        """The first round writes byte code; its figures are dropped, and the others stay in pairs."""
        seconds = itertools.count(1)
        result = measure_rounds(
            ("a", "b"),
            lambda _: finished("1 passed in 0.01s", seconds=float(next(seconds))),
            measure=Measure.WALL,
            passed=1,
            rounds=2,
        )
        assert result == Measured({"a": [4.0, 5.0], "b": [3.0, 6.0]})

    def test_fast_failure_is_rejected(self) -> None:
        """A contender that fails at once gives no figures, and nothing runs after that round."""
        calls: list[str] = []

        def run(name: str) -> Run:
            calls.append(name)
            return finished("1 passed in 0.01s") if name == "a" else finished("usage error", exit_code=4)

        result = measure_rounds(("a", "b"), run, measure=Measure.WALL, passed=1, rounds=2)
        assert result == Rejected("a: 1 passed, exit 0; b: no counts, exit 4; expected: 1 passed")
        assert calls == ["a", "b"]


class TestAgreement:
    """Which runs may be compared."""

    @pytest.mark.parametrize(
        ("line", "counts"),
        [
            ("10000 passed in 5.32s", {"passed": 10000}),
            ("1 failed, 3 passed, 2 skipped, 1 warning in 61.12s (0:01:01)", {"failed": 1, "passed": 3, "skipped": 2}),
            (
                "====== 2 passed, 3 subtests passed, 1 error in 0.12s ======",
                {"passed": 2, "subtests passed": 3, "error": 1},
            ),
            ("3 passed, 4 deselected in 0.12s", {"passed": 3}),
            ("no tests ran in 0.01s", {}),
            ("", {}),
        ],
    )
    def test_parse_counts(self, line: str, counts: dict[str, int]) -> None:
        """The closing line is found among what a runner prints around it."""
        assert parse_counts(f"5 passed\n{line}\nparpool: 2 workers, 96 % busy, 1.9x\n") == counts

    def test_same_work(self) -> None:
        """Runs with the same outcomes may be compared, failures or not."""
        run = finished("1 failed, 1 passed in 0.10s", exit_code=1)
        assert find_disagreement({"plain": run, "parpool": run}, passed=None) is None

    @pytest.mark.parametrize(
        "other",
        [
            finished("1 passed in 0.10s"),
            finished("2 passed in 0.10s", exit_code=1),
            finished("2 passed in 0.10s", exit_code=-9),
            finished(""),
        ],
    )
    def test_other_work(self, other: Run) -> None:
        """Another count, another exit code or no closing line forbids a comparison."""
        assert find_disagreement({"plain": finished("2 passed in 0.10s"), "parpool": other}, passed=None) is not None

    def test_all_wrong_alike(self) -> None:
        """That all ran the same does not help when it is not what the suite holds, or when none ran to its end."""
        short = finished("1 passed in 0.10s")
        assert find_disagreement({"plain": short, "parpool": short}, passed=2) is not None
        interrupted = finished("1 passed in 0.10s", exit_code=2)
        assert find_disagreement({"plain": interrupted, "parpool": interrupted}, passed=None) is not None


def test_find_differences() -> None:
    """A changed outcome, a missing node id and an additional one are each named; equal ones are not."""
    passed = {"setup": ["passed"], "call": ["passed"], "teardown": ["passed"]}
    failed = {**passed, "call": ["failed"]}
    found = find_differences(
        {"same": passed, "changed": passed, "lost": passed}, {"same": passed, "changed": failed, "new": failed}
    )
    assert found == (
        Difference(
            "changed", "setup passed, call passed, teardown passed", "setup passed, call failed, teardown passed"
        ),
        Difference("lost", "setup passed, call passed, teardown passed", "not reported"),
        Difference("new", "not reported", "setup passed, call failed, teardown passed"),
    )
