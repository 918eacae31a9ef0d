"""Nothing of the shared objects is left when a run is over, however it ends; and who uses none pays nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.acceptance import runs

USE = """
import os
import signal

import happenings

def test_use(parpool, parpool_lock):
    with parpool_lock:
        happenings.tell("token", parpool.party.service.token)
"""


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can tell what has happened."""
    runs.add_happenings(pytester)


def processes_with(token: str) -> list[str]:
    """Return the command lines of processes that name a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:  # It has just ended.
            continue
        if token.encode() in command:
            found.append(command.decode(errors="replace"))
    return found


def sockets_with(token: str) -> list[str]:
    """Return the names of sockets that name a run."""
    lines = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split()[-1] for line in lines if token in line]


def assert_nothing_is_left(token: str) -> None:
    """Wait until no process of a run is there, and none of its sockets, and check that there are no files."""
    assert len(token) == 16
    deadline = time.monotonic() + runs.RUN_SECONDS
    while left := processes_with(token) + sockets_with(token):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
    assert not [name for folder in ("/dev/shm", "/tmp") for name in os.listdir(folder) if token in name]


@pytest.mark.parametrize(
    "mode",
    [(), ("-n", "0"), ("-n", "2"), ("-n", "2", "-p", "no:cacheprovider"), ("-n", "1", "--maxtasksperchild", "1")],
    ids=lambda mode: " ".join(mode) or "without -n",
)
def test_a_run_that_ends_well(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Neither a process nor a file is left."""
    pytester.makepyfile(USE)
    runs.run(pytester, *mode).assert_outcomes(passed=1)
    assert_nothing_is_left(runs.happened(pytester, "token"))


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_run_that_is_ended(pytester: pytest.Pytester, mode: str, signal_name: str) -> None:
    """The same if it is interrupted, or its own process is killed."""
    pytester.makeconftest("import os; os.environ.setdefault('OWNER', str(os.getpid()))")
    pytester.makepyfile(
        f"""
        {USE.replace(chr(10), chr(10) + " " * 8)}
            os.kill(int(os.environ["OWNER"]), signal.{signal_name})
            parpool.event("never").wait()
        """
    )
    assert runs.run(pytester, mode).ret != pytest.ExitCode.OK
    assert_nothing_is_left(runs.happened(pytester, "token"))


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_runs_in_a_process_that_goes_on(pytester: pytest.Pytester, mode: str) -> None:
    """Each says goodbye at its end; the next has another token."""
    pytester.makepyfile(USE)
    tokens = set()
    for _ in range(2):
        pytester.runpytest_inprocess(mode).assert_outcomes(passed=1)
        tokens.add(runs.happened(pytester, "token"))
        assert_nothing_is_left(runs.happened(pytester, "token"))
    assert len(tokens) == 2


def test_a_broker_that_was_killed(pytester: pytest.Pytester) -> None:
    """Who asks it gets an error that says so, at once; the run goes on."""
    pytester.makepyfile(
        """
        import os
        import pathlib
        import signal

        import happenings

        def pids(token):
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    if token.encode() in path.read_bytes():
                        yield int(path.parent.name)
                except OSError:
                    pass

        def test_kill(parpool, parpool_value):
            (pid,) = pids(parpool.party.service.token)
            os.kill(pid, signal.SIGKILL)
            happenings.wait_until(lambda: happenings.state(pid) in "XZ")
            parpool_value.add(1)

        def test_other(tmp_path):
            pass
        """
    )
    result = runs.run(pytester, "-n", "1")
    result.assert_outcomes(passed=1, failed=1)
    assert "the broker of shared objects, which gw0 has asked, is not there any more" in result.stdout.str()


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_who_shares_nothing_starts_nothing(pytester: pytest.Pytester, mode: str) -> None:
    """Nothing is imported, registered or started; and nobody waits for an answer at the end."""
    pytester.makeconftest(
        """
        import os
        import sys

        def pytest_unconfigure(config):
            if not hasattr(config, "workerinput"):
                config.add_cleanup(lambda: os.write(2, f"sync: {'pytest_parpool.sync' in sys.modules}".encode()))
        """
    )
    pytester.makepyfile(
        """
        import sys

        def test_nothing(request, worker_id):
            assert not request.config.pluginmanager.has_plugin("parpool-party")
            assert not {name for name in sys.modules if name.startswith("pytest_parpool.sync")}
            assert "pytest_parpool.leftovers" not in sys.modules
        """
    )
    result = runs.run(pytester, mode)
    result.assert_outcomes(passed=1)
    assert "sync: False" in result.stderr.str()


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_the_broker_is_nobodys_child(pytester: pytest.Pytester, mode: str) -> None:
    """A test that waits for all of its children finds none."""
    pytester.makepyfile(
        """
        import os

        import pytest

        def test_children(parpool_lock):
            with parpool_lock, pytest.raises(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
        """
    )
    runs.run(pytester, mode).assert_outcomes(passed=1)
