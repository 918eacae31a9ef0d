"""The benchmarks of pools do what they say with each pool that is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import benchmarks
from benchmarks.commands import run_command
from benchmarks.pool_contenders import POOL_CONTENDERS, SUBJECT
from benchmarks.pool_measurement import measure_apart
from benchmarks.pool_rows import POOL_ROWS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")

MEASURE = """\
import sys
from benchmarks.pool_contenders import POOL_CONTENDERS
from benchmarks.pool_rows import POOL_ROWS

for name in sys.argv[2:]:
    assert POOL_ROWS[name].measure(POOL_CONTENDERS[sys.argv[1]], 2).seconds > 0
    print(name)
"""


@pytest.mark.parametrize("name", POOL_CONTENDERS)
def test_rows(name: str) -> None:
    """Each row can be measured with each pool; of those whose start takes a second, one row for each way to call."""
    contender = POOL_CONTENDERS[name]
    if importlib.util.find_spec(contender.module.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed")
    rows = [row.name for row in POOL_ROWS.values() if row.is_possible()]
    if contender.birth != SUBJECT.birth:
        rows = ["chunked", "streamed"]
    # From where the benchmarks can be imported, also if they are not installed.
    root = Path(benchmarks.__file__).parents[1]
    run = run_command([sys.executable, "-c", MEASURE, name, *rows], timeout_seconds=60, cwd=root)
    assert run.exit_code == 0, run.output
    assert run.output.split() == rows


def test_fresh_process() -> None:
    """A measurement in a fresh process gives the cost of one call."""
    cost = measure_apart("naps", "multiprocessing.Pool", 8)
    # Two workers take turns of 10 ms.
    assert cost.seconds > 0.004


def test_failed_measurement() -> None:
    """A measurement without a figure is an error that shows what was printed."""
    with pytest.raises(RuntimeError, match="'nobody' gave no figure for row 'naps': it exited with 2"):
        measure_apart("naps", "nobody", 8)


def test_nothing_of_others_is_loaded() -> None:
    """Our pool needs no other one, and its workers do not pay for what one of those has loaded."""
    code = f"{MEASURE}\nassert not {{'multiprocessing', 'concurrent.futures', 'joblib', 'loky'}} & set(sys.modules)\n"
    root = Path(benchmarks.__file__).parents[1]
    run = run_command([sys.executable, "-c", code, SUBJECT.name, "life"], timeout_seconds=60, cwd=root)
    assert run.exit_code == 0, run.output
