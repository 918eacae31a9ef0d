"""One measurement of a pool, in the process that runs this: ``python -m benchmarks.pool_measurement ROW CONTENDER``.

Prints the cost of one call as JSON, in the last line: something else may print, too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands import run_command
from benchmarks.cpu_time import Cost
from benchmarks.pool_contenders import POOL_CONTENDERS
from benchmarks.pool_rows import POOL_ROWS

TIMEOUT_SECONDS = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one row of one contender."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pool_measurement", description=__doc__)
    parser.add_argument("row", choices=POOL_ROWS)
    parser.add_argument("contender", choices=POOL_CONTENDERS)
    parser.add_argument("--count", type=int, help="calls, instead of as many as the row has")
    options = parser.parse_args(arguments)
    row = POOL_ROWS[options.row]
    count = row.count_for(options.contender, options.count)
    cost = row.measure(POOL_CONTENDERS[options.contender], count)
    print(json.dumps(dataclasses.asdict(cost.divided(count))))
    return 0


def measure_apart(row: str, contender: str, count: int | None = None) -> Cost:
    """Return the cost of one call, measured in a fresh process.

    Args:
        row: Its name.
        contender: Its name.
        count: How many calls; None for as many as the row has.

    Raises:
        RuntimeError: If the process gave none.
    """
    command = [sys.executable, "-m", __name__, row, contender]
    if count is not None:
        command += ["--count", str(count)]
    # It starts in an empty folder, and finds us wherever we were found.
    path = os.pathsep.join((str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
    run = run_command(command, timeout_seconds=TIMEOUT_SECONDS, environment={"PYTHONPATH": path.rstrip(os.pathsep)})
    if run.exit_code or run.is_timed_out:
        ending = f"was killed after {TIMEOUT_SECONDS:g} s" if run.is_timed_out else f"exited with {run.exit_code}"
        raise RuntimeError(f"'{contender}' gave no figure for row '{row}': it {ending} and printed\n{run.output}")
    return Cost(**json.loads(run.output.splitlines()[-1]))


if __name__ == "__main__":
    raise SystemExit(main())
