"""What a task's outcome is to whoever asked for its result: a value, or an error to raise."""

from __future__ import annotations

from typing import Any

from pytest_parpool.workload.descriptions import describe_job
from pytest_parpool.workload.engine import (
    Cancelled,
    Crashed,
    Job,
    Outcome,
    Raised,
    Returned,
    Task,
    TimedOut,
    Unstartable,
)
from pytest_parpool.workload.errors import (
    PoolTerminatedError,
    TaskTimeoutError,
    WorkerCrashed,
    WorkerStartError,
)


def value_or_error(outcome: Outcome, job: Job) -> tuple[Any, BaseException | None]:
    """Return the value and None, or None and the error."""
    match outcome:
        case Returned(value):
            return value, None
        case Raised(error):
            return None, error
        case Crashed(exit, call, output):
            return None, WorkerCrashed(describe_job(job, call), exit, call, output)
        case TimedOut(seconds):
            text = f"'{describe_job(job)}' was killed with its worker: it had been running for {seconds:.3g} s"
            return None, TaskTimeoutError(text)
        case Cancelled():
            return None, PoolTerminatedError(f"the pool was terminated before '{describe_job(job)}' was done")
        case Unstartable(what, text):
            return None, WorkerStartError(f"no worker of the pool could be started ({what})\n{text}".rstrip())


def describe_progress(task: Task, now: float) -> str:
    """Return how far a task has come, e.g. ``'square(3)' has been running for 2.5 s``.

    Args:
        task: One without an outcome.
        now: ``time.monotonic()``.
    """
    if task.begun_at is None:
        return f"'{task.description()}' has not begun"
    return f"'{task.description()}' has been running for {max(now - task.begun_at, 0.0):.3g} s"
