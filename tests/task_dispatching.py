"""A dispatcher of tasks for tests: notices in, actions out, with as few words as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId, worker_ids
from pytest_parpool.model.messages import Broken, Ready
from pytest_parpool.model.task_actions import Give, TaskAction
from pytest_parpool.model.task_messages import Begun, Done
from pytest_parpool.model.task_notices import Submitted, TaskHeard, TaskNotice, TaskRules, WorkerGone
from pytest_parpool.policy.tasks.dispatcher import TaskDispatcher

GW0, GW1, GW2 = worker_ids(3)
SEGFAULT = Exit(-11)
SIGKILL = Exit(-9)
CLEAN = Exit(0)
PARTS = (b"outcome",)
BROKEN = Broken("initializer 'setup'", "Traceback")


class TaskBench:
    """A dispatcher, and short words for long notices.

    Args:
        workers: How many.
        tasks_per_child: As the dispatcher's.
        bears_by_need: As the dispatcher's.
        trusts_first: As the dispatcher's.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        tasks_per_child: int | None = None,
        bears_by_need: bool = False,
        trusts_first: bool = False,
    ) -> None:
        self.workers = worker_ids(workers)
        self.dispatcher = TaskDispatcher(
            self.workers, tasks_per_child=tasks_per_child, bears_by_need=bears_by_need, trusts_first=trusts_first
        )
        self.births = self.dispatcher.start()

    def ready(self, *workers: WorkerId) -> list[TaskAction]:
        """Workers are born; all of them, if none is named."""
        return self.do(*[TaskHeard(worker, Ready(1, (-1, -1, -1))) for worker in workers or self.workers])

    def submit(self, *tasks: int, rules: Mapping[int, TaskRules] | None = None) -> list[TaskAction]:
        """There are tasks."""
        return self.do(Submitted(tasks, rules or {}))

    def done(self, worker: WorkerId, *tasks: int, seconds: float = 1.0) -> list[TaskAction]:
        """A worker is done with tasks."""
        return self.do(*[TaskHeard(worker, Done(task, seconds, PARTS)) for task in tasks])

    def begun(self, worker: WorkerId, task: int, at: float) -> list[TaskAction]:
        """A worker announces a task."""
        return self.do(TaskHeard(worker, Begun(task, at)))

    def gone(self, worker: WorkerId, exit_: Exit, *, claimed: int, step: int = 0) -> list[TaskAction]:
        """A worker has ended."""
        return self.do(WorkerGone(worker, exit_, claimed, step))

    def do(self, *notices: TaskNotice) -> list[TaskAction]:
        """Anything else happens."""
        return self.dispatcher.handle(notices)

    def fast(self) -> None:
        """Let it be known that tasks take no time; a worker must hold none."""
        self.submit(*range(-50, 0))
        for _ in range(50):
            held = [task for worker in self.workers if (task := self.dispatcher.running()[worker]) is not None]
            for worker in self.workers:
                while (task := self.dispatcher.running()[worker]) is not None:
                    self.done(worker, task, seconds=1e-9)
            if not held:
                break


def given(actions: Sequence[TaskAction]) -> list[tuple[WorkerId, list[int]]]:
    """Return who was given what."""
    return [(action.worker, list(action.tasks)) for action in actions if isinstance(action, Give)]
