"""How workers are started if nobody says it: by fork, as long as nothing could be left behind."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import types

import pytest

from pytest_parpool.workload import service_threads, start_method
from pytest_parpool.workload.service_threads import THREAD_NAME, await_ends, note_end
from pytest_parpool.workload.start_method import choose_start_method

# A thread that ``threading`` has not started is known to it from when it asks, and, before 3.13, for ever.
_NAMED_THREAD = """
import _thread, os, threading, time
has_asked = threading.Event()
stop = threading.Event()
def live():
    threading.current_thread()
    has_asked.set()
    {}
_thread.start_new_thread(live, ())
assert has_asked.wait(60)
"""
_AWAIT_ITS_END = """
while len(os.listdir("/proc/self/task")) > 1:
    time.sleep(0.001)
"""


def be_in(monkeypatch: pytest.MonkeyPatch, threads: list[threading.Thread], current: int = 0) -> None:
    """Have these threads be all there are, and one of them be this one."""
    there = types.SimpleNamespace(
        _DummyThread=threading._DummyThread, enumerate=lambda: threads, current_thread=lambda: threads[current]
    )
    monkeypatch.setattr(start_method, "threading", there)


@pytest.mark.parametrize("wanted", ["fork", "spawn"])
def test_the_user_decides(wanted: str) -> None:
    """Whatever is running."""
    assert choose_start_method(wanted) == wanted


@pytest.mark.parametrize(
    ("others", "native", "expected"),
    [
        ([], 1, "fork"),
        ([THREAD_NAME], 2, "fork"),
        ([THREAD_NAME, THREAD_NAME], 3, "fork"),
        (["somebody"], 2, "spawn"),
        (["somebody", THREAD_NAME], 3, "spawn"),
    ],
)
def test_a_process_with_threads_is_not_forked(
    monkeypatch: pytest.MonkeyPatch, others: list[str], native: int, expected: str
) -> None:
    """Neither beside threads of Python nor beside others; the service threads of other pools do no harm."""
    threads = [threading.Thread(name=name) for name in ("MainThread", *others)]
    be_in(monkeypatch, threads)
    monkeypatch.setattr(start_method, "_native_thread_count", lambda: native)
    assert choose_start_method(None) == expected


def test_a_callback_does_not_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the thread of a pool there is the main thread, which may be anywhere."""
    be_in(monkeypatch, [threading.Thread(name=name) for name in ("MainThread", THREAD_NAME)], current=1)
    monkeypatch.setattr(start_method, "_native_thread_count", lambda: 2)
    assert choose_start_method(None) == "spawn"


def test_a_service_thread_that_has_ended_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has it for longer than Python, and it is no thread of somebody else's."""
    looks: list[int] = []

    def exists(thread: int) -> bool:
        looks.append(thread)
        return len(looks) < 50

    thread = threading.Thread(target=note_end)
    thread.start()
    thread.join()
    monkeypatch.setattr(service_threads, "_exists", exists)
    be_in(monkeypatch, [threading.Thread(name="MainThread")])
    monkeypatch.setattr(start_method, "_native_thread_count", lambda: 1 if len(looks) >= 50 else 2)
    monkeypatch.setattr(start_method, "_has_unsafe_threads", lambda known: start_method._native_thread_count() > known)
    assert choose_start_method(None) == "fork"
    assert set(looks) == {thread.native_id}
    await_ends()  # There is nobody left.
    assert len(looks) == 50


@pytest.mark.parametrize("has_service", [False, True])
@pytest.mark.parametrize(("is_unsafe", "expected"), [(True, "spawn"), (False, "fork")])
def test_threads_of_others_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, has_service: bool, is_unsafe: bool, expected: str
) -> None:
    """Threads that Python has not started count, but for those that are known to survive a fork."""
    names = ["MainThread", THREAD_NAME][: 1 + has_service]
    threads = [threading.Thread(name=name) for name in names]
    be_in(monkeypatch, threads)
    monkeypatch.setattr(start_method, "_native_thread_count", lambda: len(threads) + 1)
    monkeypatch.setattr(start_method, "_has_unsafe_threads", lambda _: is_unsafe)
    assert choose_start_method(None) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param("", "fork", id="nothing"),
        pytest.param(
            "import numpy",
            "fork",
            id="numpy",
            marks=pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="numpy is not installed"),
        ),
        pytest.param(
            "import _thread; _thread.start_new_thread(__import__('time').sleep, (60,))", "spawn", id="a thread"
        ),
        pytest.param(_NAMED_THREAD.format("stop.wait(60)"), "spawn", id="a thread that asked for its name"),
        pytest.param(
            _NAMED_THREAD.format("None") + _AWAIT_ITS_END, "fork", id="a thread that asked for its name, and has ended"
        ),
    ],
)
def test_a_process_of_its_own(before: str, expected: str) -> None:
    """A script's pool is forked as long as it has one thread, and those of OpenBLAS, which numpy starts at import."""
    code = f"""
{before}
import os
print(len(os.listdir("/proc/self/task")))
from pytest_parpool.workload.start_method import choose_start_method
print(choose_start_method(None), flush=True)
os._exit(0)
"""
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=environ
    )
    assert done.stdout.splitlines()[1:] == [expected]


@pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="numpy is not installed")
def test_a_script_with_numpy_has_its_workers_forked() -> None:
    """They know what it has defined, and compute on OpenBLAS's threads, which are new in each."""
    code = """
import numpy
from pytest_parpool import Pool

matrix = numpy.ones((300, 300))
assert (matrix @ matrix)[0, 0] == 300.0

def multiply(number):
    return float((matrix @ (number * matrix))[0, 0])

with Pool(2) as pool:
    print(pool.map(multiply, range(4)))
"""
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, timeout=60, env=environ, check=False)
    assert (done.stdout, done.stderr) == ("[0.0, 300.0, 600.0, 900.0]\n", "")
