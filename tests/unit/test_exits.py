"""How a process ended is said in words that people look for."""

from __future__ import annotations

import pickle
import signal

import pytest

from pytest_parpool.model.exits import CHANNEL_LOST_CODE, Exit


@pytest.mark.parametrize(
    ("exit_", "text"),
    [
        (Exit(0), "exit code 0"),
        (Exit(3), "exit code 3"),
        (Exit(-signal.SIGSEGV), "killed by SIGSEGV"),
        (Exit(-signal.SIGKILL), "killed by SIGKILL"),
        (Exit(-signal.SIGABRT), "killed by SIGABRT"),
        (Exit(-63), "killed by signal 63"),
        (Exit(None), "exit code unknown"),
        (Exit(None, "it could not be forked: no memory"), "it could not be forked: no memory"),
    ],
)
def test_describe(exit_: Exit, text: str) -> None:
    """A signal is called by its name, if it has one; an end without a code says why."""
    assert exit_.describe() == text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0xC0000005, "exit code 0xc0000005, access violation"),
        (0xC00000FD, "exit code 0xc00000fd, stack overflow"),
        (0x80000003, "exit code 0x80000003"),
    ],
)
def test_what_windows_ends_a_process_with(code: int, text: str) -> None:
    """Nobody knows these numbers but in hexadecimal, and the usual ones have names."""
    assert Exit(code).describe() == text


def test_killed_where_signals_have_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no SIGKILL; a worker that we have ended there is called killed."""
    monkeypatch.delattr(signal, "SIGKILL")
    assert Exit(-9).describe() == "killed"


def test_a_lost_channel() -> None:
    """A worker that could not reach the controller any more says what a test probably did."""
    assert "closed or replaced the worker's file descriptors" in Exit(CHANNEL_LOST_CODE).describe()


@pytest.mark.parametrize(("code", "may_be"), [(-9, True), (None, True), (0, False), (9, False), (-11, False)])
def test_may_be_kill(code: int | None, may_be: bool) -> None:
    """An end that nobody saw may have been any."""
    assert Exit(code).may_be_kill is may_be


def test_pickling() -> None:
    """An exit may cross a process."""
    assert pickle.loads(pickle.dumps(Exit(None, "why"))) == Exit(None, "why")
