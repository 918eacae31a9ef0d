"""A running pool with its dispatcher: takes in what happens, does what was decided, gives out what is to be told.

For one thread, the service thread, as is all that it uses.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, cast

from pytest_parpool.model.actions import AwaitExit, Kill, Spawn, TakeBack
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Command
from pytest_parpool.model.notices import Gone, Heard, TakenBack, TemplateGone
from pytest_parpool.model.task_actions import (
    Dismiss,
    Finish,
    Give,
    SetTimer,
    TaskAction,
    TellCancelled,
    TellCrashed,
    TellDone,
    TellTimedOut,
    TellUnstartable,
)
from pytest_parpool.model.task_messages import Assignment, Do, Leave, Part, TaskCommand, TaskEvent
from pytest_parpool.model.task_notices import TaskHeard, TaskNotice, WorkerGone
from pytest_parpool.runtime.running_pool import RunningPool
from pytest_parpool.workload.engine import Cancelled, Crashed, Job, Outcome, Raised, Task, TimedOut, Unstartable
from pytest_parpool.workload.pickling import dump_job
from pytest_parpool.workload.timers import Timers

Told: TypeAlias = "tuple[int, Outcome | Sequence[Part]]"
"""A task's number, and its outcome, or what it can be rebuilt from."""


class TaskPool:
    """The processes of a pool, and what each of them does.

    Args:
        pool: Started.
        tasks: By their numbers, all that are not over. Kept by somebody else.
    """

    def __init__(self, pool: RunningPool, tasks: Mapping[int, Task]) -> None:
        self._pool = pool
        self._tasks = tasks
        self._timers = Timers()
        # The task that each worker runs, or is about to, as far as is known.
        self._running: dict[WorkerId, int | None] = {}

    # --- What happens ------------------------------------------------------------------------------------------------

    def wait(
        self, *, may_wait: bool, holders: Sequence[WorkerId], most_seconds: float | None = None
    ) -> list[TaskNotice]:
        """Return what has happened.

        Args:
            may_wait: Whether to wait for it, until a timer runs out or somebody wakes the pool's queue.
            holders: The workers that hold more than they run.
            most_seconds: For how long to wait at most, or None.
        """
        timeout_seconds = self._timers.seconds_to_next(time.monotonic(), holders) if may_wait else 0.0
        if most_seconds is not None:
            timeout_seconds = most_seconds if timeout_seconds is None else min(timeout_seconds, most_seconds)
        notices = self._pool.wait(timeout_seconds)
        now = time.monotonic()
        found = [self._as_task_notice(notice, now) for notice in notices]
        return found if timeout_seconds is None else found + self._timers.due(now, holders)

    def _as_task_notice(self, notice: Heard | Gone | TemplateGone, now: float) -> TaskNotice:
        match notice:
            case Heard(worker, event):
                self._timers.note(worker, now)
                # The pool hands events on unread, and these are what our own channel has decoded.
                return TaskHeard(worker, cast("TaskEvent", event))
            case Gone(worker, exit_):
                page = self._pool.page(worker)
                return WorkerGone(worker, exit_, page.claimed, page.step[0])
            case TemplateGone():  # pragma: no branch - the last one there is
                return notice

    # --- What is to be done ------------------------------------------------------------------------------------------

    def perform(self, actions: Iterable[TaskAction]) -> tuple[list[Told], list[TaskNotice]]:
        """Do what was decided. Return what is to be told, and what became known by doing it."""
        now = time.monotonic()
        told: list[Told] = []
        notices: list[TaskNotice] = []
        for action in actions:
            match action:
                case TellDone(number, parts):
                    told.append((number, parts))
                case Give(worker, numbers, announced):
                    self._timers.note(worker, now)
                    entries = [
                        Assignment(number, number in announced, _parts_of(self._tasks[number])) for number in numbers
                    ]
                    self._send(worker, Do(entries))
                case Spawn(worker, _):
                    # The last process's, which may have been set when its end was heard.
                    self._timers.forget(worker)
                    self._send_first(worker)
                case Dismiss(worker):
                    self._send(worker, Leave())
                case Finish():
                    self._pool.finish()
                case TakeBack(worker, begun):
                    kept = self._pool.take_back(worker, begun)
                    if kept is not None:
                        notices.append(TakenBack(worker, kept))
                case Kill(worker):
                    self._pool.kill(worker)
                case AwaitExit(worker, _):
                    self._timers.await_exit(worker, now)
                case SetTimer(_, number, at, _):
                    self._tasks[number].begun_at = at
                    self._timers.limit(action)
                case TellCrashed(number, exit_, worker, step):
                    told.append((number, Crashed(exit_, step if step >= 0 else None, self._last_output(worker))))
                case TellTimedOut(number):
                    begun_at = self._tasks[number].begun_at
                    told.append((number, TimedOut(now - (now if begun_at is None else begun_at))))
                case TellCancelled(number):
                    told.append((number, Cancelled()))
                case TellUnstartable(number, what, text):  # pragma: no branch - the last one there is
                    told.append((number, Unstartable(what, text)))
        return told, notices

    def note_running(self, running: Mapping[WorkerId, int | None]) -> None:
        """Note of each worker's task when it was begun, as far as can be known without asking."""
        if running == self._running:
            return
        now = time.monotonic()
        for worker, number in running.items():
            before = self._running.get(worker)
            if number == before:
                continue
            if before is not None and before in self._tasks:
                self._tasks[before].begun_at = None  # It was lost, and waits again.
            if number is not None:
                self._tasks[number].begun_at = now
        self._running = dict(running)

    # The pool hands commands on unread, to our own channel.

    def _send_first(self, worker: WorkerId) -> None:
        self._pool.spawn(worker, cast("Command", Do(())))

    def _send(self, worker: WorkerId, command: TaskCommand) -> None:
        self._pool.send(worker, cast("Command", command))

    def _last_output(self, worker: WorkerId) -> str:
        output = self._pool.last_output(worker)
        return "\n".join(text.rstrip() for text in (output.out, output.err, output.stack) if text.strip())


def _parts_of(task: Task) -> Sequence[Part]:
    """Return what a worker is given; what could not be packed is nothing to be done, and its outcome is known."""
    if task.packed is None:
        assert task.job is not None
        try:
            task.packed = dump_job(task.job)
        # Handed over: packing runs the user's code, and this thread has to live on.
        except BaseException as error:  # noqa: BLE001
            task.failure = Raised(error)
            task.packed = dump_job(Job(bool, [((), {})], is_chunk=False))
    parts: Sequence[Part] = task.packed
    return parts
