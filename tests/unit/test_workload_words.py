"""What a pool says: arguments that it refuses, tasks, errors, progress."""

from __future__ import annotations

import functools
import io
import multiprocessing
import pickle
import threading
from typing import Any

import pytest

from pytest_parpool.errors import ParpoolError
from pytest_parpool.model.exits import Exit
from pytest_parpool.workload.arguments import check_seconds, start_method_of
from pytest_parpool.workload.callbacks import ServiceThread, call_back
from pytest_parpool.workload.calls import OneArgumentCalls
from pytest_parpool.workload.descriptions import describe_job, name_of, show
from pytest_parpool.workload.engine import Cancelled, Crashed, Job, Returned, TimedOut, Unstartable
from pytest_parpool.workload.errors import (
    PoolTerminatedError,
    PoolUsageError,
    TaskTimeoutError,
    WorkerCrashed,
    WorkerStartError,
)
from pytest_parpool.workload.outcomes import value_or_error
from pytest_parpool.workload.progress import Line, Progress, make_progress
from tests.pooling import square

# --- Arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "method"),
    [
        (None, None),
        ("fork", "fork"),
        ("spawn", "spawn"),
        ("forkserver", "spawn"),
        (multiprocessing.get_context("fork"), "fork"),
        (multiprocessing.get_context("spawn"), "spawn"),
        (multiprocessing.get_context("forkserver"), "spawn"),
    ],
)
def test_start_methods(context: Any, method: str | None) -> None:
    """A name and multiprocessing's context mean the same."""
    assert start_method_of(context) == method


@pytest.mark.parametrize(("seconds", "error"), [("1", TypeError), (0, ValueError), (-1.5, ValueError)])
def test_seconds(seconds: object, error: type[Exception]) -> None:
    """They are a number above 0, or None."""
    assert check_seconds("timeout", None) is None
    assert check_seconds("timeout", 2) == 2.0
    with pytest.raises(error, match="timeout must be a number of seconds"):
        check_seconds("timeout", seconds)


# --- Tasks ------------------------------------------------------------------------------------------------------------


class _Loud:
    def __repr__(self) -> str:
        return "loud"

    def __call__(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (square, "square"),
        (str.upper, "str.upper"),
        (functools.partial(square, 3), "partial(square)"),
        (_Loud(), "loud"),
    ],
)
def test_names_of_functions(function: Any, name: str) -> None:
    """Whatever can be called has a name."""
    assert name_of(function) == name


def test_values_are_shown_in_short() -> None:
    """In one line, however long they are."""
    assert show([1, "a"]) == "[1, 'a']"
    for value in ("x" * 1000, b"x" * 1000, list(range(1000)), {"a": ["b" * 50] * 50}, 10**500, "a\nb" * 500):
        assert len(show(value)) <= 60
        assert "\n" not in show(value)


def test_values_that_cannot_be_shown() -> None:
    """Whatever a class does instead of being shown, there is a text."""

    def fail(*_: object) -> int:
        raise LookupError("no")

    for name in ("Thing", "list", "dict"):
        value = type(name, (), {"__repr__": fail, "__len__": fail})()
        assert len(show(value)) <= 60


def test_descriptions_of_tasks() -> None:
    """A chunk is described by its first call, or by the one that is meant."""
    job = Job(square, OneArgumentCalls([3, 4, 5]), is_chunk=True)
    assert describe_job(job) == "square(3) and 2 more calls"
    assert describe_job(job, 1) == "square(4)"
    assert describe_job(Job(int, [(("ff",), {"base": 16})], is_chunk=False)) == "int('ff', base=16)"
    assert describe_job(Job(int, [((), {})], is_chunk=False)) == "int()"


# --- Outcomes ---------------------------------------------------------------------------------------------------------

JOB = Job(square, OneArgumentCalls([3, 4]), is_chunk=True)


@pytest.mark.parametrize(
    ("outcome", "error_class", "text"),
    [
        (
            Crashed(Exit(-11), 1, ""),
            WorkerCrashed,
            "the worker process that was running 'square(4)' is gone: killed by SIGSEGV",
        ),
        (
            Crashed(Exit(-9), None, "last words"),
            WorkerCrashed,
            (
                "the worker process that was running 'square(3) and 1 more calls' is gone: killed by SIGKILL; "
                "if it was not killed on purpose, see whether the memory was used up\n"
                "--- its last output ---\nlast words"
            ),
        ),
        (
            TimedOut(1.25),
            TaskTimeoutError,
            "'square(3) and 1 more calls' was killed with its worker: it had been running for 1.25 s",
        ),
        (Cancelled(), PoolTerminatedError, "the pool was terminated before 'square(3) and 1 more calls' was done"),
        (
            Unstartable("initializer 'setup'", "Traceback\n"),
            WorkerStartError,
            "no worker of the pool could be started (initializer 'setup')\nTraceback",
        ),
    ],
)
def test_errors(outcome: Any, error_class: type[Exception], text: str) -> None:
    """Each outcome without a value is an error of ours, and survives pickling."""
    value, error = value_or_error(outcome, JOB)
    assert value is None
    assert (type(error), str(error)) == (error_class, text)
    assert isinstance(error, ParpoolError)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again).keys()) == (error_class, text, vars(error).keys())


def test_values() -> None:
    """A value is a value, also if it is None."""
    assert value_or_error(Returned(None), JOB) == (None, None)


# --- Callbacks --------------------------------------------------------------------------------------------------------


def test_waiting_where_callbacks_run() -> None:
    """Only the thread that runs them must not wait."""
    service = ServiceThread()
    service.forbid_wait()
    service.note_current()
    with pytest.raises(PoolUsageError):
        service.forbid_wait()
    other = threading.Thread(target=service.note_current)
    other.start()
    other.join()
    service.forbid_wait()


def test_even_system_exit_ends_no_callback_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is handed to the hook as all else."""
    seen: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    call_back(exit, 3)
    assert [args.exc_type for args in seen] == [SystemExit]


# --- Progress ---------------------------------------------------------------------------------------------------------


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_on_a_terminal() -> None:
    """It is redrawn, not too often, and ended once."""
    now = [0.0]
    stream = _Terminal()
    progress = Progress(Line(stream, lambda: now[0]), 5)
    for seconds in (0.0, 0.05, 0.2, 0.25):
        now[0] = seconds
        progress.advance(1)
    progress.finish()
    progress.finish()
    assert stream.getvalue() == "\r1 / 5\r3 / 5\r4 / 5\n"


def test_a_line_elsewhere() -> None:
    """It is written once, at the end."""
    stream = io.StringIO()
    progress = Progress(Line(stream), None)
    progress.advance(3)
    assert stream.getvalue() == ""
    progress.finish()
    assert stream.getvalue() == "3 / ?\n"


def test_a_stream_that_is_closed() -> None:
    """Nobody looks any more, and the pool goes on."""
    stream = io.StringIO()
    progress = Progress(Line(stream), 1)
    stream.close()
    progress.advance(1)
    progress.finish()


def test_choices_of_progress() -> None:
    """None and False are none; what is neither True nor a function is refused."""
    assert make_progress(None, 3) is None
    assert make_progress(False, 3) is None
    assert make_progress(lambda _, __: None, 3) is not None
    wrong: Any = "yes"
    with pytest.raises(TypeError, match=r"progress must be True or a function of \(done, total\), not 'yes'"):
        make_progress(wrong, 3)
