"""What inner runs measure, with and without workers, in a form in which it can be compared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from coverage import Coverage, CoverageData

from tests.acceptance.runs import run_module

COV = ("pytest", "--cov=pkg", "--cov-report=")
COVERAGE_RUN = ("coverage", "run", "--source=pkg", "-m", "pytest")


class Measured(NamedTuple):
    """What a data file says of one source file."""

    lines: list[int]
    arcs: list[tuple[int, int]]
    contexts: dict[int, list[str]]


def forget_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing of how these tests are run and measured themselves reach inner runs."""
    for name in [name for name in os.environ if name.startswith(("COVERAGE_", "COV_CORE_", "PYTEST_XDIST_"))]:
        monkeypatch.delenv(name)


def configure(pytester: pytest.Pytester, **run_section: str) -> None:
    """Write the section ``run`` of coverage's configuration."""
    lines = [f"{name} = {value}" for name, value in run_section.items()]
    (pytester.path / ".coveragerc").write_text("\n".join(["[run]", *lines, ""]))


def measure(pytester: pytest.Pytester, *command: str, ret: int = 0) -> dict[str, Measured]:
    """Run ``python -m`` something, combine what must be, and return what was measured, by source file."""
    for old in pytester.path.glob(".coverage*"):
        if old.name != ".coveragerc":
            old.unlink()
    result = run_module(pytester, *command)
    assert result.ret == ret, str(result.stdout)
    if parts(pytester):
        settings = pytester.path / ".coveragerc"
        everything = Coverage(config_file=str(settings) if settings.exists() else False)
        everything.combine()
        everything.save()
    return read(pytester.path / ".coverage")


_known: dict[object, Mapping[str, Measured]] = {}


def measure_plain(pytester: pytest.Pytester, *command: str) -> Mapping[str, Measured]:
    """Return what a plain run measures; of a suite and settings that have been there before it is known already."""
    sources = [*sorted(pytester.path.rglob("*.py")), *sorted(pytester.path.glob(".coveragerc"))]
    suite = tuple((str(path.relative_to(pytester.path)), path.read_text()) for path in sources)
    key = (command, suite, os.environ.get("COVERAGE_CORE"))
    if key not in _known:
        _known[key] = measure(pytester, *command)
    return _known[key]


def parts(pytester: pytest.Pytester) -> list[Path]:
    """Return data files that nobody has combined."""
    return sorted(pytester.path.glob(".coverage.*"))


def read(path: Path) -> dict[str, Measured]:
    """Return what a data file says, by source file."""
    assert path.exists()
    data = CoverageData(str(path))
    data.read()
    return {
        Path(name).name: Measured(
            sorted(data.lines(name) or ()),
            sorted(data.arcs(name) or ()),
            {line: sorted(names) for line, names in data.contexts_by_lineno(name).items()},
        )
        for name in data.measured_files()
    }


def replaced_after(start_method: str) -> str:
    """Return a number of tests after which a worker is replaced: at once, where that is cheap."""
    return "1" if start_method == "fork" else "3"
