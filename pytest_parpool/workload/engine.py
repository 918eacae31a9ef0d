"""What runs a pool's tasks: the one interface of its two kinds, processes and threads.

A *task* is what is handed out and what a dead worker costs: one call, or a chunk of calls that travel together. Whoever
submits one hears its outcome once, in the engine's service thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.records import Record, record
from pytest_parpool.workload.shares import Share


@record
class Job(Record):
    """What a task is to do, in the caller's own objects.

    Attributes:
        function: Called once per entry of ``calls``, in order, in one worker.
        calls: Positional and named arguments of each call.
        is_chunk: Whether the result is the list of all calls' results, or the only call's own.
    """

    function: Callable[..., Any]
    calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]]
    is_chunk: bool


@record
class Returned(Record):
    """All calls returned. ``value`` is the caller's to keep."""

    value: Any


@record
class Raised(Record):
    """A call raised; those behind it in its chunk were not made. The remote traceback is the error's cause.

    Also what could not travel back comes so, as an ``UnpicklableResultError``.
    """

    error: BaseException


@record
class Crashed(Record):
    """The worker's process ended while it was busy with the task, more often than the task may be tried.

    Attributes:
        exit: How.
        call: Which call of the task it was in, from 0; None if nobody knows.
        output: The end of what the task had printed, also where it was shown already, and the process's Python stacks.
    """

    exit: Exit
    call: int | None
    output: str


@record
class TimedOut(Record):
    """The task took longer than it may; its worker was killed. ``seconds`` is how long it had been running."""

    seconds: float


@record
class Cancelled(Record):
    """It was never begun: the engine was terminated, or somebody cancelled it."""


@record
class Unstartable(Record):
    """No worker could be started to do it: the initializer failed, or the system gives no process.

    Attributes:
        what: e.g. ``initializer 'setup'``.
        text: The traceback, or why.
    """

    what: str
    text: str


Outcome: TypeAlias = Returned | Raised | Crashed | TimedOut | Cancelled | Unstartable


class Task:
    """One task on its way; submitted once.

    Args:
        packed: As the engine's ``pack`` made it; None to have that done when a worker is given it.
        description: To name it in errors, e.g. ``square(3)``; made when it is asked for.
        on_outcome: Told the outcome, once, in the service thread; must neither raise nor block.
        job: What is packed, if it is not yet.
        retries: How often it may be begun again after a crash of its worker.
        timeout_seconds: How long it may run, each time it is begun, or None.

    Attributes:
        begun_at: ``time.monotonic()`` when it was begun the last time, as far as is known, or None.
        failure: Its outcome, if it could not be packed when a worker was to be given it, or None.
        number: Its place among all tasks of its engine, for an engine that numbers them.
    """

    __slots__ = (
        "begun_at",
        "description",
        "failure",
        "job",
        "number",
        "on_outcome",
        "packed",
        "retries",
        "timeout_seconds",
    )

    def __init__(
        self,
        packed: Any,
        description: Callable[[], str],
        on_outcome: Callable[[Outcome], None],
        *,
        job: Job | None = None,
        retries: int = 0,
        timeout_seconds: float | None = None,
    ) -> None:
        self.packed = packed
        self.job = job
        self.description = description
        self.on_outcome = on_outcome
        self.retries = retries
        self.timeout_seconds = timeout_seconds
        self.begun_at: float | None = None
        self.failure: Raised | None = None
        self.number = -1


class Engine(Protocol):
    """Runs tasks. All methods may be called from any thread; none of them waits but ``join``."""

    processes: int
    """How many tasks run side by side at most."""
    share: Share | None
    """The pool's part in a CPU budget, or None."""

    def pack(self, job: Job) -> Any:
        """Return what ``Task`` wants, in the caller's thread; nothing the caller changes later matters.

        Raises:
            UnpicklableTaskError: If something does not pickle; it names it, and the extra that would help.
        """
        ...

    def size_of(self, packed: Any) -> int:
        """Return how many bytes something packed takes, beside the caller's own objects."""
        ...

    def submit(self, tasks: Sequence[Task]) -> None:
        """Take tasks, to be begun in this order. With the first the service thread starts.

        Raises:
            ValueError: If the engine is closed.
        """
        ...

    def cancel(self, task: Task) -> bool:
        """Take a task back, if it has not been begun; its outcome is then ``Cancelled``. Return whether it was."""
        ...

    def close(self) -> None:
        """Take nothing more; all workers leave when everything is done, having torn down."""
        ...

    def terminate(self) -> None:
        """Take nothing more, kill all workers, and have every task that is not done end as ``Cancelled``."""
        ...

    def join(self) -> None:
        """Wait until no worker and no service thread is left.

        Raises:
            ValueError: If it was neither closed nor terminated.
        """
        ...
