"""Workers that die, stand still or stay for ever while they run no test."""

from __future__ import annotations

import pytest

from tests.acceptance import runs

# gw1 has run its first test and stands idle, with nothing promised to it, until something has happened.
CONFTEST_OF_IDLE = """
import happenings

class Withholding:
    def __init__(self, plan):
        self.queues = {"gw0": [0], "gw1": list(range(1, len(plan)))}

    def peek(self, worker):
        queue = self.queues[worker]
        return queue[0] if queue and (queue[0] < 2 or happenings.has_happened("killed")) else None

    def take(self, worker):
        return self.queues[worker].pop(0)

    def requeue(self, items, worker):
        self.queues[worker][:0] = items

    def is_exhausted(self, worker):
        return happenings.has_happened("killed") and not self.queues[worker]

    def remaining(self):
        return tuple(sorted(item for queue in self.queues.values() for item in queue))

def pytest_parpool_make_scheduler(plan):
    return Withholding(plan)
"""
# The names of the tests say who runs them. What the idle worker still has to do takes no sleep, until it waits for
# work.
SUITE_OF_IDLE = """
import os
import signal

import pytest

import happenings

@pytest.fixture(scope="session", autouse=True)
def noted():
    happenings.note("workers", os.environ["PYTEST_XDIST_WORKER"])

@pytest.fixture(scope="module")
def torn_down_before_waiting():
    yield
    happenings.tell("idle_soon", os.getpid())

def wait_until_idle():
    pid = int(happenings.wait_for("idle_soon"))
    happenings.wait_until(lambda: happenings.state(pid) == "S")
    return pid
"""


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can wait for one another."""
    runs.add_happenings(pytester)


def test_an_idle_worker_that_is_killed_is_replaced(pytester: pytest.Pytester) -> None:
    """It ran no test, so none fails; its successor has the same id and runs what is left."""
    pytester.makeconftest(CONFTEST_OF_IDLE)
    pytester.makepyfile(
        SUITE_OF_IDLE
        + """
def test_killing():
    os.kill(wait_until_idle(), signal.SIGKILL)
    happenings.tell("killed")
    happenings.wait_for("replaced")

def test_of_gw1(torn_down_before_waiting): pass

def test_of_its_successor():
    happenings.tell("replaced")
"""
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*parpool: worker 'gw1' died while it ran no test*test_of_gw1*(killed by SIGKILL)*"])
    assert sorted(runs.notes(pytester, "workers")) == ["gw0", "gw1", "gw1"]


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("os._exit(4)", "worker 'gw1' died while tearing down after 'test_a.py::test_of_gw1' (exit code 4)"),
        (
            "signal.pause()",
            "worker 'gw1' was killed: it did not leave within the shutdown timeout after 'test_a.py::test_of_gw1'",
        ),
    ],
    ids=["deadly", "endless"],
)
def test_a_death_while_draining_fails_the_run(pytester: pytest.Pytester, end: str, line: str) -> None:
    """A worker that learns only later that its test was its last tears down alone, and dies of it.

    Every test of its has passed, but the run has not: the last test is named, with what was said.
    """
    pytester.makeconftest(CONFTEST_OF_IDLE)
    pytester.makepyfile(
        test_a=SUITE_OF_IDLE
        + f"""
@pytest.fixture(scope="session")
def deadly():
    yield
    print("said while draining")
    {end}

def test_that_ends_the_waiting():
    wait_until_idle()
    happenings.tell("killed")
    os._exit(3)

def test_of_gw1(deadly, torn_down_before_waiting): pass
"""
    )
    result = runs.run(pytester, "-n", "2", "--shutdown-timeout", "1")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"parpool: {line}" in result.stdout.str()
    shown = runs.failure(result, "ERROR at teardown of test_of_gw1")
    assert line in shown
    assert "said while draining" in shown


@pytest.mark.parametrize(
    ("end", "reason"),
    [("os._exit(4)", "exit code 4"), ("signal.pause()", "it did not stop within the shutdown timeout")],
    ids=["deadly", "endless"],
)
def test_the_last_teardown_belongs_to_the_last_test(pytester: pytest.Pytester, end: str, reason: str) -> None:
    """A worker that knows its last test tears the session down in it, as plain pytest does, and there it dies."""
    pytester.makepyfile(
        test_a=f"""
        import os
        import signal

        import pytest

        @pytest.fixture(scope="session")
        def deadly():
            yield
            print("said in the end")
            {end}

        def test_one(): pass
        def test_last(deadly): pass
        """
    )
    result = runs.run(pytester, "-n", "1", "--shutdown-timeout", "1")
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    shown = runs.failure(result, "test_last")
    assert f"worker 'gw0' crashed while running 'test_a.py::test_last' ({reason})" in shown
    assert "said in the end" in shown


def test_a_stopped_worker_blocks_nobody(pytester: pytest.Pytester) -> None:
    """While one worker is stopped the others run all the rest, its share included; once continued it goes on."""
    pytester.makepyfile(
        """
        import os
        import signal

        import pytest

        import happenings

        OTHERS = 12

        def test_stopping():
            happenings.tell("stopping", os.getpid())
            os.kill(os.getpid(), signal.SIGSTOP)
            assert len(happenings.notes("done")) == OTHERS

        @pytest.mark.parametrize("number", range(OTHERS))
        def test_other(number):
            pid = int(happenings.wait_for("stopping"))
            happenings.wait_until(lambda: happenings.state(pid) == "T")
            happenings.note("done", number)
            if len(happenings.notes("done")) == OTHERS:
                os.kill(pid, signal.SIGCONT)
        """
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(passed=13)
    assert result.ret == pytest.ExitCode.OK


def test_a_forgotten_thread_is_killed(pytester: pytest.Pytester) -> None:
    """A thread that is not a daemon keeps a process alive, plain pytest too; here it is ended, and the run says so.

    Everything was torn down and reported, so nothing has failed.
    """
    pytester.makepyfile(
        test_a="""
        import threading

        def test_forgetting():
            threading.Thread(target=threading.Event().wait).start()

        def test_last(): pass
        """
    )
    result = runs.run(pytester, "-n", "1", "--shutdown-timeout", "1")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*parpool: worker 'gw0' was killed: it did not leave within the shutdown timeout*"])


@pytest.mark.parametrize(
    "hook",
    [
        "pytest_runtest_protocol(item)",
        "pytest_runtest_makereport(item)",
        "pytest_runtest_logreport(report)",
        "pytest_report_to_serializable(report)",
    ],
)
def test_a_broken_plugin_in_a_worker_is_an_internal_error(pytester: pytest.Pytester, hook: str) -> None:
    """Its traceback is shown, once, the exit code is 3, and fixtures are torn down."""
    pytester.makeconftest(
        f"""
        import os

        import pytest

        import happenings

        @pytest.hookimpl(tryfirst=True)
        def {hook}:
            if os.environ.get("PYTEST_XDIST_WORKER"):
                raise LookupError("broken in the worker only")

        @pytest.fixture(scope="session", autouse=True)
        def wide():
            yield
            happenings.note("torn_down", os.environ["PYTEST_XDIST_WORKER"])
        """
    )
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass\ndef test_four(): pass")
    result = runs.run(pytester, "-n", "2")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    shown = result.stdout.str() + result.stderr.str()
    assert shown.count("LookupError: broken in the worker only") == 1
    assert "INTERNALERROR" in shown
    assert "INTERNALERROR in worker 'gw" in shown
    assert "in " + hook.partition("(")[0] in shown
    if hook != "pytest_runtest_protocol(item)":  # Before that nothing is set up.
        assert runs.notes(pytester, "torn_down")
