"""Workers on Windows: fresh interpreters in jobs, interrupted by an event, read after their death by their handles."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from pytest_parpool.runtime.windows import kernel
from tests.acceptance import runs

DEADLINE_SECONDS = 60.0


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A place for an inner suite, whose tests can wait for one another."""
    runs.add_happenings(pytester)
    return pytester


def until(claim: Callable[[], bool], text: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not claim():
        assert time.monotonic() < deadline, text
        time.sleep(0.05)


def start(suite: pytest.Pytester, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a run that goes on meanwhile."""
    command = [sys.executable, "-m", "pytest", *arguments]
    run: subprocess.Popen[bytes] = suite.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return run


def happened(suite: pytest.Pytester, name: str) -> str:
    """Wait for what an inner test tells, and return it."""
    until((suite.path / f"{name}.happened").exists, f"{name!r} did not happen")
    return runs.happened(suite, name)


# --- How they start ---------------------------------------------------------------------------------------------------


def test_workers_are_spawned(suite: pytest.Pytester) -> None:
    """One line says why; outcomes are those of a plain run."""
    suite.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_where(number):
            assert os.environ["PYTEST_XDIST_WORKER"] in ("gw0", "gw1")

        def test_fails():
            assert 0

        @pytest.mark.skip
        def test_skipped():
            pass
        """
    )
    result = runs.run(suite, "-n", "2", "-v")
    assert "parpool: workers are spawned, not forked, because Windows cannot fork" in result.outlines
    result.assert_outcomes(passed=6, failed=1, skipped=1)


def test_a_fork_is_refused(suite: pytest.Pytester) -> None:
    """Before anything is collected."""
    suite.makepyfile("raise AssertionError('collected')")
    result = runs.run(suite, "-n", "2", "--start-method", "fork")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines[0] == "ERROR: --start-method: 'fork' is not allowed; give one of auto, spawn"


def test_workers_are_replaced_after_their_tests(suite: pytest.Pytester) -> None:
    """Each replacement is another process."""
    suite.makepyfile(
        """
        import os
        import happenings
        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_pid(number):
            happenings.note("pids", os.getpid())
        """
    )
    runs.run(suite, "-n", "1", "--maxtasksperchild", "2").assert_outcomes(passed=4)
    assert len(set(runs.notes(suite, "pids"))) == 2


# --- How they end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("death", "reason"),
    [
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 15)", "exit code 15"),
        ("ctypes.windll.kernel32.ExitProcess(0xC0000005)", "exit code 0xc0000005, access violation"),
    ],
)
def test_a_death_fails_its_test_only(suite: pytest.Pytester, death: str, reason: str) -> None:
    """What it had printed is shown, also what it has written below Python."""
    suite.makepyfile(
        f"""
        import ctypes
        import os
        import sys

        def test_before():
            pass

        def test_dies():
            print("out of it")
            print("err of it", file=sys.stderr)
            os.write(1, b"below Python\\n")
            {death}

        def test_behind():
            pass
        """
    )
    result = runs.run(suite, "-n", "2")
    result.assert_outcomes(passed=2, failed=1)
    shown = runs.failure(result, "test_dies")
    assert f"({reason})" in shown
    for said in ("out of it", "err of it", "below Python"):
        assert said in shown


def test_the_stack_of_a_crash_is_that_of_the_test(suite: pytest.Pytester) -> None:
    """What faulthandler wrote is there, without the thread that waits for Ctrl-C."""
    suite.makepyfile("import faulthandler\ndef test_call():\n    faulthandler._sigsegv()\n")
    shown = runs.failure(runs.run(suite, "-n", "1"), "test_call")
    assert "in test_call" in shown
    assert "interrupts.py" not in shown


def test_a_killed_worker_takes_what_it_has_started_along(suite: pytest.Pytester) -> None:
    """It is killed because it does not leave in time."""
    suite.makepyfile(
        """
        import subprocess
        import sys
        import happenings
        import pytest

        @pytest.fixture(scope="session")
        def stuck():
            yield
            sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            happenings.tell("sleeper", sleeper.pid)
            sleeper.wait()

        def test_it(stuck):
            pass
        """
    )
    result = runs.run(suite, "-n", "1", "--shutdown-timeout", "3")
    assert "(it did not stop within the shutdown timeout)" in result.stdout.str()
    sleeper = int(runs.happened(suite, "sleeper"))
    until(lambda: not kernel.is_alive(sleeper), "the sleeper is still there")


def test_what_a_good_worker_leaves_behind_goes_on(suite: pytest.Pytester) -> None:
    """A child that outlives its worker on purpose is not killed at the end of the run."""
    suite.makepyfile(
        """
        import subprocess
        import sys
        import happenings

        def test_it():
            code = "import time, happenings; happenings.wait_for('end')"
            nothing = subprocess.DEVNULL
            child = subprocess.Popen([sys.executable, "-c", code], stdin=nothing, stdout=nothing, stderr=nothing)
            happenings.tell("child", child.pid)
        """
    )
    runs.run(suite, "-n", "1").assert_outcomes(passed=1)
    child = int(runs.happened(suite, "child"))
    assert kernel.is_alive(child)
    (suite.path / "end.happened").write_text("")
    until(lambda: not kernel.is_alive(child), "the child did not end")


def test_workers_end_with_a_killed_controller(suite: pytest.Pytester) -> None:
    """However busy they are, and with what they have started."""
    suite.makepyfile(
        """
        import os
        import subprocess
        import sys
        import happenings

        def test_it():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            happenings.tell("pids", f"{os.getpid()} {child.pid}")
            while True:
                pass
        """
    )
    run = start(suite, "-n", "1")
    pids = [int(pid) for pid in happened(suite, "pids").split()]
    assert all(map(kernel.is_alive, pids))
    run.kill()
    run.communicate()
    until(lambda: not any(map(kernel.is_alive, pids)), "they are still there")


def test_a_report_of_fifty_megabytes(suite: pytest.Pytester) -> None:
    """It arrives whole."""
    suite.makepyfile("def test_it():\n    print('x' * 50_000_000)\n    assert 0\n")
    result = runs.run(suite, "-n", "1")
    result.assert_outcomes(failed=1)
    assert max(map(len, result.outlines)) == 50_000_000


# --- Interrupts -------------------------------------------------------------------------------------------------------

INTERRUPTED = """
    import _thread
    import os
    import signal
    import happenings

    def interrupt(count):
        # As the system does it when Ctrl-C is typed: in a thread of its own.
        happenings.wait_for("running")
        for _ in range(count):
            signal.raise_signal(signal.SIGINT)
            happenings.tell("interrupted")

    def pytest_collection_finish():
        if "PYTEST_XDIST_WORKER" not in os.environ:
            _thread.start_new_thread(interrupt, ({count},))
"""


@pytest.mark.parametrize(
    "wait", ["time.sleep(600)", "parpool.event('never').wait()", "while True: pass"], ids=["sleep", "event", "loop"]
)
def test_ctrl_c_interrupts_tests(suite: pytest.Pytester, wait: str) -> None:
    """Fixtures are torn down, and the summary names what was interrupted."""
    suite.makeconftest(INTERRUPTED.format(count=1))
    suite.makepyfile(
        f"""
        import time
        import happenings
        import pytest

        @pytest.fixture
        def around():
            yield
            happenings.tell("torn_down")

        def test_long(around, parpool):
            parpool.event("never").is_set()
            happenings.tell("running")
            {wait}
        """
    )
    result = runs.run(suite, "-n", "1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["interrupted: *::test_long (gw0, at *)"])
    assert (suite.path / "torn_down.happened").exists()


def test_a_second_ctrl_c_kills(suite: pytest.Pytester) -> None:
    """A test that takes no notice of the first one does not hold up the end."""
    suite.makeconftest(INTERRUPTED.format(count=2))
    suite.makepyfile(
        """
        import os
        import signal
        import happenings

        def test_deaf():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            happenings.tell("running", os.getpid())
            while True:
                pass
        """
    )
    result = runs.run(suite, "-n", "1", "--shutdown-timeout", "600")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    pid = int(runs.happened(suite, "running"))
    until(lambda: not kernel.is_alive(pid), "the worker is still there")


# --- Coverage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--cov-branch",)], ids=["lines", "branches"])
def test_coverage_is_that_of_the_plain_run(suite: pytest.Pytester, options: tuple[str, ...]) -> None:
    """The same lines and arcs."""
    coverage = pytest.importorskip("coverage")
    suite.makepyfile(
        measured="def sign(x):\n    if x < 0:\n        return -1\n    return 1\n",
        test_measured="""
        import measured
        import pytest

        @pytest.mark.parametrize("x", [-2, -1, 1, 2])
        def test_sign(x):
            assert measured.sign(x) == x // abs(x)
        """,
    )

    def measure(*arguments: str) -> dict[str, object]:
        runs.run(suite, "--cov=measured", "--cov-report=", *options, *arguments).assert_outcomes(passed=4)
        data = coverage.CoverageData(str(suite.path / ".coverage"))
        data.read()
        return {file: (sorted(data.lines(file)), sorted(data.arcs(file) or ())) for file in data.measured_files()}

    plain = measure("-p", "no:parpool")
    assert plain
    assert measure("-n", "2") == plain


# --- Files that all write to ------------------------------------------------------------------------------------------


def test_a_log_file_holds_every_line(suite: pytest.Pytester) -> None:
    """Each worker's lines are whole and in order."""
    suite.makepyfile(
        """
        import logging
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_logs(parpool, number):
            parpool.barrier("both", 2).wait(timeout=60)
            for line in range(500):
                logging.warning("%s:%s:%s", number, line, "x" * 200)
        """
    )
    runs.run(suite, "-n", "2", "--log-file=all.log", "--log-file-format=%(message)s").assert_outcomes(passed=2)
    lines = (suite.path / "all.log").read_text().splitlines()
    for number in range(2):
        assert [line for line in lines if line.startswith(f"{number}:")] == [
            f"{number}:{line}:{'x' * 200}" for line in range(500)
        ]
    assert len(lines) == 1000
