"""What wakes the dispatcher of tasks: everything that happens to a workload pool, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.notices import Overdue, Stalled, TakenBack, TemplateGone
from pytest_parpool.model.records import Record, record
from pytest_parpool.model.task_messages import TaskEvent


@record
class TaskRules(Record):
    """What holds for a task.

    Attributes:
        retries: How often it may be begun again after its worker has died.
        timeout_seconds: How long it may run, each time, or None.
    """

    retries: int = 0
    timeout_seconds: float | None = None


@record
class Submitted(Record):
    """There are more tasks.

    Attributes:
        tasks: Their numbers, ascending, and above those of all that came before.
        rules: Of those that have any.
    """

    tasks: Sequence[int]
    rules: Mapping[int, TaskRules]


@record
class TaskHeard(Record):
    """A worker sent an event."""

    worker: WorkerId
    event: TaskEvent


@record
class WorkerGone(Record):
    """A worker's process has ended, and everything it sent was read.

    Attributes:
        claimed: How many of all tasks that it was given it had begun, as its page of the ledger says.
        step: Which call of the task it was in.
    """

    worker: WorkerId
    exit: Exit
    claimed: int
    step: int


@record
class TimeUp(Record):
    """The task that a worker is known to run has had its time."""

    worker: WorkerId
    task: int


@record
class Allowed(Record):
    """From now on no more workers than so many may be busy; what they do is not interrupted. At least 1."""

    workers: int


@record
class CloseRequested(Record):
    """No task will come any more; what is there is done to its end."""


@record
class TerminateRequested(Record):
    """Nothing more is to be done, and what runs is ended."""


TaskNotice: TypeAlias = (
    Submitted
    | TaskHeard
    | WorkerGone
    | TimeUp
    | Stalled
    | TakenBack
    | Overdue
    | TemplateGone
    | Allowed
    | CloseRequested
    | TerminateRequested
)
