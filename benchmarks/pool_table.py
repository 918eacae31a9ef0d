"""The figures of pools as Markdown."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.cpu_time import Cost
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.pool_contenders import POOL_CONTENDERS, PROCESSES, SUBJECT
from benchmarks.pool_rows import PoolRow
from benchmarks.statistics import compare

SHORTEST_CPU_SECONDS = 0.2  # Twenty ticks of the clock that counts them.


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolTable:
    """What was measured.

    Attributes:
        rows: In their order.
        names: Of the contenders; this project's pool, which is compared with all others, is among them.
        figures: By row and contender, what a call has cost, once per round.
        count: How many calls there were, or None for as many as the rows have.
    """

    rows: Sequence[PoolRow]
    names: Sequence[str]
    figures: Mapping[str, Mapping[str, Sequence[Cost]]]
    count: int | None = None

    def render(self, command: str) -> str:
        """Return a page that says what was measured, on what and how.

        Args:
            command: That has measured it.
        """
        others = [name for name in self.names if name != SUBJECT.name]
        blocks = [tuple(self._context(command)), ("Wall time:",), tuple(self._table(self.names, self._figure))]
        if others:
            blocks += [(f"Wall time, {SUBJECT.name} / other:",), tuple(self._table(others, self._wall_ratio))]
        if others and self._is_cpu_known():
            title = f"CPU time of all processes, {SUBJECT.name} / other:"
            blocks += [(title,), tuple(self._table(others, self._cpu_ratio))]
        return "\n\n".join("\n".join(block) for block in blocks) + "\n"

    def _context(self, command: str) -> Iterator[str]:
        contenders = [POOL_CONTENDERS[name] for name in self.names]
        packages = [contender.distribution for contender in contenders if contender.distribution is not None]
        packages += [row.module for row in self.rows if row.module is not None]
        yield f"- Machine: {describe_machine()}."
        yield f"- Versions: {describe_versions(dict.fromkeys(packages))}."
        yield f"- Command: `{command}`."
        yield f"- Each measurement has a fresh process, and a pool of {PROCESSES} workers that has worked before."
        yield "- A figure is of one call, or of one life of a pool: the median over the rounds, and its range."
        yield "- A ratio is the median of the ratios within the rounds, with its 95 % interval; below 1 is better."
        for contender in contenders:
            if contender.birth != SUBJECT.birth:
                yield f"- Workers of {contender.name} are {contender.birth}: it does not fork them."
        for row in self.rows:
            wanted = row.count_for(SUBJECT.name, self.count)
            for name in self.names:
                if (count := row.count_for(name, self.count)) != wanted:
                    yield f"- {name} makes {count:,} instead of {wanted:,} in '{row.describe(self.count)}'."

    def _table(self, names: Sequence[str], cell: Callable[[PoolRow, str], str]) -> Iterator[str]:
        yield _line(["", *names])
        yield _line(["---"] * (len(names) + 1))
        for row in self.rows:
            yield _line([row.describe(self.count), *[cell(row, name) for name in names]])

    def _figure(self, row: PoolRow, name: str) -> str:
        values = [cost.seconds * row.units_per_second for cost in self.figures[row.name][name]]
        median, low, high = (f"{value:.3g}" for value in (statistics.median(values), min(values), max(values)))
        return f"{median} {row.unit} ({low} to {high})"

    def _wall_ratio(self, row: PoolRow, name: str) -> str:
        ours, theirs = ([cost.seconds for cost in self.figures[row.name][each]] for each in (SUBJECT.name, name))
        goal = row.goals.get(name)
        return _ratio(ours, theirs) if goal is None else f"{_ratio(ours, theirs)}, goal {goal:.2f}"

    def _cpu_ratio(self, row: PoolRow, name: str) -> str:
        costs = self.figures[row.name]
        ours, theirs = ([cost.cpu_seconds or 0.0 for cost in costs[each]] for each in (SUBJECT.name, name))
        is_long = min(theirs) * row.count_for(name, self.count) >= SHORTEST_CPU_SECONDS
        return _ratio(ours, theirs) if is_long else "too short"

    def _is_cpu_known(self) -> bool:
        costs = [cost for of_row in self.figures.values() for of_name in of_row.values() for cost in of_name]
        return all(cost.cpu_seconds is not None for cost in costs)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    comparison = compare(ours, theirs)
    return f"{comparison.median:.2f} [{comparison.interval.low:.2f}, {comparison.interval.high:.2f}]"
