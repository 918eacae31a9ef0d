"""Tests replace modules, close files, change directories; the shared objects work meanwhile, and afterwards."""

from __future__ import annotations

import pytest

from tests.acceptance import runs

MODES = pytest.mark.parametrize("mode", [(), ("-n", "1")], ids=lambda mode: " ".join(mode) or "without -n")

USES = """
def use(parpool):
    with parpool.lock("db"), parpool.rlock("again").within(10), parpool.semaphore("few", 2):
        before = parpool.value("v").get()
        parpool.value("v").set(before + 1)
    assert not parpool.lock("db").locked()
    parpool.queue("jobs").put([1])
    assert parpool.queue("jobs").get() == [1]
    parpool.event("e").set()
    assert parpool.event("e").wait(timeout=1)
    assert not parpool.event("never").wait(timeout=0.01)
    assert parpool.once("o", lambda: 5) == 5
"""

HOSTILE = """
import builtins
import io
import os
import random
import shutil
import socket
import sys
import threading
import time
from unittest import mock

import pytest

from uses import use

def fail(*args, **kwargs):
    raise AssertionError("replaced")

def test_empty_environment(parpool, monkeypatch):
    with mock.patch.dict(os.environ, clear=True):
        use(parpool)

def test_other_directory(parpool, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    shutil.rmtree(gone)
    use(parpool)

def test_fake_file_system(parpool):
    names = ["open", "stat", "lstat", "fstat", "listdir", "mkdir", "unlink", "read", "write", "close", "getcwd"]
    with mock.patch.multiple(os, **dict.fromkeys(names, fail)), mock.patch.object(builtins, "open", fail), (
        mock.patch.object(io, "open", fail)
    ):
        use(parpool)

def test_processes(parpool):
    with mock.patch.multiple(os, **dict.fromkeys(["getpid", "getppid", "urandom", "kill", "waitpid", "fork"], fail)):
        use(parpool)

def test_sockets(parpool):
    with mock.patch.multiple(socket, socket=fail, create_connection=fail, socketpair=fail):
        use(parpool)
    with mock.patch.dict(sys.modules, {"socket": None, "_socket": None, "fcntl": None, "pickle": None}):
        use(parpool)

def test_time(parpool):
    with mock.patch.multiple(time, time=fail, monotonic=fail, perf_counter=fail, sleep=fail):
        use(parpool)

def test_modules(parpool):
    with mock.patch.dict(sys.modules, {"os": mock.Mock(), "time": mock.Mock(), "signal": mock.Mock()}):
        use(parpool)

def test_threading(parpool):
    with mock.patch.multiple(threading, get_ident=fail, current_thread=fail, Lock=fail, RLock=fail, local=fail):
        use(parpool)

def test_random_is_left_alone(parpool):
    random.seed(5)
    before = random.getstate()
    use(parpool)
    assert random.getstate() == before

def test_closed_files(parpool):
    use(parpool)
    import pathlib
    for path in pathlib.Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(path)
        except OSError:
            continue
        number = int(path.name)
        if number > 2 and "pytest-parpool" in target + peer(number):
            os.close(number)
    use(parpool)

def peer(number):
    try:
        sock = socket.socket(fileno=os.dup(number))
    except OSError:
        return ""
    with sock:
        try:
            return str(sock.getpeername())
        except OSError:
            return ""

def test_afterwards(parpool):
    use(parpool)
"""


@MODES
def test_a_suite_of_hostile_tests(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """What a test replaces is not what the objects are made of."""
    pytester.makepyfile(uses=USES, test_hostile=HOSTILE)
    result = runs.run(pytester, *mode)
    result.assert_outcomes(passed=11)


@MODES
@pytest.mark.parametrize(
    "name",
    [
        "empty_environment",
        "other_directory",
        "fake_file_system",
        "processes",
        "sockets",
        "time",
        "modules",
        "threading",
    ],
)
def test_a_hostile_test_comes_first(pytester: pytest.Pytester, name: str, mode: tuple[str, ...]) -> None:
    """The same if the broker is started, and everything is used for the first time, in such a test."""
    pytester.makepyfile(uses=USES, test_hostile=HOSTILE)
    runs.run(pytester, *mode, "-k", f"test_{name} or test_afterwards").assert_outcomes(passed=2, deselected=9)


@MODES
def test_many_threads(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Each thread has its own way to the broker; those of threads that have ended are closed."""
    pytester.makepyfile(
        """
        import os
        import threading

        def count(parpool):
            for _ in range(10):
                with parpool.lock("db"):
                    parpool.value("v").value += 1

        def test_threads(parpool):
            for round in range(5):
                threads = [threading.Thread(target=count, args=[parpool]) for _ in range(10)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            assert parpool.value("v").get() == 500
            assert len(os.listdir("/proc/self/fd")) < 40
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=1)
