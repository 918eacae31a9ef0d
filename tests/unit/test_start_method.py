"""How workers are started if nobody says it: by fork, as long as nothing could be left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import types

import pytest

from pytest_parpool.workload import start_method
from pytest_parpool.workload.service import THREAD_NAME
from pytest_parpool.workload.start_method import choose_start_method


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
        ([], 2, "spawn"),
        ([THREAD_NAME], 3, "spawn"),
    ],
)
def test_a_process_with_threads_is_not_forked(
    monkeypatch: pytest.MonkeyPatch, others: list[str], native: int, expected: str
) -> None:
    """Neither beside threads of Python nor beside others; the service threads of other pools do no harm."""
    threads = [threading.Thread(name=name) for name in ("MainThread", *others)]
    there = types.SimpleNamespace(enumerate=lambda: threads, active_count=lambda: len(threads))
    monkeypatch.setattr(start_method, "threading", there)
    monkeypatch.setattr(start_method, "_native_thread_count", lambda: native)
    assert choose_start_method(None) == expected


def test_a_fresh_process_is_forked() -> None:
    """It has one thread, and the system says so."""
    code = "from pytest_parpool.workload.start_method import choose_start_method; print(choose_start_method(None))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "fork\n"
