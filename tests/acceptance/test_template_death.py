"""The template, the process that workers are forked from, dies: the run goes on as long as it can, and never hangs."""

from __future__ import annotations

import pytest

from tests.acceptance import runs

pytestmark = pytest.mark.start_method("fork")

NAMED_ERROR = "*the template process died, so that workers could not be replaced*"

KILLING = """
import os
import signal

import pytest

import happenings

def kill_template():
    template = os.getppid()
    os.kill(template, signal.SIGKILL)
    # Gone when its children have another parent.
    happenings.wait_until(lambda: os.getppid() != template)
"""


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can wait for one another."""
    runs.add_happenings(pytester)


@pytest.fixture(params=["brood.open_pidfd", "lambda pid: -1"], ids=["pidfds", "no pidfds"])
def pidfds(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> None:
    """With the descriptors that say when a process ends, and on a system that has none.

    That the controller waits in vain for the end of something shows as a hang.
    """
    pytester.makeconftest(
        f"""
        from pytest_parpool.runtime import brood, running_pool

        running_pool._REAP_SECONDS = 3600
        brood.open_pidfd = {request.param}
        """
    )


@pytest.mark.usefixtures("pidfds")
def test_live_workers_finish_their_work(pytester: pytest.Pytester) -> None:
    """Nobody needs the template while nobody has to be born: all tests run, all fixtures are torn down."""
    pytester.makepyfile(
        KILLING
        + """
@pytest.fixture(scope="session", autouse=True)
def wide():
    yield
    happenings.note("torn_down", os.environ["PYTEST_XDIST_WORKER"])

def test_killing():
    happenings.wait_for("other_runs")
    kill_template()
    happenings.tell("killed")

@pytest.mark.parametrize("number", range(10))
def test_other(number):
    happenings.tell("other_runs")
    happenings.wait_for("killed")
"""
    )
    result = runs.run(pytester, "-n", "2", "--dist", "worksteal")
    result.assert_outcomes(passed=11)
    assert result.ret == pytest.ExitCode.OK
    assert sorted(runs.notes(pytester, "torn_down")) == ["gw0", "gw1"]


@pytest.mark.usefixtures("pidfds")
def test_a_replacement_that_cannot_be_born_is_a_named_error(pytester: pytest.Pytester) -> None:
    """The only worker dies after the template: its test has crashed, the others are named as not run, exit 1.

    How the worker ended nobody can say any more: who could have asked the system is dead.
    """
    pytester.makepyfile(
        test_a=KILLING
        + """
def test_dying():
    print("said before")
    kill_template()
    os._exit(3)

def test_behind(): pass
def test_last(): pass
"""
    )
    result = runs.run(pytester, "-n", "1")
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    shown = runs.failure(result, "test_dying")
    assert "worker 'gw0' crashed while running 'test_a.py::test_dying' (exit code unknown)" in shown
    assert "said before" in shown
    result.stdout.fnmatch_lines(["parpool: 2 tests were not run:", "*test_a.py::test_behind", "*test_a.py::test_last"])
    result.stdout.fnmatch_lines([NAMED_ERROR])


def test_live_workers_do_the_work_of_a_dead_one(pytester: pytest.Pytester) -> None:
    """As long as one worker lives, it runs what the dead one leaves."""
    pytester.makepyfile(
        test_a=KILLING
        + """
def test_dying():
    happenings.wait_for("other_runs")
    happenings.tell("dying", os.getpid())
    kill_template()
    os._exit(3)

@pytest.mark.parametrize("number", range(10))
def test_other(number):
    happenings.tell("other_runs")
    pid = int(happenings.wait_for("dying"))
    happenings.wait_until(lambda: happenings.state(pid) in "XZ")
"""
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(passed=10, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.no_fnmatch_line("*not run*")


def test_a_template_that_dies_before_the_first_worker(pytester: pytest.Pytester) -> None:
    """Nothing can be run, which is said, and every test is counted."""
    pytester.makeconftest(
        """
        import os
        import signal

        from pytest_parpool.runtime.running_pool import RunningPool

        def kill_template(pool, workers):
            os.kill(pool.template_pid, signal.SIGKILL)
            os.waitid(os.P_PID, pool.template_pid, os.WEXITED | os.WNOWAIT)

        RunningPool.spawn_ahead = kill_template
        """
    )
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
    result = runs.run(pytester, "-n", "2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["parpool: 2 tests were not run:", NAMED_ERROR])
    assert "passed" not in result.parseoutcomes()


def test_recycling_without_a_template(pytester: pytest.Pytester) -> None:
    """A worker that is due to be replaced goes on instead when nobody can replace it."""
    pytester.makepyfile(
        KILLING
        + """
def test_killing():
    kill_template()

@pytest.mark.parametrize("number", range(4))
def test_other(number): pass
"""
    )
    result = runs.run(pytester, "-n", "1", "--maxtasksperchild", "3")
    result.assert_outcomes(passed=5)
    assert result.ret == pytest.ExitCode.OK
