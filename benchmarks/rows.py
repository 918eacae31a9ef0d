"""What is measured: the rows of the table."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from benchmarks import suites
from benchmarks.commands import Run


class Measure(enum.Enum):
    """What is compared between contenders."""

    WALL = "seconds"
    MEMORY = "MiB"

    def value_of(self, run: Run) -> float:
        """Return the run's figure, in the unit that is the member's value."""
        if self is Measure.WALL:
            return run.seconds
        assert run.peak_bytes is not None, "runs of a memory row are sampled"
        return run.peak_bytes / 2**20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table.

    Attributes:
        name: As in ``--rows``.
        title: As in the table.
        make_suite: Writes the suite into a folder.
        processes: How many workers the contenders get.
        goals: By contender, the largest ratio of this project to it that we are content with.
        measure: What is compared.
        is_small: Whether ``--quick`` runs it.
    """

    name: str
    title: str
    make_suite: suites.SuiteMaker
    processes: int
    goals: Mapping[str, float]
    measure: Measure = Measure.WALL
    is_small: bool = False


_ALL = (
    Row(
        name="one",
        title="one test",
        make_suite=suites.make_one_test,
        processes=2,
        goals={"xdist": 0.5, "plain": 1.15},
        is_small=True,
    ),
    Row(
        name="trivial",
        title="10,000 trivial tests in 100 files",
        make_suite=suites.make_trivial_tests,
        processes=2,
        goals={"xdist": 0.75, "plain": 0.87},
    ),
    Row(
        name="parametrized",
        title="20,000 parametrised tests in 40 files",
        make_suite=suites.make_parametrized_tests,
        processes=2,
        goals={"xdist": 0.55, "plain": 0.77},
    ),
    Row(
        name="networkx",
        title="networkx's own suite (`--pyargs networkx`)",
        make_suite=suites.make_networkx,
        processes=2,
        goals={"xdist": 0.82, "plain": 0.53},
    ),
    Row(
        name="coverage",
        title="networkx's own suite, measured (`--cov=networkx --cov-report=`)",
        make_suite=suites.make_networkx_measured,
        processes=2,
        goals={"xdist": 0.75},
    ),
    Row(
        name="slow-first",
        title="two 1 s tests first, eight fast ones",
        make_suite=suites.make_slow_first,
        processes=4,
        goals={"xdist": 0.55},
        is_small=True,
    ),
    Row(
        name="memory",
        title="memory (summed PSS) on networkx' algorithms, classes and generators",
        make_suite=suites.make_networkx_part,
        processes=8,
        goals={"xdist": 0.52},
        measure=Measure.MEMORY,
    ),
)

ROWS = {row.name: row for row in _ALL}
