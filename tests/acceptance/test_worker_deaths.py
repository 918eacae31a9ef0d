"""A worker dies: exactly the test it ran fails, by name, with how it died and what it said; everything else runs."""

from __future__ import annotations

import dataclasses
import os
import signal

import pytest

from tests.acceptance import runs

DEATHS = '''
"""Ways to die. Each leaves no core file, which would only take time."""

import ctypes
import os
import resource
import signal
import sys

resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def segfault():
    ctypes.string_at(0)


def abort():
    os.abort()


def exit_0():
    os._exit(0)


def exit_3():
    os._exit(3)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def overflow():
    """Overflow the stack, which a raised recursion limit allows; a small one, so that it is soon in any Python."""
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 16, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    sys.setrecursionlimit(1_000_000)

    class Endless:
        def __repr__(self):
            return repr([self])

    repr(Endless())


def leave_daemon():
    """Start a process that this one is neither the parent nor the group leader of, and that keeps all it inherited."""
    if os.fork() == 0:
        os.setsid()
        daemon = os.fork()
        if daemon == 0:
            signal.alarm(60)
            while True:
                signal.pause()
        import happenings

        happenings.note("daemons", daemon)
        os._exit(0)
    os.wait()
'''

# Before, between and behind the deaths stand quick tests: once their time is known, a worker holds many of them, and
# their reports travel together.
SUITE = """
import pytest

import deaths

QUICK = pytest.mark.parametrize("number", range(8))


def die():
    if {with_daemon}:
        deaths.leave_daemon()
    deaths.{death}()


@pytest.fixture
def said_before():
    print("said by a fixture that went well")


@pytest.fixture
def dying_setup():
    print("said in setup")
    die()


@pytest.fixture
def dying_teardown():
    yield
    print("said in teardown")
    die()


@QUICK
def test_first(number):
    print("said by another test")


def test_setup(said_before, dying_setup):
    pass


@QUICK
def test_second(number):
    pass


def test_call(said_before):
    print("said in call")
    die()


@QUICK
def test_third(number):
    pass


def test_teardown(dying_teardown):
    print("said in call")
"""
QUICK_TESTS = 24


@dataclasses.dataclass(frozen=True)
class Death:
    """A way to die, what the report calls it, and whether Python can still say where it was."""

    name: str
    reason: str
    has_stack: bool = False


DEATHS_AND_REASONS = [
    Death("segfault", "killed by SIGSEGV", has_stack=True),
    Death("abort", "killed by SIGABRT", has_stack=True),
    Death("exit_0", "exit code 0"),
    Death("exit_3", "exit code 3"),
    Death("kill", "killed by SIGKILL"),
    Death("overflow", "killed by SIGSEGV", has_stack=True),
]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A place whose tests can import ``deaths`` and ``happenings``."""
    runs.add_happenings(pytester)
    pytester.makepyfile(deaths=DEATHS)
    return pytester


@pytest.mark.parametrize("with_daemon", [False, True], ids=["alone", "with a daemon"])
@pytest.mark.parametrize("death", DEATHS_AND_REASONS, ids=lambda death: death.name)
def test_a_death_in_any_phase_fails_that_test_only(suite: pytest.Pytester, death: Death, with_daemon: bool) -> None:
    """The test is named with the worker and the reason, whoever else holds the worker's descriptors; the rest runs.

    The three phases of dying stand amid other tests and at the very end of the suite.
    """
    suite.makepyfile(test_deaths=SUITE.format(death=death.name, with_daemon=with_daemon))
    result = runs.run(suite, "-n", "1", "-v")
    outcomes = runs.outcomes(result)
    assert outcomes.pop("test_setup") == ["FAILED"]
    assert outcomes.pop("test_call") == ["FAILED"]
    # The call went well, and its report may have gone out before the worker did.
    assert outcomes.pop("test_teardown")[-1] == "FAILED"
    assert len(outcomes) == QUICK_TESTS
    assert all(outcome == ["PASSED"] for outcome in outcomes.values())
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    for name in ("test_setup", "test_call", "test_teardown"):
        shown = runs.failure(result, name)
        assert f"worker 'gw0' crashed while running 'test_deaths.py::{name}' ({death.reason})" in shown
        assert ("Fatal Python error" in shown) == death.has_stack
        assert ("deaths.py" in shown.partition("Fatal Python error")[2]) == death.has_stack
        assert "said by another test" not in shown
    daemons = [int(pid) for pid in runs.notes(suite, "daemons")]
    assert len(daemons) == (3 if with_daemon else 0)
    for pid in daemons:
        os.kill(pid, signal.SIGKILL)  # It is alive: else nothing was proved, and this raises.


def test_a_crash_shows_what_was_captured_so_far(suite: pytest.Pytester) -> None:
    """What the test printed in phases that went well, and in the one it died in, on both streams and below Python."""
    suite.makepyfile(
        """
        import os
        import sys

        import pytest

        import deaths

        @pytest.fixture
        def around():
            print("out of setup")
            print("err of setup", file=sys.stderr)
            yield
            print("out of teardown")
            deaths.exit_3()

        @pytest.fixture
        def before():
            print("out of setup")

        def test_before():
            print("of another test")

        def test_call(before):
            print("out of call")
            os.write(2, b"err of call, below Python\\n")
            deaths.segfault()

        def test_teardown(around):
            print("out of call")
        """
    )
    result = runs.run(suite, "-n", "1")
    of_call = runs.failure(result, "test_call")
    assert "of another test" not in of_call
    for said in ("out of setup", "out of call", "err of call, below Python"):
        assert of_call.count(said) == 1
    of_teardown = runs.failure(result, "test_teardown")
    for said in ("out of setup", "err of setup", "out of call", "out of teardown"):
        assert of_teardown.count(said) == 1


def test_the_stack_of_a_crash_ends_where_the_test_does(suite: pytest.Pytester) -> None:
    """The Python stack shows the test and pytest around it, not how our worker came to be."""
    suite.makepyfile("import deaths\ndef test_call():\n    deaths.segfault()\n")
    shown = runs.failure(runs.run(suite, "-n", "1"), "test_call")
    assert "in test_call" in shown
    assert "in pytest_runtest_protocol" in shown
    assert "_serve" not in shown
    assert "executor.py" not in shown


@pytest.mark.parametrize("death", DEATHS_AND_REASONS[:-1], ids=lambda death: death.name)
def test_a_death_amid_a_huge_report_takes_only_that_report_along(suite: pytest.Pytester, death: Death) -> None:
    """Half of a report of 50 MB came: the test is reported as crashed, and nobody else's stream is spoiled."""
    suite.makeconftest(
        """
        import os

        import pytest

        import happenings

        def is_dying(report):
            return report.nodeid.endswith("test_huge") and report.when == "setup"

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_logreport(report):
            # In the controller: nothing is read before the worker is dead, so that its report is surely cut off.
            if not os.environ.get("PYTEST_XDIST_WORKER") and is_dying(report):
                happenings.tell("controller_is_busy")
                pid = int(happenings.wait_for("worker"))
                happenings.wait_until(lambda: happenings.state(pid) in "XZ")
            return (yield)
        """
    )
    suite.makepyfile(
        test_reports=f"""
        import fcntl
        import os
        import stat
        import struct
        import termios
        import threading

        import pytest

        import deaths
        import happenings

        def is_sending():
            for fd in map(int, os.listdir("/proc/self/fd")):
                try:
                    if stat.S_ISSOCK(os.fstat(fd).st_mode):
                        unread = fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4))
                        if struct.unpack("i", unread)[0] > 50_000:
                            return True
                except OSError:
                    pass
            return False

        def die_while_sending():
            happenings.wait_until(is_sending)
            deaths.{death.name}()

        @pytest.fixture
        def setup_that_is_reported_at_once():
            print("said in setup")
            happenings.tell("worker", os.getpid())

        def test_before(): pass

        def test_huge(setup_that_is_reported_at_once, record_property):
            happenings.wait_for("controller_is_busy")
            record_property("huge", "x" * 50_000_000)
            threading.Thread(target=die_while_sending, daemon=True).start()

        def test_behind(): pass
        def test_last(): pass
        """
    )
    result = runs.run(suite, "-n", "2", "-v")
    assert runs.outcomes(result) == {
        "test_before": ["PASSED"],
        "test_huge": ["FAILED"],
        "test_behind": ["PASSED"],
        "test_last": ["PASSED"],
    }
    shown = runs.failure(result, "test_huge")
    assert f"crashed while running 'test_reports.py::test_huge' ({death.reason})" in shown
    assert "said in setup" in shown


@pytest.mark.parametrize("dist", ["load", "loadscope", "loadfile", "loadgroup", "worksteal", "each"])
def test_a_pass_before_a_death_with_one_worker(pytester: pytest.Pytester, dist: str) -> None:
    """Whatever hands out the tests: one crash report, the dead test is not run again, the rest is, and once."""
    runs.add_happenings(pytester)
    pytester.makepyfile(
        test_a="""
        import os

        import pytest

        import happenings

        pytestmark = pytest.mark.xdist_group("all")

        @pytest.fixture(autouse=True)
        def noted(request):
            happenings.note("ran", request.node.name)

        def test_passing(): pass
        def test_dying(): os._exit(1)
        def test_behind(): pass
        """,
        test_b="def test_elsewhere(): pass",
    )
    result = runs.run(pytester, "-n", "1", "--dist", dist)
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "worker 'gw0' crashed while running 'test_a.py::test_dying' (exit code 1)" in runs.failure(
        result, "test_dying"
    )
    assert runs.notes(pytester, "ran") == ["test_passing", "test_dying", "test_behind"]


def test_all_workers_die_at_once(pytester: pytest.Pytester) -> None:
    """Deaths at the same moment are told apart, each with its own worker and test."""
    runs.add_happenings(pytester)
    pytester.makepyfile(
        """
        import os

        import pytest

        import happenings

        @pytest.mark.parametrize("number", range(4))
        def test_dying(number):
            happenings.tell(f"there_{number}")
            for other in range(4):
                happenings.wait_for(f"there_{other}")
            os._exit(number)

        @pytest.mark.parametrize("number", range(8))
        def test_behind(number): pass
        """
    )
    # Two by two; a worker of its own for each, because none returns.
    result = runs.run(pytester, "-n", "4", "--dist", "worksteal", "--maxschedchunk", "1", "-v")
    outcomes = runs.outcomes(result)
    assert len(outcomes) == 12
    for number in range(4):
        assert outcomes[f"test_dying[{number}]"] == ["FAILED"]
        assert f"(exit code {number})" in runs.failure(result, f"test_dying[{number}]")
        assert f"::test_dying[{number}]'" in runs.failure(result, f"test_dying[{number}]")
    result.assert_outcomes(passed=8, failed=4)


def test_a_worker_without_capture_dies_by_name_too(suite: pytest.Pytester) -> None:
    """With ``-s`` and without faulthandler there is nothing to show but the line itself."""
    suite.makepyfile("import deaths\ndef test_dying(): deaths.segfault()\ndef test_behind(): pass")
    result = runs.run(suite, "-n", "1", "-s", "-p", "no:faulthandler")
    result.assert_outcomes(passed=1, failed=1)
    shown = runs.failure(result, "test_dying")
    assert "(killed by SIGSEGV)" in shown
    assert "Captured" not in shown
