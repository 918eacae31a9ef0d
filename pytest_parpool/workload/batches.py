"""Tasks on their way to an engine, some of them together: workers begin early, and are not woken up for each one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pytest_parpool.workload.engine import Task

_BATCH_SECONDS = 0.001  # A fifth of the work that a worker has in hand.


class Batch:
    """Collects tasks, and submits them: the first at once, and then all that have come in a moment.

    Args:
        submit: Takes tasks.
    """

    def __init__(self, submit: Callable[[Sequence[Task]], object]) -> None:
        self._submit = submit
        self._tasks: list[Task] = []
        self._until = 0.0

    def add(self, tasks: Sequence[Task]) -> None:
        """Take tasks; what comes seldom is submitted at once."""
        self._tasks += tasks
        now = time.monotonic()
        if now >= self._until:
            self.finish()
            self._until = now + _BATCH_SECONDS

    def finish(self) -> None:
        """Submit what is left."""
        tasks, self._tasks = self._tasks, []
        if tasks:
            self._submit(tasks)
