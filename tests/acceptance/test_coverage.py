"""Coverage under ``-n``: the same lines, arcs and contexts as in a plain run, by whatever way it is measured."""

from __future__ import annotations

import sys

import pytest

from tests.acceptance.measuring import (
    COV,
    COVERAGE_RUN,
    configure,
    forget_measurement,
    measure,
    measure_plain,
    parts,
    read,
    replaced_after,
)
from tests.acceptance.runs import add_happenings, happened, run, run_module

pytestmark = pytest.mark.beside_others("pytest_cov")

CORES = ("ctrace", "sysmon") if sys.version_info >= (3, 12) else ("ctrace",)
MEASURES_BRANCHES_BY_MONITORING = sys.version_info >= (3, 14)

PACKAGE = {
    "__init__": "LOADED = True\n",
    "at_collection": """
        def cases():
            found = []
            for number in range(-1, 2):
                found.append(number)
            return found
        """,
    "calls": """
        import threading

        def sign(number):
            if number > 0:
                return "+"
            elif number < 0:
                return "-"
            return "0"

        def odd_sum(count):
            total = 0
            for number in range(count):
                if number % 2:
                    total += number
            return total

        def in_thread(count):
            found = []
            thread = threading.Thread(target=lambda: found.append(odd_sum(count)))
            thread.start()
            thread.join()
            return found

        def at_first():
            return 1

        def at_last():
            return 2

        def never():
            return 3
        """,
    "loaded_late": """
        def answer():
            return 42
        """,
    "in_child": """
        import os

        def work(fd):
            os.write(fd, b"done")
        """,
    "unused": "NOBODY = 'imports this'\n",
}

CONFTEST = """
import pytest

from pkg import calls


@pytest.fixture(scope="session")
def opened():
    yield calls.at_first()
    calls.at_last()
"""

TESTS = """
import os

import pytest

from pkg import at_collection, calls


@pytest.mark.parametrize("number", at_collection.cases())
def test_sign(number):
    assert calls.sign(number)


def test_thread():
    assert calls.in_thread(4) == [4]


def test_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    from pkg import loaded_late

    assert loaded_late.answer() == 42


def test_without_measuring(no_cover):
    calls.odd_sum(1)
"""

TESTS_OF_FIXTURES = """
import pytest


@pytest.mark.parametrize("number", range(2))
def test_opened(opened, number):
    assert opened
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small package and its tests; nothing of how these tests are run and measured themselves reaches them."""
    forget_measurement(monkeypatch)
    package = pytester.mkpydir("pkg")
    for name, text in PACKAGE.items():
        (package / f"{name}.py").write_text(_dedented(text))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_calls=TESTS)


def _dedented(text: str) -> str:
    return "\n".join(line.removeprefix("        ") for line in text.strip("\n").split("\n"))


# --- The same as in a plain run ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
@pytest.mark.parametrize("command", [COV, COVERAGE_RUN], ids=["pytest-cov", "coverage-run"])
def test_same_data_as_plain(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    branch: bool,
    core: str,
    start_method: str,
) -> None:
    """One worker, several, and some that are replaced all the time measure exactly what a plain run measures."""
    if core == "sysmon" and branch and not MEASURES_BRANCHES_BY_MONITORING:
        core = "ctrace"  # What coverage falls back to, with a warning.
    monkeypatch.setenv("COVERAGE_CORE", core)
    pytester.makepyfile(test_fixtures=TESTS_OF_FIXTURES)
    configure(pytester, branch=str(branch))
    plain = measure_plain(pytester, *command)
    assert {"at_collection.py", "calls.py", "loaded_late.py", "unused.py"} <= set(plain)
    assert bool(plain["calls.py"].arcs) == branch
    for arguments in (["-n", "1"], ["-n", "2"], ["-n", "2", "--maxtasksperchild", replaced_after(start_method)]):
        assert measure(pytester, *command, *arguments) == plain, arguments


@pytest.mark.beside_others
@pytest.mark.parametrize("branch", ["false", "true"], ids=["lines", "branches"])
def test_same_contexts_as_plain(pytester: pytest.Pytester, branch: str, start_method: str) -> None:
    """Each line is known to the same tests, and phases of tests, as in a plain run."""
    configure(pytester, branch=branch)
    plain = measure_plain(pytester, *COV, "--cov-context=test")
    assert "test_calls.py::test_thread|run" in {name for lines in plain["calls.py"].contexts.values() for name in lines}
    for arguments in (["-n", "1"], ["-n", "2"], ["-n", "2", "--maxtasksperchild", replaced_after(start_method)]):
        assert measure(pytester, *COV, "--cov-context=test", *arguments) == plain, arguments


def test_same_function_contexts_as_plain(pytester: pytest.Pytester) -> None:
    """``dynamic_context = test_function`` works under ``coverage run``."""
    configure(pytester, dynamic_context="test_function", context="nightly")
    plain = measure_plain(pytester, *COVERAGE_RUN)
    assert "nightly|test_calls.test_thread" in {name for lines in plain["calls.py"].contexts.values() for name in lines}
    assert measure(pytester, *COVERAGE_RUN, "-n", "2") == plain


@pytest.mark.parametrize(
    "settings",
    [
        {"parallel": "true"},
        {"relative_files": "true"},
        {"sigterm": "true"},
        {"concurrency": "thread,multiprocessing"},
        {"patch": "fork", "parallel": "true"},
        {"patch": "fork"},
        {"patch": "_exit", "parallel": "true"},
        {"patch": "execv", "parallel": "true"},
        {"patch": "subprocess"},
        {"patch": "fork, _exit, execv, subprocess"},
    ],
    ids=lambda settings: " ".join(settings.values()),
)
@pytest.mark.parametrize("command", [COV, COVERAGE_RUN], ids=["pytest-cov", "coverage-run"])
def test_same_data_whatever_coverage_patches(
    pytester: pytest.Pytester, command: tuple[str, ...], settings: dict[str, str], start_method: str
) -> None:
    """What coverage does to a process that forks, starts others or leaves early does not disturb the workers."""
    configure(pytester, branch="true", **settings)
    plain = measure_plain(pytester, *command)
    assert measure(pytester, *command, "-n", "2", "--maxtasksperchild", replaced_after(start_method)) == plain


def test_a_measurement_begun_by_a_variable_is_not_begun_twice(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker, too, would be measured because of the variable; that gives no data besides what workers measure."""
    configure(pytester, branch="true", parallel="true", source="pkg")
    monkeypatch.setenv("COVERAGE_PROCESS_START", str(pytester.path / ".coveragerc"))
    plain = measure(pytester, "pytest")
    assert 4 in plain["calls.py"].lines
    assert measure(pytester, "pytest", "-n", "2") == plain
    run_module(pytester, "pytest", "-n", "2")
    # One of the run, one of each worker.
    assert len(parts(pytester)) == 3


def test_what_is_imported_before_pytest_cov_begins_is_as_in_plain(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a plugin that is loaded early the first lines are missing there, and here."""
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    plain = measure(pytester, *COV, "-p", "pkg.at_collection")
    assert 1 not in plain["at_collection.py"].lines
    assert measure(pytester, *COV, "-p", "pkg.at_collection", "-n", "2") == plain


@pytest.mark.parametrize("command", [COV, COVERAGE_RUN], ids=["pytest-cov", "coverage-run"])
def test_a_worker_is_measured_from_its_beginning(pytester: pytest.Pytester, command: tuple[str, ...]) -> None:
    """What a hook does in workers alone, before the session has started, is in the data."""
    (pytester.path / "test_calls.py").unlink()
    pytester.makeconftest(
        """
        def pytest_configure(config):
            if hasattr(config, "workerinput"):
                from pkg import loaded_late

                loaded_late.answer()
        """
    )
    pytester.makepyfile("def test_nothing(): pass")
    assert measure(pytester, *command, "-n", "1")["loaded_late.py"].lines == [1, 2]


CHILDREN = {
    # Before 7.17 coverage takes the last one to measure a forked child.
    "fork, _exit, subprocess": """
        def test_child():
            read_end, write_end = os.pipe()
            pid = os.fork()
            if pid == 0:
                in_child.work(write_end)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        """,
    "execv": """
        def test_child():
            read_end, write_end = os.pipe()
            pid = os.fork()
            if pid == 0:
                in_child.work(write_end)
                os.execv(sys.executable, [sys.executable, "-c", ""])
            assert os.waitpid(pid, 0)[1] == 0
        """,
    "subprocess": """
        def test_child():
            subprocess.run([sys.executable, "-c", "from pkg import in_child; in_child.work(1)"], check=True)
        """,
    "multiprocessing": """
        def test_child():
            process = multiprocessing.get_context("fork").Process(target=in_child.work, args=(1,))
            process.start()
            process.join()
            assert process.exitcode == 0
        """,
}


@pytest.mark.parametrize("way", CHILDREN)
@pytest.mark.parametrize("command", [COV, COVERAGE_RUN], ids=["pytest-cov", "coverage-run"])
def test_children_of_tests_are_measured_as_in_plain(
    pytester: pytest.Pytester, command: tuple[str, ...], way: str
) -> None:
    """What a test's child process runs is in the data, if coverage was told to measure children."""
    # Few tests, and the child's the first of them: workers that begin late find files that children have left.
    (pytester.path / "test_calls.py").unlink()
    imports = (
        "import multiprocessing\nimport os\nimport subprocess\nimport sys\n\nfrom pkg import calls, in_child\n\n\n"
    )
    others = "\n\ndef test_second(): assert calls.sign(1)\n\n\ndef test_third(): assert calls.sign(-1)\n"
    pytester.makepyfile(test_children=imports + _dedented(CHILDREN[way]) + others)
    settings = {"concurrency": way} if way == "multiprocessing" else {"patch": way}
    configure(pytester, parallel="true", **settings)
    plain = measure_plain(pytester, *command)
    assert 4 in plain["in_child.py"].lines
    assert measure(pytester, *command, "-n", "2", "--maxtasksperchild", "1") == plain


# --- pytest-cov's options ---------------------------------------------------------------------------------------------


@pytest.mark.beside_others
def test_report_and_minimum_are_as_in_plain(pytester: pytest.Pytester) -> None:
    """The table is the same, a total below the minimum fails the run, and no worker is said to have failed."""
    options = ("--cov=pkg", "--cov-report=term", "--cov-fail-under=99")
    plain = run(pytester, *options)
    parallel = run(pytester, *options, "-n", "2")
    assert plain.ret == parallel.ret == pytest.ExitCode.TESTS_FAILED
    table = [line for line in plain.outlines if line.startswith(("pkg/", "TOTAL", "FAIL Required"))]
    assert len(table) > len(PACKAGE)
    assert [line for line in parallel.outlines if line in table] == table
    parallel.stdout.no_fnmatch_line("*failed workers*")
    assert parts(pytester) == []


def test_append_adds_to_what_was_there(pytester: pytest.Pytester) -> None:
    """``--cov-append`` keeps the data of the run before."""
    everything = measure(pytester, *COV)
    thread_only = measure(pytester, *COV, "-k", "thread")
    assert thread_only != everything
    for arguments in (["-n", "2", "-k", "sign or thread"], ["-n", "2", "-k", "elsewhere"]):
        run(pytester, *COV[1:], "--cov-append", *arguments)
    assert read(pytester.path / ".coverage") == everything


def test_no_cov_measures_nothing(pytester: pytest.Pytester) -> None:
    """``--no-cov`` wins under ``-n`` too."""
    # Plain pytest-cov, too, stumbles over a test that asks for ``no_cover`` then.
    result = run(pytester, *COV[1:], "--no-cov", "-n", "2", "-k", "not without_measuring")
    assert result.ret == 0
    assert not (pytester.path / ".coverage").exists()
    assert parts(pytester) == []


def test_what_pytest_cov_refuses_is_refused(pytester: pytest.Pytester) -> None:
    """Contexts by function are refused for several processes, in pytest-cov's words."""
    configure(pytester, dynamic_context="test_function")
    result = run(pytester, *COV[1:], "-n", "2")
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*DistCovError: Detected dynamic_context=test_function*"])


# --- Workers that die -------------------------------------------------------------------------------------------------

DYING = """
import os
import pathlib
import signal
import tempfile
import time

import pytest

from pkg import calls, in_child, loaded_late

PLACE = pathlib.Path(tempfile.gettempdir())


def test_first():
    calls.sign(1)


# Between two of these, sooner or later, the worker saves.
@pytest.mark.parametrize("number", range(40))
def test_until_saved(number):
    end = time.monotonic() + 0.25
    while time.monotonic() < end and not list(PLACE.glob("parpool-coverage-*/gw0-1")):
        time.sleep(0.02)


def test_killed():
    calls.odd_sum(2)
    {death}


def test_after():
    loaded_late.answer()
"""

SAVED_SOON = """
from pytest_parpool.coverage import worker

worker.SAVE_SECONDS = 0.1
"""


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(3)"])
@pytest.mark.parametrize("command", [COV, COVERAGE_RUN], ids=["pytest-cov", "coverage-run"])
def test_data_of_a_dead_worker_is_kept(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], death: str
) -> None:
    """What a worker had saved before it was killed is in the data, and so is what its replacement ran."""
    monkeypatch.setenv("TMPDIR", str(pytester.path))
    (pytester.path / "test_calls.py").unlink()
    pytester.makepyfile(test_dying=DYING.format(death=death), soon=SAVED_SOON)
    data = measure(pytester, *command, "-p", "soon", "-n", "1", ret=1)
    assert {4, 5} <= set(data["calls.py"].lines)  # by test_first
    assert 2 in data["loaded_late.py"].lines  # by test_after
    assert list(pytester.path.glob("parpool-coverage-*")) == []
    assert parts(pytester) == []


def test_a_test_that_exits_is_measured_to_its_end(pytester: pytest.Pytester) -> None:
    """With ``patch = _exit`` a worker that a test ends by ``os._exit`` loses nothing."""
    (pytester.path / "test_calls.py").unlink()
    pytester.makepyfile(
        """
        import os

        from pkg import calls

        def test_exit():
            calls.odd_sum(2)
            os._exit(3)
        """
    )
    configure(pytester, patch="_exit", parallel="true")
    data = measure(pytester, *COV, "-n", "1", ret=1)
    assert {11, 12, 13, 14} <= set(data["calls.py"].lines)


def test_an_interrupted_coverage_run_keeps_what_ran(pytester: pytest.Pytester) -> None:
    """After Ctrl-C ``coverage run`` has what the workers measured; pytest-cov leaves no parts lying around."""
    add_happenings(pytester)
    (pytester.path / "test_calls.py").unlink()
    pytester.makepyfile(
        """
        import os
        import signal

        import happenings
        from pkg import calls

        def test_one():
            calls.sign(1)

        def test_two():
            happenings.tell("interrupting")
            os.kill(int(os.environ["CONTROLLER"]), signal.SIGINT)
            happenings.wait_for("never")
        """
    )
    pytester.makeconftest("import os\nos.environ['CONTROLLER'] = str(os.getpid())\n")
    data = measure(pytester, *COVERAGE_RUN, "-n", "1", ret=2)
    assert happened(pytester, "interrupting") == ""
    assert {4, 5} <= set(data["calls.py"].lines)
    run(pytester, *COV[1:], "-n", "1")
    assert parts(pytester) == []


# --- Who does not measure ---------------------------------------------------------------------------------------------


def test_a_run_that_measures_nothing_does_not_load_coverage(pytester: pytest.Pytester) -> None:
    """Neither coverage nor what we have for it is loaded, in controller and workers."""
    (pytester.path / "test_calls.py").unlink()
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            assert not [name for name in sys.modules if name.startswith(("coverage", "pytest_parpool.coverage"))]
        """
    )
    run(pytester, "-n", "1").assert_outcomes(passed=1)
