"""The rounds of a row: in each one every contender runs once, and who begins changes from round to round."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks.agreement import find_disagreement
from benchmarks.commands import Run
from benchmarks.rows import Measure

SHORT_SECONDS = 2.0  # A row whose slowest contender takes less than this is short.
SHORT_ROUNDS = 15
LONG_ROUNDS = 5

# Enough of a run's output to see why it is not what was expected.
_TAIL_LINES = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """A row's figures.

    Attributes:
        values: By contender, one figure per round, in the row's unit.
    """

    values: Mapping[str, Sequence[float]]

    @property
    def rounds(self) -> int:
        """The number of rounds."""
        return min(map(len, self.values.values()))


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """A row without figures, because its runs did not do the same work or could not be made.

    Attributes:
        reason: What differed, in one line.
    """

    reason: str


def rotate(names: Sequence[str], turn: int) -> tuple[str, ...]:
    """Return the names with another one first in each turn, so that no one always follows the same neighbour's heat."""
    first = turn % len(names)
    return (*names[first:], *names[:first])


def count_rounds(slowest_seconds: float) -> int:
    """Return how many rounds a row gets, from what its slowest contender took in the warm-up."""
    return SHORT_ROUNDS if slowest_seconds < SHORT_SECONDS else LONG_ROUNDS


def measure_rounds(
    names: Sequence[str],
    run: Callable[[str], Run],
    *,
    measure: Measure,
    passed: int | None,
    rounds: int | None,
) -> Measured | Rejected:
    """Run every contender once per round and return the figures.

    One more round goes before them and is not counted: it writes the byte code and fills the file system's cache.
    The first round in which the contenders do not agree ends the row.

    Args:
        names: The contenders.
        run: Runs the one of this name.
        measure: What to take from a run.
        passed: How many tests pass, where it is known beforehand.
        rounds: How many rounds to count; None for ``count_rounds``.
    """
    values: dict[str, list[float]] = {name: [] for name in names}
    turn, last = 0, 0
    while turn <= last:
        runs = {name: run(name) for name in rotate(names, turn)}
        runs = {name: runs[name] for name in names}
        figures = {name: measure.value_of(runs[name]) for name in names}
        shown = ", ".join(f"{name} {figure:.2f}" for name, figure in figures.items())
        print(f"  {f'round {turn}' if turn else 'warm-up'}: {shown} {measure.value}", file=sys.stderr, flush=True)
        if reason := find_disagreement(runs, passed=passed):
            _show_tails(runs)
            return Rejected(reason)
        if turn == 0:
            last = rounds or count_rounds(max(done.seconds for done in runs.values()))
        else:
            for name in names:
                values[name].append(figures[name])
        turn += 1
    return Measured(values)


def _show_tails(runs: Mapping[str, Run]) -> None:
    for name, run in runs.items():
        lines = run.output.splitlines()[-_TAIL_LINES:]
        print(f"--- the end of what {name} printed ---", *lines, sep="\n", file=sys.stderr, flush=True)
