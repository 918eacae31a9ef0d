"""Contract of ``runtime.forking``: both ways to fork make the same kind of child."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable

import pytest

from pytest_parpool.runtime import forking
from pytest_parpool.runtime.forking import Child, prepare_forks
from pytest_parpool.runtime.quiet_forks import QuietForks

DEADLINE_SECONDS = 30.0


@pytest.fixture(params=["bare", "multiprocessing"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way that is taken: it depends on whether anybody has loaded ``multiprocessing``."""
    if request.param == "bare":
        monkeypatch.delitem(sys.modules, "multiprocessing.process", raising=False)
    else:
        __import__("multiprocessing.process")
    return str(request.param)


def start(target: Callable[[], object]) -> Child:
    """Fork a child under the name that workers have."""

    def run() -> None:
        target()

    fork = prepare_forks(None)
    return fork(run)


def wait(child: Child) -> int:
    """Return a child's exit code, within the deadline."""
    code = child.wait(DEADLINE_SECONDS)
    assert code is not None, "the child did not end"
    return code


def leave(code: int) -> None:
    """End as ``sys.exit`` does."""
    raise SystemExit(code)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        pytest.param(lambda: None, 0, id="returns"),
        pytest.param(lambda: 1 / 0, 1, id="raises"),
        pytest.param(lambda: leave(3), 3, id="exits"),
        pytest.param(lambda: os._exit(5), 5, id="exits at once"),
        pytest.param(lambda: os.kill(os.getpid(), signal.SIGKILL), -9, id="is killed"),
    ],
)
def test_the_exit_code_is_told(target: Callable[[], object], code: int) -> None:
    """A child's end is told as ``multiprocessing`` tells it, and again when asked again."""
    child = start(target)
    assert wait(child) == code
    assert child.poll() == code


def test_a_living_child_has_no_exit_code() -> None:
    """While the child lives, polling says None and does not wait."""
    read_end, write_end = os.pipe()

    def wait_for_the_end() -> None:
        os.close(write_end)
        os.read(read_end, 1)

    child = start(wait_for_the_end)
    os.close(read_end)
    try:
        assert child.poll() is None
        assert child.wait(0.001) is None
    finally:
        os.close(write_end)
    assert wait(child) == 0


def test_without_pidfds_children_are_waited_for_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system that has none, a child is asked again and again."""
    monkeypatch.setattr(forking, "open_pidfd", lambda _: -1)
    assert wait(start(lambda: leave(4))) == 4


def test_the_child_warns_as_before(recwarn: pytest.WarningsRecorder) -> None:
    """That a fork does not warn of threads is over for the child, which knows the user's filters."""
    warnings.simplefilter("error", DeprecationWarning)

    def warn() -> None:
        quiet.lift()
        try:
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        except DeprecationWarning:
            os._exit(6)

    # With a second thread, of which a fork would warn.
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        quiet = QuietForks()
        with quiet:
            child = start(warn)
        assert wait(child) == 6
    finally:
        stop.set()
        thread.join()
    assert not recwarn.list


def test_the_child_goes_on_from_here_in_a_process_of_its_own() -> None:
    """A child has what was here before the fork, another process id, and this process as its parent."""
    secret = object()
    here = os.getpid()
    child = start(lambda: os._exit(7 if secret is not None and os.getpid() != here == os.getppid() else 8))
    assert child.pid != here
    assert wait(child) == 7


def test_threads_of_the_child_are_waited_for() -> None:
    """A child ends when its threads have, as an interpreter does."""

    def begin_thread() -> None:
        threading.Thread(target=lambda: (started.wait(), os._exit(9))).start()
        started.set()

    started = threading.Event()
    assert wait(start(begin_thread)) == 9


def test_standard_input_ends_at_once() -> None:
    """A child cannot take what is typed for another process."""
    assert wait(start(lambda: os._exit(0 if os.read(0, 1) == b"" and sys.stdin is not None else 1))) == 0
    assert wait(start(lambda: os._exit(0 if os.get_inheritable(0) else 1))) == 0


def test_what_was_registered_here_for_the_exit_stays_here() -> None:
    """A child does at its exit what it has registered itself, if anything."""

    def leave_loudly() -> None:
        os._exit(9)

    atexit.register(leave_loudly)
    try:
        assert wait(start(atexit._run_exitfuncs)) == 0
    finally:
        atexit.unregister(leave_loudly)


def test_the_child_is_a_process_of_multiprocessing_if_that_is_loaded(way: str) -> None:
    """It has a parent, of which it hears when that ends, and none of the parent's children; which does not list it."""

    def is_right() -> bool:
        if way == "bare":
            return "multiprocessing.process" not in sys.modules
        parent = multiprocessing.parent_process()
        return (
            multiprocessing.current_process().name == "MainProcess"
            and not multiprocessing.current_process().daemon
            and parent is not None
            and parent.pid == os.getppid()
            and parent.is_alive()
            and not multiprocessing.active_children()
        )

    child = start(lambda: os._exit(0 if is_right() else 1))
    assert child.pid not in {process.pid for process in multiprocessing.active_children()}
    assert wait(child) == 0
