"""How threads are counted before any are looked for."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from pytest_parpool.runtime import thread_counts
from pytest_parpool.runtime.thread_counts import may_have_native_threads, python_thread_count


def test_a_thread_of_python_is_one_more() -> None:
    """What Python started is counted from its start to its end."""
    before = python_thread_count()
    may_end = threading.Event()
    thread = threading.Thread(target=may_end.wait)
    thread.start()
    try:
        assert python_thread_count() == before + 1
    finally:
        may_end.set()
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_threads_that_python_did_not_start_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's count is compared with Python's, whatever threads there are now."""
    monkeypatch.setattr(thread_counts, "python_thread_count", lambda: len(os.listdir("/proc/self/task")))
    assert not may_have_native_threads()
    monkeypatch.setattr(thread_counts, "python_thread_count", lambda: len(os.listdir("/proc/self/task")) - 1)
    assert may_have_native_threads()


def test_a_system_that_does_not_tell_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``/proc`` nothing is known, and nothing is looked for."""

    def refuse(path: str) -> list[str]:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert not may_have_native_threads()
