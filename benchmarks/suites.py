"""The suites that are measured: generated ones, and networkx's own from the installed package."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path


class MissingSuiteError(Exception):
    """The user asked for a suite that is not installed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Suite:
    """What a contender is asked to run.

    Attributes:
        arguments: Pytest's arguments that name the tests and shield them from configuration lying around.
        passed: How many tests pass, where it is known beforehand.
        plugins: Names of entry points that are needed for that.
    """

    arguments: tuple[str, ...]
    passed: int | None
    plugins: tuple[str, ...] = ()


SuiteMaker = Callable[[Path], Suite]  # Writes what it needs into the given, existing and empty folder.


def make_one_test(folder: Path) -> Suite:
    """Write a single empty test: what is left is start-up."""
    (folder / "test_one.py").write_text("def test_one():\n    pass\n")
    return _generated(folder, passed=1)


def make_trivial_tests(folder: Path) -> Suite:
    """Write 10,000 tests that do next to nothing, in 100 files."""
    functions = "\n\n".join(f"def test_{number}():\n    assert True\n" for number in range(100))
    for number in range(100):
        (folder / f"test_file_{number:03}.py").write_text(functions)
    return _generated(folder, passed=10_000)


def make_parametrized_tests(folder: Path) -> Suite:
    """Write 20,000 cases of 40 parametrised tests, in 40 files."""
    source = (
        "import pytest\n\n\n"
        '@pytest.mark.parametrize("number", range(500))\n'
        "def test_number(number):\n"
        "    assert number >= 0\n"
    )
    for number in range(40):
        (folder / f"test_file_{number:02}.py").write_text(source)
    return _generated(folder, passed=20_000)


def make_slow_first(folder: Path) -> Suite:
    """Write two tests of one second and eight fast ones behind them: who puts both slow ones on one worker loses."""
    slow = "\n\n".join(f"def test_slow_{number}():\n    time.sleep(1)\n" for number in range(2))
    fast = "\n\n".join(f"def test_fast_{number}():\n    pass\n" for number in range(8))
    (folder / "test_slow_first.py").write_text(f"import time\n\n\n{slow}\n\n{fast}")
    return _generated(folder, passed=10)


def make_networkx(folder: Path) -> Suite:
    """Return networkx's own tests, as installed.

    Raises:
        MissingSuiteError: If networkx is not installed.
    """
    return _networkx(folder, "networkx")


def make_networkx_measured(folder: Path) -> Suite:
    """Return networkx's own tests, with pytest-cov measuring statements.

    Raises:
        MissingSuiteError: If networkx or pytest-cov is not installed.
    """
    if importlib.util.find_spec("pytest_cov") is None:
        raise MissingSuiteError(
            "pytest-cov is not installed in this interpreter; install it with: pip install pytest-cov"
        )
    suite = _networkx(folder, "networkx")
    arguments = ("--cov=networkx", "--cov-report=", *suite.arguments)
    return dataclasses.replace(suite, arguments=arguments, plugins=("pytest_cov",))


def make_networkx_part(folder: Path) -> Suite:
    """Return the larger part of networkx's own tests, the one that needs no more than numpy beside it.

    Raises:
        MissingSuiteError: If networkx is not installed.
    """
    return _networkx(folder, "networkx.algorithms", "networkx.classes", "networkx.generators")


def _generated(folder: Path, *, passed: int) -> Suite:
    return Suite((*_configuration(folder, rootdir=folder), str(folder)), passed)


def _networkx(folder: Path, *packages: str) -> Suite:
    spec = importlib.util.find_spec("networkx")
    if spec is None or spec.origin is None:
        raise MissingSuiteError(
            "networkx is not installed in this interpreter; install it with: pip install networkx numpy"
        )
    return Suite((*_configuration(folder, rootdir=Path(spec.origin).parent), "--pyargs", *packages), passed=None)


def _configuration(folder: Path, *, rootdir: Path) -> tuple[str, ...]:
    """Return arguments that keep out configuration and conftest files from folders above the suite.

    An interpreter in ``.tox`` or ``.venv`` of a checkout has that checkout's ``pyproject.toml`` above its packages.
    """
    inifile = folder / "pytest.ini"
    inifile.write_text("[pytest]\n")
    return ("-c", str(inifile), "--rootdir", str(rootdir), "--confcutdir", str(rootdir))
