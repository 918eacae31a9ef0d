"""The command line: measures the rows that were asked for, and writes the table.

Exits with 0, with 1 if a row's runs did not agree, with 2 if an argument is wrong or something is not installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands import Run, run_command
from benchmarks.contenders import CONTENDERS, Contender, installed_plugins
from benchmarks.memory import is_memory_known
from benchmarks.rounds import LONG_ROUNDS, SHORT_ROUNDS, Measured, Rejected, measure_rounds
from benchmarks.rows import ROWS, Measure, Row
from benchmarks.suites import MissingSuiteError
from benchmarks.table import render

QUICK_ROUNDS = 3
TIMEOUT_SECONDS = 900.0  # Several times what the longest run takes on a slow machine.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return the exit code."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    if options.list:
        for row in ROWS.values():
            print(f"{row.name:14}{row.title}, -n {row.processes}")
        return 0
    contenders = [CONTENDERS[name] for name in dict.fromkeys(options.contenders)]
    for contender in contenders:
        check_contender(contender, parser)
    rows = [ROWS[name] for name in options.rows] if options.rows else _default_rows(quick=options.quick)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else None)
    results: list[tuple[Row, int, Measured | Rejected]] = []
    for row in rows:
        print(f"{row.name}: {row.title}", file=sys.stderr, flush=True)
        processes = options.processes or row.processes
        results.append((row, processes, measure_row(row, contenders, processes, rounds, options.timeout)))
    page = render(results, contenders)
    print(page)
    if options.output is not None:
        options.output.write_text(page, encoding="utf-8")
    return 1 if any(isinstance(result, Rejected) for _, _, result in results) else 0


def measure_row(
    row: Row, contenders: Sequence[Contender], processes: int, rounds: int | None, timeout_seconds: float
) -> Measured | Rejected:
    """Make a row's suite and run its rounds.

    Args:
        row: What to measure.
        contenders: Who runs it.
        processes: How many workers each gets.
        rounds: How many rounds to count; None for what the row's duration asks for.
        timeout_seconds: How long one run may take.
    """
    with_memory = row.measure is Measure.MEMORY
    if with_memory and not is_memory_known():
        return Rejected("this system does not tell the proportional set size of a process")
    with tempfile.TemporaryDirectory(prefix="suite-") as folder:
        try:
            suite = row.make_suite(Path(folder))
        except MissingSuiteError as error:
            return Rejected(str(error))

        def run(name: str) -> Run:
            command = CONTENDERS[name].command(processes, suite.arguments, suite.plugins)
            return run_command(command, timeout_seconds=timeout_seconds, with_memory=with_memory)

        names = [contender.name for contender in contenders]
        return measure_rounds(names, run, measure=row.measure, passed=suite.passed, rounds=rounds)


def check_contender(contender: Contender, parser: argparse.ArgumentParser) -> None:
    """Leave with a usage error if the contender's plugins are not installed."""
    missing = set(contender.plugins) - installed_plugins()
    if missing:
        parser.error(
            f"{contender.name!r} is not installed; "
            f"install {contender.distribution} into {sys.executable}, or leave it out with --contenders"
        )


def positive(text: str) -> int:
    """Convert an argument to a number from 1 on.

    Raises:
        ValueError: If it is something else; argparse makes the message.
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _default_rows(*, quick: bool) -> list[Row]:
    return [row for row in ROWS.values() if row.is_small or not quick]


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Write the table of figures.")
    parser.add_argument("--rows", nargs="+", choices=ROWS, metavar="NAME", help="only these rows (see --list)")
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=CONTENDERS,
        default=list(CONTENDERS),
        metavar="NAME",
        help="who runs (%(choices)s); the last one is compared with the others",
    )
    parser.add_argument("--quick", action="store_true", help=f"only the small rows, {QUICK_ROUNDS} rounds each")
    parser.add_argument(
        "--rounds",
        type=positive,
        help=f"rounds per row instead of {SHORT_ROUNDS} for short rows and {LONG_ROUNDS} for long ones",
    )
    parser.add_argument("--processes", type=positive, help="workers, instead of each row's own number")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, help="seconds after which a run is killed")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table into this file as well")
    parser.add_argument("--list", action="store_true", help="name the rows and leave")
    return parser


if __name__ == "__main__":
    sys.exit(main())
