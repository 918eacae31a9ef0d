"""The command line of the locks: ``python -m benchmarks.locks`` measures them beside others in the same rounds.

Exits with 0; with 2 if an argument is wrong or something is not installed.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.lock_contenders import FORK, LOCK_CONTENDERS
from benchmarks.lock_rows import LOCK_ROWS, LockRow
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.rounds import rotate
from benchmarks.statistics import compare

DEFAULT_ROUNDS = 7

_SUBJECT = "parpool"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the rows that were asked for, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.locks", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=LOCK_ROWS, default=list(LOCK_ROWS), metavar="ROW")
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds: give a whole number from 1 on")
    if importlib.util.find_spec("filelock") is None:
        parser.error(f"filelock is not installed in {sys.executable}; install it with: pip install filelock")
    rows = [LOCK_ROWS[name] for name in dict.fromkeys(options.rows)]
    found: dict[str, dict[str, list[float]]] = {row.name: collections.defaultdict(list) for row in rows}
    for turn in range(options.rounds):
        for row in rows:
            print(f"round {turn + 1} of {options.rounds}: {row.title}", file=sys.stderr, flush=True)
            for name in rotate(list(LOCK_CONTENDERS), turn):
                found[row.name][name].append(_measure(row, name))
    page = "\n".join(_render(rows, found, options.rounds)) + "\n"
    print(page)
    if options.output is not None:
        options.output.write_text(page, encoding="utf-8")
    return 0


def _measure(row: LockRow, name: str) -> float:
    """Return a figure, measured in a process of its own, so that nothing is left over for the next."""
    receiver, sender = FORK.Pipe(duplex=False)

    def measure() -> None:
        contender = LOCK_CONTENDERS[name]
        with tempfile.TemporaryDirectory(prefix="locks-") as folder, contender.ready(Path(folder)):
            sender.send(row.measure(contender))

    process = FORK.Process(target=measure)
    process.start()
    sender.close()
    try:
        figure: float = receiver.recv()
    except EOFError:
        raise RuntimeError(f"{name} gave no figure for {row.title!r}") from None
    finally:
        process.join()
    return figure


def _render(rows: Sequence[LockRow], found: Mapping[str, Mapping[str, list[float]]], rounds: int) -> Iterator[str]:
    names = list(LOCK_CONTENDERS)
    yield f"- Machine: {describe_machine()}."
    yield f"- Versions: {describe_versions(['pytest-parpool', 'filelock'])}."
    yield f"- Command: `python -m benchmarks.locks --rounds {rounds}`."
    yield "- A figure is the median over the rounds, with the smallest and the largest one behind it."
    yield "- A ratio is the median of the ratios within the rounds, with its 95 % interval; below 1 is better."
    yield ""
    yield _line(["row", *names, "what was to be reached"])
    yield _line(["---"] * (len(names) + 2))
    for row in rows:
        values = found[row.name]
        figures = [_figure(values[name], row.unit) for name in names]
        yield _line([row.title, *figures, _reached(row, values)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(values: Sequence[float], unit: str) -> str:
    median, low, high = (f"{value:.3g}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median} {unit} ({low} to {high})"


def _reached(row: LockRow, values: Mapping[str, list[float]]) -> str:
    parts = []
    for name, goal in row.goals.items():
        comparison = compare(values[_SUBJECT], values[name])
        interval = comparison.interval
        parts.append(
            f"{comparison.median:.2f} [{interval.low:.2f}, {interval.high:.2f}] of {name}; goal at most {goal:.2f}"
        )
    if row.limits is not None:
        low, high = row.limits
        parts.append(f"{low:g} to {high:g} {row.unit}")
    return "; ".join(parts)


if __name__ == "__main__":
    raise SystemExit(main())
