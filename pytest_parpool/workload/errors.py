"""What a pool raises. Each says whose fault it is, and names the task.

Two more are multiprocessing's at the same time and stand in ``stdlib_errors``, so that nobody loads multiprocessing for
errors that do not happen.
"""

from __future__ import annotations

import pickle
from typing import Any

from pytest_parpool.errors import ParpoolError, WorkerError
from pytest_parpool.model.exits import Exit


class WorkerCrashed(WorkerError, RuntimeError):  # noqa: N818  -- a name that says what happened
    """The worker's process ended while it was busy with the task. All other tasks go on, in a replacement.

    Attributes:
        task: The call, e.g. ``resize('a.png')``, or the chunk if nobody knows in which of its calls the worker was.
        exitcode: As ``multiprocessing.Process.exitcode``: minus the signal's number, or the exit code; None if nobody
            knows.
        call: Which call of its chunk it was in, from 0; None if nobody knows.
        output: The end of what the task had printed, and the Python stacks after a fault; may be empty.
    """

    def __init__(self, task: str, exit: Exit, call: int | None, output: str) -> None:  # noqa: A002  -- a noun here
        text = f"the worker process that was running '{task}' is gone: {exit.describe()}"
        if exit.may_be_kill:
            text += "; if it was not killed on purpose, see whether the memory was used up"
        if output:
            text += f"\n--- its last output ---\n{output}"
        super().__init__(text)
        self.task = task
        self.exitcode = exit.code
        self.call = call
        self.output = output
        self._exit = exit

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.task, self._exit, self.call, self.output)


class WorkerStartError(WorkerError, RuntimeError):
    """No worker could be started: the initializer failed, or the system gives no process. The text says why."""


class TaskTimeoutError(ParpoolError, TimeoutError):
    """The task took longer than its ``timeout``; its worker was killed and replaced.

    Not what ``AsyncResult.get(timeout)`` raises: there the task goes on.
    """


class PoolTerminatedError(ParpoolError, RuntimeError):
    """The pool was terminated before the task was done; there will be no result."""


class PoolUsageError(ParpoolError, RuntimeError):
    """Waiting here would never end: in the copy of a pool that a forked child has, or in a callback."""


class UnpicklableTaskError(ParpoolError, pickle.PicklingError, TypeError):
    """The function or an argument cannot be sent to a worker process. The text says which, and what would help."""
