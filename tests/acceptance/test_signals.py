"""Ctrl-C, Ctrl-Z, termination and the controller's sudden death: what runs is ended, and nobody is left behind.

Real processes, in a session of their own. Tests say through files that they run; every wait has a deadline.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import pytest

from tests.acceptance.runs import prepare_environment

DEADLINE_SECONDS = 60.0
# What is promised is 2 s; a machine that is busy with other tests is given more.
KILLED_WITHIN_SECONDS = 10.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for a condition; fail by name after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what} after {seconds} s"
        time.sleep(0.005)


def process_state(pid: int) -> str:
    """Return the state letter of a process (proc(5)); an empty text if there is none."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return status.rpartition(")")[2].split()[0]


def is_gone(pid: int) -> bool:
    """Whether a process runs no more; one that nobody has reaped yet counts as gone."""
    return process_state(pid) in ("", "Z", "X")


class Run:
    """A pytest process over a suite in a directory of its own. A context manager: at its end nothing of it is left.

    Args:
        path: The suite's directory.
        arguments: For pytest.
        wrapper: Python source that is run instead of ``pytest``.
        ignored: A signal that is ignored from the start, as for a child of ``nohup``.
    """

    def __init__(self, path: pathlib.Path, *arguments: str, wrapper: str | None = None, ignored: int | None = None):
        self.path = path
        self._output = path / "output"
        command = ["-m", "pytest", *arguments] if wrapper is None else ["-c", textwrap.dedent(wrapper)]
        if ignored is not None:
            launcher = f"import os, signal, sys; signal.signal({ignored}, signal.SIG_IGN); "
            launcher += "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
            command = ["-c", launcher, *command]
        with self._output.open("wb") as output, pytest.MonkeyPatch.context() as patch:
            prepare_environment(patch, arguments)
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Run:  # noqa: PYI034  -- Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        for pid in [self.process.pid, *self.noted_pids()]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        self.process.wait(DEADLINE_SECONDS)

    def send(self, number: int) -> None:
        """Send a signal to the controller alone."""
        self.process.send_signal(number)

    def wait_for(self, *events: str) -> None:
        """Wait until tests have left these files."""
        for event in events:
            wait_until((self.path / event).exists, f"the file {event!r}; so far: {self.output()}")

    def noted_pids(self) -> list[int]:
        """Return the process ids that tests have left in files."""
        return [int(path.read_text()) for path in self.path.glob("pid-*") if path.read_text()]

    def exit_code(self) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {DEADLINE_SECONDS} s: {self.output()}")

    def output(self) -> str:
        """Return what was written so far."""
        return self._output.read_text(errors="replace")

    def lines(self) -> list[str]:
        """Return the lines of what was written so far."""
        return self.output().splitlines()


LIBRARY = """
    import os
    import pathlib
    import time

    HERE = pathlib.Path(__file__).parent

    def tell(event, text=""):
        path = HERE / f".{event}.{os.getpid()}"
        path.write_text(text)
        path.rename(HERE / event)

    def tell_pid(name):
        tell(f"pid-{name}", str(os.getpid()))
        tell(f"running-{name}")

    def run_for_ever():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            time.sleep(0.01)
        raise AssertionError("nobody has interrupted this")
"""

CONFTEST = """
    import events
    import pytest

    @pytest.fixture(scope="session", autouse=True)
    def session_resource(worker_id):
        yield
        events.tell(f"torn-down-session-{worker_id}")

    @pytest.fixture
    def resource(request):
        yield
        events.tell(f"torn-down-{request.node.name}")
"""

TWO_LONG_TESTS = """
    import events

    def test_first(resource):
        events.tell_pid("first")
        events.run_for_ever()

    def test_second(resource):
        events.tell_pid("second")
        events.run_for_ever()
"""


@pytest.fixture
def write(pytester: pytest.Pytester) -> Callable[..., pathlib.Path]:
    """Write a suite of these modules, with the library and conftest of this file, and return where it is."""

    def write_suite(conftest: str = CONFTEST, **modules: str) -> pathlib.Path:
        pytester.makepyfile(events=LIBRARY, conftest=conftest, **modules)
        return pytester.path

    return write_suite


ARGUMENTS = ("-p", "no:cacheprovider", "--dist=load")


# --- Interrupting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_one_interrupt_ends_the_run_in_order(write: Callable[..., pathlib.Path], number: signal.Signals) -> None:
    """Running tests get KeyboardInterrupt, fixtures are torn down, the summary names the tests, the code is 2."""
    with Run(write(test_a=TWO_LONG_TESTS), *ARGUMENTS, "-n2") as run:
        run.wait_for("running-first", "running-second")
        run.send(number)
        assert run.exit_code() == pytest.ExitCode.INTERRUPTED
        output = run.output()
        for name in ("first", "second"):
            assert (run.path / f"torn-down-test_{name}").exists()
            assert f"interrupted: test_a.py::test_{name} (gw" in output
        assert len(list(run.path.glob("torn-down-session-gw?"))) >= 2
        assert "KeyboardInterrupt" in output
        assert "Traceback" not in output, output
        assert "died" not in output
        assert "killed" not in output
        assert all(map(is_gone, run.noted_pids()))


def test_an_interrupt_shows_what_had_passed(write: Callable[..., pathlib.Path]) -> None:
    """What was over before Ctrl-C is in the counts, and a session fixture of an idle worker is torn down too."""
    suite = """
        import events

        def test_long():
            events.tell_pid("long")
            events.run_for_ever()

        def test_short(): pass
    """
    shown = """
    def pytest_runtest_logfinish(nodeid):
        if nodeid.endswith("test_short"):
            events.tell("shown")
"""
    with Run(write(conftest=CONFTEST + shown, test_a=suite), *ARGUMENTS, "-n2") as run:
        run.wait_for("running-long", "shown")
        run.send(signal.SIGINT)
        assert run.exit_code() == pytest.ExitCode.INTERRUPTED
        assert "1 passed" in run.output()
        assert (run.path / "torn-down-session-gw1").exists()
        assert "died" not in run.output()
        assert "Traceback" not in run.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_second_interrupt_kills_everything_at_once(
    write: Callable[..., pathlib.Path], number: signal.Signals
) -> None:
    """Tests that do not heed the first Ctrl-C are killed by the second one, with their fixtures standing."""
    suite = """
        import signal
        import subprocess
        import sys
        import events

        def stay(name):
            while True:
                try:
                    events.tell_pid(name)  # In here: it may be interrupted as soon as it has told that it runs.
                    events.run_for_ever()
                except KeyboardInterrupt:
                    events.tell("heard")

        def test_first(resource):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
            events.tell("pid-child", str(child.pid))
            stay("first")

        def test_second(resource):
            stay("second")
    """
    with Run(write(test_a=suite), *ARGUMENTS, "-n2", "--shutdown-timeout=100") as run:
        run.wait_for("running-first", "running-second")
        run.send(number)
        run.wait_for("heard")
        run.send(number)
        assert run.exit_code() == pytest.ExitCode.INTERRUPTED
        wait_until(lambda: all(map(is_gone, run.noted_pids())), "the end of all processes", KILLED_WITHIN_SECONDS)
        assert not (run.path / "torn-down-test_first").exists()


def test_a_worker_that_ignores_the_interrupt_is_killed(write: Callable[..., pathlib.Path]) -> None:
    """After ``--shutdown-timeout`` what does not stop is killed, the run says so, and the code is 2."""
    suite = """
        import signal
        import events

        def test_deaf():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            events.tell_pid("deaf")
            events.run_for_ever()

        def test_other(): pass
    """
    with Run(write(test_a=suite), *ARGUMENTS, "-n2", "--shutdown-timeout=0.5") as run:
        run.wait_for("running-deaf")
        run.send(signal.SIGINT)
        assert run.exit_code() == pytest.ExitCode.INTERRUPTED
        assert "test_a.py::test_deaf" in run.output()
        assert "shutdown timeout" in run.output()
        assert all(map(is_gone, run.noted_pids()))


def test_an_interrupt_while_a_worker_starts(write: Callable[..., pathlib.Path]) -> None:
    """Ctrl-C during an initializer is an interrupt, not a failed initializer; one that goes on for ever is killed."""
    suite = "def test_one(): pass\ndef test_two(): pass"
    conftest = """
        import events

        def pytest_parpool_worker_started(worker):
            events.tell_pid(worker.id)
            events.run_for_ever()
    """
    with Run(write(conftest=conftest, test_a=suite), *ARGUMENTS, "-n2", "--shutdown-timeout=0.5") as run:
        run.wait_for("running-gw0", "running-gw1")
        run.send(signal.SIGINT)
        assert run.exit_code() == pytest.ExitCode.INTERRUPTED
        assert "INTERNALERROR" not in run.output()
        assert all(map(is_gone, run.noted_pids()))


def test_an_interrupt_while_fixtures_are_torn_down(write: Callable[..., pathlib.Path]) -> None:
    """Ctrl-C at the run's end interrupts a session fixture that takes for ever, and the summary says where."""
    conftest = """
        import events
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def resource(worker_id):
            yield
            events.tell_pid(worker_id)
            events.run_for_ever()
    """
    suite = "def test_one(): pass\ndef test_two(): pass"
    with Run(write(conftest=conftest, test_a=suite), *ARGUMENTS, "-n1", "--shutdown-timeout=100") as run:
        run.wait_for("running-gw0")
        run.send(signal.SIGINT)
        assert run.exit_code() == pytest.ExitCode.INTERRUPTED
        assert "2 passed" in run.output()
        assert "interrupted: test_a.py::test_two (gw0, at " in run.output()
        assert all(map(is_gone, run.noted_pids()))


# --- The controller's sudden death ------------------------------------------------------------------------------------

BUSY_IN_C = "sum(range(10**12))"
DEAF = """signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            time.sleep(120)"""


@pytest.mark.parametrize("work", [BUSY_IN_C, DEAF, "events.run_for_ever()"], ids=["busy in C", "deaf", "Python"])
def test_no_worker_outlives_a_killed_controller(write: Callable[..., pathlib.Path], work: str) -> None:
    """After SIGKILL to the controller the template, all workers and their children end by themselves."""
    suite = f"""
        import os
        import signal
        import subprocess
        import sys
        import time
        import events

        def test_first():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
            events.tell("pid-child", str(child.pid))
            events.tell("pid-template", str(os.getppid()))
            events.tell_pid("first")
            {work}

        def test_second():
            events.tell_pid("second")
            {work}
    """
    with Run(write(test_a=suite), *ARGUMENTS, "-n2") as run:
        run.wait_for("running-first", "running-second")
        pids = run.noted_pids()
        assert len(pids) == 4
        run.send(signal.SIGKILL)
        assert run.exit_code() == -signal.SIGKILL
        wait_until(lambda: all(map(is_gone, pids)), "the end of all processes", KILLED_WITHIN_SECONDS)


# --- Stopping and continuing ------------------------------------------------------------------------------------------


def test_ctrl_z_stops_workers_and_fg_continues_them(write: Callable[..., pathlib.Path]) -> None:
    """SIGTSTP stops the controller and its workers; SIGCONT lets all of them go on, and the run ends well."""
    suite = """
        import os
        import events

        def wait_for_go(name):
            events.tell_pid(name)
            deadline = events.time.monotonic() + 60
            while not (events.HERE / "go").exists():
                assert events.time.monotonic() < deadline
                events.time.sleep(0.01)

        def test_first(): wait_for_go("first")
        def test_second(): wait_for_go("second")
    """
    wrapper = """
        # The leader of an orphaned process group is not stopped by SIGTSTP (setpgid(2)), so a parent stays in between,
        # as a shell would.
        import os, signal, subprocess, sys
        child = subprocess.Popen([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n2"], process_group=0) \\
            if sys.version_info >= (3, 11) else \\
            subprocess.Popen([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n2"], preexec_fn=os.setpgrp)
        with open("pid-controller", "w") as file:
            file.write(str(child.pid))
        sys.exit(child.wait())
    """
    path = write(test_a=suite)
    with Run(path, wrapper=wrapper) as run:
        run.wait_for("running-first", "running-second")
        controller = int((path / "pid-controller").read_text())
        pids = run.noted_pids()
        assert len(pids) == 3
        for _ in range(2):
            os.kill(controller, signal.SIGTSTP)
            wait_until(lambda: all(process_state(pid) == "T" for pid in pids), "all processes to be stopped")
            os.kill(controller, signal.SIGCONT)
            wait_until(lambda: all(process_state(pid) in "RSD" for pid in pids), "all processes to go on")
        (path / "go").touch()
        assert run.exit_code() == 0
        assert "2 passed" in run.output()


# --- Signals that are somebody else's ---------------------------------------------------------------------------------


def test_under_nohup_a_hangup_is_ignored(write: Callable[..., pathlib.Path]) -> None:
    """SIGHUP that was ignored when pytest started stays ignored."""
    suite = """
        import events

        def test_first():
            events.tell_pid("first")
            deadline = events.time.monotonic() + 60
            while not (events.HERE / "go").exists():
                assert events.time.monotonic() < deadline
                events.time.sleep(0.01)

        def test_second(): pass
    """
    path = write(test_a=suite)
    with Run(path, *ARGUMENTS, "-n2", ignored=signal.SIGHUP) as run:
        run.wait_for("running-first")
        run.send(signal.SIGHUP)
        (path / "go").touch()
        assert run.exit_code() == 0
        assert "2 passed" in run.output()


@pytest.mark.parametrize("place", ["main thread", "another thread"])
def test_handlers_are_as_found_afterwards(write: Callable[..., pathlib.Path], place: str) -> None:
    """``pytest.main`` called twice in one process, in any thread, leaves all signal handlers as they were."""
    wrapper = f"""
        import signal, threading
        import pytest

        def own_handler(number, frame): pass

        signal.signal(signal.SIGTERM, own_handler)
        numbers = sorted(signal.valid_signals() - {{signal.SIGKILL, signal.SIGSTOP}})
        before = [signal.getsignal(number) for number in numbers]
        codes = []

        def run():
            for _ in range(2):
                codes.append(int(pytest.main(["-p", "no:cacheprovider", "-n2"])))

        if {place == "main thread"}:
            run()
        else:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        assert codes == [0, 0], codes
        assert [signal.getsignal(number) for number in numbers] == before
        print("as found")
    """
    with Run(write(test_a="def test_one(): pass\ndef test_two(): pass"), wrapper=wrapper) as run:
        assert run.exit_code() == 0, run.output()
        assert run.lines()[-1] == "as found"
        assert run.output().count("2 passed") == 2
