"""The command line of the pools: ``python -m benchmarks.pools`` measures ours beside others in the same rounds.

Exits with 0; with 2 if an argument is wrong or something is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.__main__ import positive
from benchmarks.cpu_time import Cost
from benchmarks.pool_contenders import POOL_CONTENDERS, SUBJECT
from benchmarks.pool_measurement import measure_apart
from benchmarks.pool_rows import POOL_ROWS, PoolRow
from benchmarks.pool_table import PoolTable

DEFAULT_ROUNDS = 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the rows that were asked for, and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pools", description=__doc__)
    parser.add_argument("--row", nargs="+", choices=POOL_ROWS, default=list(POOL_ROWS), metavar="NAME")
    parser.add_argument(
        "--contender", nargs="+", choices=POOL_CONTENDERS, default=list(POOL_CONTENDERS), metavar="NAME"
    )
    parser.add_argument("--rounds", type=positive, default=DEFAULT_ROUNDS)
    parser.add_argument("--count", type=positive, help="calls, instead of as many as each row has")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    names = [name for name in POOL_CONTENDERS if name in {SUBJECT.name, *options.contender}]
    for name in names:
        _check_installed(parser, name)
    rows = []
    for row in (POOL_ROWS[name] for name in dict.fromkeys(options.row)):
        if row.is_possible():
            rows.append(row)
        else:
            print(f"row '{row.name}' is left out: {row.module} is not installed", file=sys.stderr)
    figures = measure_rounds(rows, names, options.rounds, options.count)
    command = shlex.join(["python", "-m", "benchmarks.pools", *(sys.argv[1:] if arguments is None else arguments)])
    page = PoolTable(rows=rows, names=names, figures=figures, count=options.count).render(command)
    print(page, end="")
    if options.output is not None:
        options.output.write_text(page, encoding="utf-8")
    return 0


def measure_rounds(
    rows: Sequence[PoolRow], names: Sequence[str], rounds: int, count: int | None
) -> dict[str, dict[str, list[Cost]]]:
    """Return what a call has cost: by row and contender, one figure per round.

    In each round the contenders of a row come in another order, which is drawn at random.

    Args:
        rows: What to measure.
        names: Of the contenders.
        rounds: How many.
        count: How many calls; None for as many as the row has.
    """
    draw = random.Random(rounds)
    figures: dict[str, dict[str, list[Cost]]] = {row.name: {name: [] for name in names} for row in rows}
    for turn in range(rounds):
        for row in rows:
            print(f"round {turn + 1} of {rounds}: {row.describe(count)}", file=sys.stderr, flush=True)
            for name in draw.sample(names, len(names)):
                figures[row.name][name].append(measure_apart(row.name, name, count))
    return figures


def _check_installed(parser: argparse.ArgumentParser, name: str) -> None:
    contender = POOL_CONTENDERS[name]
    module = contender.module.partition(".")[0]
    if importlib.util.find_spec(module) is None:
        parser.error(
            f"{module} is not installed in {sys.executable}; install it with: pip install {contender.distribution}, "
            "or name those that are with --contender"
        )


if __name__ == "__main__":
    raise SystemExit(main())
