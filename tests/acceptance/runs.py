"""What acceptance tests share: how a pytest with workers is run, how its output is read, and how inner tests meet."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.acceptance import prepared

# For one inner run. Reached only by one that hangs, so that a slow machine does not matter: longer than two waits of an
# inner test, which say what did not happen.
RUN_SECONDS = 180

START_METHOD = "PARPOOL_TEST_START_METHOD"
"""The variable that says how workers of inner runs are started, where their command line does not."""

BESIDE = "PARPOOL_TEST_BESIDE"
"""The variable that names plugins that inner runs load beside ours, ``EVERYBODY`` for whatever is installed. Without it
they have ours alone: others are in the suite's environment because living beside them is a promise, and importing them
is a tenth of a short run."""
EVERYBODY = "*"

HAPPENINGS = '''
"""Lets inner tests in different processes wait for one another: what has happened is a file, and waiting ends."""

import os
import pathlib
import time

PLACE = pathlib.Path(__file__).parent
SECONDS = 60


def tell(name, text=""):
    """Say that something has happened, with a text for whoever waits for it."""
    draft = PLACE / f"{name}.{os.getpid()}.draft"
    draft.write_text(str(text))
    draft.rename(PLACE / f"{name}.happened")


def has_happened(name):
    return (PLACE / f"{name}.happened").exists()


def wait_for(name):
    """Wait until something has happened; return the text."""
    wait_until(lambda: has_happened(name))
    return (PLACE / f"{name}.happened").read_text()


def wait_until(claim):
    deadline = time.monotonic() + SECONDS
    while not claim():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def state(pid):
    """Return a process's state, a letter as in ps(1); X if there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def note(name, text):
    """Append a line to a list that many processes write to."""
    with open(PLACE / f"{name}.list", "a") as file:
        file.write(f"{text}\\n")


def notes(name):
    path = PLACE / f"{name}.list"
    return path.read_text().splitlines() if path.exists() else []
'''

_VERBOSE_LINE = re.compile(r"^\[gw\d+\] \[ *\d+%\] ([A-Z]+) (?:\S+::)?(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^(_{3,}|={3,}) .* (_{3,}|={3,})$")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in a process of its own; a run that hangs fails the test.

    If this test itself runs in a worker, the inner run does not hear of it. Where that makes no difference, the process
    is forked from one that has imported pytest (``prepared``).
    """
    with pytest.MonkeyPatch.context() as patch:
        prepare_environment(patch, arguments)
        start_prepared(patch, pytester)
        return pytester.runpytest_subprocess(*arguments, timeout=RUN_SECONDS)


def start_prepared(patch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> None:
    """Have inner runs forked from an interpreter that has imported pytest, where that makes no difference.

    Args:
        patch: Undone behind the run.
        pytester: Runs them.
    """
    patch.setattr(pytester, "popen", functools.partial(_popen, pytester.popen))


def _popen(
    start_whole: Callable[..., subprocess.Popen[bytes]], command: Sequence[str], **how: Any
) -> subprocess.Popen[bytes] | prepared.PreparedRun:
    """Start a process as ``Pytester.popen`` does; the directory is on the path there, too."""
    path = [os.getcwd(), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    if prepared.is_possible(command, environment):
        return prepared.start(command, environment, how["stdout"], how["stderr"])
    return start_whole(command, **how)


def run_plain(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the suite without workers and without this plugin, for what it says.

    The same suite says the same again, but for the directory's name: it is run once, however many runs with workers
    are compared with it. So files that it would write may be missing.
    """
    place = str(pytester.path)
    files = [path for path in sorted(pytester.path.rglob("*")) if path.suffix in (".py", ".ini")]
    key = (arguments, tuple((str(path.relative_to(place)), path.read_text()) for path in files))
    if key not in _plain_runs:
        _plain_runs[key] = place, run(pytester, "-p", "no:parpool", "-p", "no:xdist", *arguments)
    there, result = _plain_runs[key]
    lines, errors = ([line.replace(there, place) for line in found] for found in (result.outlines, result.errlines))
    return pytest.RunResult(result.ret, lines, errors, result.duration)


_plain_runs: dict[object, tuple[str, pytest.RunResult]] = {}


def run_module(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run ``python -m`` something that runs pytest, like ``run``."""
    with pytest.MonkeyPatch.context() as patch:
        prepare_environment(patch, arguments)
        start_prepared(patch, pytester)
        return pytester.run(sys.executable, "-m", *arguments, timeout=RUN_SECONDS)


def prepare_environment(patch: pytest.MonkeyPatch, arguments: Sequence[str]) -> None:
    """Have an inner run not hear of a worker that we are, load what the test says, and start its own workers like that.

    Args:
        patch: Undone behind the run.
        arguments: Of the run.
    """
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        patch.delenv(name)
    is_plain = "no:parpool" in arguments
    options = [os.environ.get("PYTEST_ADDOPTS", "")]
    beside = os.environ.get(BESIDE, "").split()
    if beside != [EVERYBODY]:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        options += [f"-p {plugin}" for plugin in ([] if is_plain else ["parpool"]) + beside]
    if START_METHOD in os.environ and not is_plain:
        options.append(f"--start-method={os.environ[START_METHOD]}")
    patch.setenv("PYTEST_ADDOPTS", " ".join(filter(None, options)))


def add_happenings(pytester: pytest.Pytester) -> None:
    """Give the inner suite the module ``happenings``."""
    pytester.makepyfile(happenings=HAPPENINGS)


def happened(pytester: pytest.Pytester, name: str) -> str:
    """Return the text of what an inner test has told.

    Raises:
        FileNotFoundError: If it has not.
    """
    return (pytester.path / f"{name}.happened").read_text()


def notes(pytester: pytest.Pytester, name: str) -> list[str]:
    """Return the lines that inner tests have noted."""
    path = pytester.path / f"{name}.list"
    return path.read_text().splitlines() if path.exists() else []


def outcomes(result: pytest.RunResult) -> dict[str, list[str]]:
    """Return every test's outcomes, e.g. ``["PASSED", "ERROR"]``, by its name without the file; of runs with ``-v``."""
    found: dict[str, list[str]] = {}
    for outcome, name in _VERBOSE_LINE.findall(result.stdout.str()):
        found.setdefault(name, []).append(outcome)
    return found


def failure(result: pytest.RunResult, name: str) -> str:
    """Return what the run shows under the heading of a failed test.

    Raises:
        AssertionError: If there is no such heading, or more than one.
    """
    starts = [number for number, line in enumerate(result.outlines) if re.fullmatch(rf"_+ {re.escape(name)} _+", line)]
    assert len(starts) == 1, f"{name!r} has {len(starts)} headings"
    lines: list[str] = []
    for line in result.outlines[starts[0] + 1 :]:
        if _HEADING.match(line) or line.startswith("parpool: "):
            break
        lines.append(line)
    return "\n".join(lines)
