"""Whether runs did the same work: a fast failure must never be counted as a fast run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from benchmarks.commands import Run

# Exit codes after which all tests have run (pytest.ExitCode): all passed, some failed.
_COMPLETE = (0, 1)

# How often the same warning is shown is not an outcome. What was never meant to run is none either, and pytest-xdist
# does not tell it.
_NOT_OUTCOMES = ("warning", "warnings", "deselected")

_SUMMARY = re.compile(r"^=*\s*(?P<counts>\d+ [a-z].*) in \d+(\.\d+)?s\b")
_COUNT = re.compile(r"(\d+) ([a-z]+(?: [a-z]+)*)")


def parse_counts(output: str) -> dict[str, int]:
    """Return the outcomes in pytest's closing line, such as ``{"passed": 12, "skipped": 1}``; empty without one."""
    for line in reversed(output.splitlines()):
        if match := _SUMMARY.match(line):
            counts = {name: int(number) for number, name in _COUNT.findall(match["counts"])}
            return {name: number for name, number in counts.items() if name not in _NOT_OUTCOMES}
    return {}


def find_disagreement(runs: Mapping[str, Run], *, passed: int | None) -> str | None:
    """Return why the runs of one round may not be compared, or None if they may.

    Args:
        runs: By contender; all of the same suite.
        passed: How many tests pass, where it is known beforehand.
    """
    counts = {name: parse_counts(run.output) for name, run in runs.items()}
    is_complete = all(run.exit_code in _COMPLETE for run in runs.values()) and all(counts.values())
    is_same = len({(run.exit_code, *sorted(counts[name].items())) for name, run in runs.items()}) == 1
    is_expected = passed is None or all(count == {"passed": passed} for count in counts.values())
    if is_complete and is_same and is_expected:
        return None
    said = "; ".join(f"{name}: {describe_ending(run)}" for name, run in runs.items())
    return said if passed is None else f"{said}; expected: {passed} passed"


def describe_ending(run: Run) -> str:
    """Return in words how a run ended and what it counted."""
    ending = "stopped by the time limit" if run.is_timed_out else f"exit {run.exit_code}"
    counted = ", ".join(f"{number} {name}" for name, number in sorted(parse_counts(run.output).items()))
    return f"{counted or 'no counts'}, {ending}"
