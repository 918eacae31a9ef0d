"""How workers are started if nobody says it: by fork, as long as nothing could be left behind."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from pytest_parpool.workload import start_method
from pytest_parpool.workload.service import THREAD_NAME
from pytest_parpool.workload.start_method import choose_start_method


@pytest.mark.parametrize("wanted", ["fork", "spawn"])
def test_the_user_decides(wanted: str) -> None:
    """Whatever is running."""
    assert choose_start_method(wanted) == wanted


def method_beside(name: str) -> str:
    """Return what is chosen while a thread of that name runs."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name=name)
    thread.start()
    try:
        return choose_start_method(None)
    finally:
        done.set()
        thread.join()


def test_a_process_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither beside threads of Python nor beside others; the service threads of other pools do no harm."""
    own = 1 + sum(thread.name == THREAD_NAME for thread in threading.enumerate())
    monkeypatch.setattr(start_method, "_native_thread_count", lambda: own)
    assert method_beside("somebody") == "spawn"
    monkeypatch.setattr(start_method, "_native_thread_count", lambda: own + 1)
    assert method_beside(THREAD_NAME) == "fork"
    monkeypatch.setattr(start_method, "_native_thread_count", lambda: own + 2)
    assert method_beside(THREAD_NAME) == "spawn"


def test_a_fresh_process_is_forked() -> None:
    """It has one thread, and the system says so."""
    code = "from pytest_parpool.workload.start_method import choose_start_method; print(choose_start_method(None))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "fork\n"
