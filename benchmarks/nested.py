"""Tests that each map over a pool, beside the same tests that do the work themselves: how long, and on how much CPU.

``python -m benchmarks.nested`` runs both in turns. Every test and every task notes in memory that all see when it
computes, so the largest number of them at the same time is known, and whether it was ever above the budget.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.commands import run_command
from benchmarks.machine import describe_machine
from benchmarks.rounds import rotate
from benchmarks.statistics import compare

WORKERS = 2
TESTS = 7  # Odd: at the end one test is left for two CPUs.
TASKS = 24
LOOPS = 400_000  # About 30 ms each.
TIMEOUT_SECONDS = 300.0

_SUITE = f'''
import mmap
import os
from pathlib import Path

import pytest

PLACE = Path(__file__).parent / "meter"


def begin():
    """Note that this process computes, and how many do. Each has bytes of its own, so nobody waits."""
    with PLACE.open("r+b") as file:
        meter = mmap.mmap(file.fileno(), 0)
    place = os.getpid() % (len(meter) // 2)
    meter[place] = 1
    count = sum(meter[: len(meter) // 2])
    most = len(meter) // 2 + place
    meter[most] = max(meter[most], count)
    return meter, place


def compute(_):
    meter, place = begin()
    total = 0
    for number in range({LOOPS}):
        total += number * number
    meter[place] = 0
    return total


@pytest.mark.parametrize("number", range({TESTS}))
def test_serial(number):
    assert len([compute(task) for task in range({TASKS})]) == {TASKS}


@pytest.mark.parametrize("number", range({TESTS}))
def test_nested(parpool_pool, number):
    assert len(parpool_pool.map(compute, range({TASKS}), 1)) == {TASKS}
'''
_METER_BYTES = 2 * 4099  # For each process of a run a place of its own, most probably.


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """What one run has cost.

    Attributes:
        seconds: Wall time.
        cpu_seconds: Of all its processes.
        most: How many tests and tasks computed at the same time, at most.
    """

    seconds: float
    cpu_seconds: float
    most: int


def measure(folder: Path, name: str) -> Figures:
    """Run the tests of that name.

    Raises:
        RuntimeError: If they do not pass.
    """
    meter = folder / "meter"
    meter.write_bytes(bytes(_METER_BYTES))
    options = ("-n", str(WORKERS), "-p", "no:cacheprovider", "-c", str(folder / "pytest.ini"))
    arguments = [str(folder), "-k", name, *options]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = run_command([sys.executable, "-m", "pytest", *arguments], timeout_seconds=TIMEOUT_SECONDS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.exit_code != 0:
        raise RuntimeError(f"the tests of {name!r} did not pass:\n{run.output}")
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(run.seconds, cpu_seconds, max(meter.read_bytes()[_METER_BYTES // 2 :]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the figures; return 1 if more computed at the same time than there are slots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nested", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often both run (default: %(default)s)")
    rounds = parser.parse_args(arguments).rounds
    names = ("serial", "nested")
    found: dict[str, list[Figures]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="suite-") as place:
        folder = Path(place)
        (folder / "test_suite.py").write_text(_SUITE, encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        for turn in range(rounds):
            for name in rotate(names, turn):
                found[name].append(measure(folder, name))
    print(f"{describe_machine()}; {rounds} rounds of {TESTS} tests with {TASKS} tasks each, -n {WORKERS}\n")
    print("| Tests | Seconds | CPU seconds | CPU / wall | Most at the same time |\n|---|---|---|---|---|")
    for name, runs in found.items():
        seconds = median(run.seconds for run in runs)
        cpu = median(run.cpu_seconds for run in runs)
        share = max(run.cpu_seconds / run.seconds for run in runs)
        most = max(run.most for run in runs)
        print(f"| {name} | {seconds:.2f} | {cpu:.2f} | at most {share:.2f} | {most} |")
    ratio = compare([run.seconds for run in found["nested"]], [run.seconds for run in found["serial"]])
    low, high = ratio.interval.low, ratio.interval.high
    print(f"\nnested / serial: {ratio.median:.2f} ({low:.2f} to {high:.2f})")
    return int(max(run.most for runs in found.values() for run in runs) > WORKERS)


if __name__ == "__main__":
    sys.exit(main())
