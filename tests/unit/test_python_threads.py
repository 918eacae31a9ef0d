"""Which threads of Python are a reason not to fork, with real ones."""

from __future__ import annotations

import _thread
import functools
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FunctionType

import pytest

from pytest_parpool.compat import python_threads
from pytest_parpool.compat.code_places import CodePlaces
from pytest_parpool.compat.python_threads import FoundThread, Threads, scan
from pytest_parpool.runtime.native_threads import SETTLE_SECONDS

PLACES = CodePlaces(str(Path(__file__).parent))
NAME = Path(__file__).name
SECONDS = 30


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """What ends the threads that wait for it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def start(stop: threading.Event) -> Iterator[Callable[[threading.Thread], threading.Thread]]:
    """Start threads, and end them behind the test."""
    started: list[threading.Thread] = []

    def start(thread: threading.Thread) -> threading.Thread:
        thread.start()
        started.append(thread)
        return thread

    yield start
    stop.set()
    for thread in started:
        thread.join(SECONDS)
        assert not thread.is_alive()


def line_of(function: object) -> int:
    """Return where a function begins."""
    assert isinstance(function, FunctionType)
    return function.__code__.co_firstlineno


def found(name: str, *, allowed: tuple[str, ...] = ()) -> FoundThread | None:
    """Return what is found of a thread."""
    return next((thread for thread in scan(allowed, PLACES).unknown if thread.name == name), None)


def test_one_thread_is_no_reason() -> None:
    """Neither the main thread nor the one that asks counts."""
    assert threading.current_thread().name not in [thread.name for thread in scan((), PLACES).unknown]
    assert scan(("*",), PLACES) == Threads((), frozenset())


@pytest.mark.parametrize("is_daemon", [True, False])
def test_a_thread_is_named_with_what_it_runs(
    stop: threading.Event, start: Callable[[threading.Thread], threading.Thread], is_daemon: bool
) -> None:
    """The place is that of the function which it was started for, also behind wrappers; daemons count."""

    def poll() -> None:
        stop.wait(SECONDS)

    @functools.wraps(poll)
    def wrapped() -> None:
        poll()

    start(threading.Thread(target=functools.partial(wrapped), name="poller", daemon=is_daemon))
    thread = found("poller")
    assert thread is not None
    assert thread.runs.endswith(f".poll, {NAME}:{line_of(poll)}")


def test_a_class_of_threads_is_named_by_its_method(
    stop: threading.Event, start: Callable[[threading.Thread], threading.Thread]
) -> None:
    """Who overrides ``run`` has no target."""

    class Poller(threading.Thread):
        def run(self) -> None:
            stop.wait(SECONDS)

    start(Poller(name="poller"))
    thread = found("poller")
    assert thread is not None
    assert thread.runs.endswith(f".Poller.run, {NAME}:{line_of(Poller.run)}")


def test_a_timer_is_named_by_its_function(start: Callable[[threading.Thread], threading.Thread]) -> None:
    """Its ``run`` is the standard library's, and tells nothing."""

    def ring() -> None:
        pass

    timer = threading.Timer(SECONDS, ring)
    timer.name = "timer"
    start(timer)
    thread = found("timer")
    timer.cancel()
    assert thread is not None
    assert thread.runs.endswith(f".ring, {NAME}:{line_of(ring)}")


def test_an_executors_thread_is_named_by_what_it_does_now(stop: threading.Event) -> None:
    """One that idles counts too: in a forked worker the executor would wait for it for ever."""
    has_begun = threading.Event()

    def work() -> None:
        has_begun.set()
        stop.wait(SECONDS)

    with ThreadPoolExecutor(1, thread_name_prefix="pool") as executor:
        future = executor.submit(work)
        assert has_begun.wait(SECONDS)
        busy = found("pool_0")
        stop.set()
        future.result(SECONDS)
        idle = found("pool_0")
        assert busy is not None
        assert busy.runs == f"concurrent.futures.thread._worker, now in {NAME}:{line_of(work) + 2}"
        assert idle is not None
        assert idle.runs == "concurrent.futures.thread._worker"


def test_a_builtin_as_target_is_named(start: Callable[[threading.Thread], threading.Thread]) -> None:
    """What has no code has a name."""
    lock = threading.Lock()
    with lock:
        start(threading.Thread(target=lock.acquire, args=(True, SECONDS), name="locker"))
        thread = found("locker")
    assert thread is not None
    assert thread.runs.endswith("acquire")


def test_allowed_names_are_patterns(
    stop: threading.Event, start: Callable[[threading.Thread], threading.Thread]
) -> None:
    """What the user knows to be of no use in workers is no reason."""
    start(threading.Thread(target=stop.wait, args=(SECONDS,), name="poller-1"))
    assert found("poller-1", allowed=("poller",)) is not None
    assert found("poller-1", allowed=("libgomp", "poller-*")) is None


def test_an_accepted_threads_server_may_have_its_sockets(
    stop: threading.Event, start: Callable[[threading.Thread], threading.Thread]
) -> None:
    """Who allows a server's thread means the server."""

    class Server:
        def __init__(self) -> None:
            self.sock = socket.socket()

        def serve(self) -> None:
            stop.wait(SECONDS)

    server = Server()
    with server.sock:
        start(threading.Thread(target=server.serve, name="server"))
        assert scan(("server",), PLACES).sockets == {server.sock.fileno()}
        assert scan((), PLACES).sockets == frozenset()


@pytest.mark.parametrize("module", sorted(python_threads.KNOWN_SAFE))
def test_known_libraries_threads_are_no_reason(
    stop: threading.Event, start: Callable[[threading.Thread], threading.Thread], module: str
) -> None:
    """They are known by the module of their function or of their class, not by their name."""

    def serve() -> None:
        stop.wait(SECONDS)

    class Monitor(threading.Thread):
        def run(self) -> None:
            stop.wait(SECONDS)

    serve.__module__ = f"{module}.server"
    Monitor.__module__ = module
    start(threading.Thread(target=serve, name="server"))
    start(Monitor(name="monitor"))
    assert found("server") is None
    assert found("monitor") is None
    serve.__module__ = f"{module}_of_somebody_else"
    assert found("server") is not None


def test_native_threads_are_not_counted_here(stop: threading.Event) -> None:
    """A thread that Python did not start has a stand-in, if it ever asked who it is."""
    names: list[str] = []
    has_begun = threading.Event()
    has_ended = threading.Event()

    def live() -> None:
        names.append(threading.current_thread().name)
        has_begun.set()
        stop.wait(SECONDS)
        has_ended.set()

    _thread.start_new_thread(live, ())
    assert has_begun.wait(SECONDS)
    unknown = [thread.name for thread in scan((), PLACES).unknown]
    stop.set()
    assert has_ended.wait(SECONDS)
    assert names[0] not in unknown


def test_a_thread_that_is_about_to_end_is_no_reason(
    stop: threading.Event, start: Callable[[threading.Thread], threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a second look, after a moment."""
    thread = start(threading.Thread(target=stop.wait, args=(SECONDS,), name="ending"))

    class Clock:
        @staticmethod
        def sleep(seconds: float) -> None:
            assert seconds == SETTLE_SECONDS
            stop.set()
            thread.join(SECONDS)

    monkeypatch.setattr(python_threads, "time", Clock)
    assert found("ending") is None
