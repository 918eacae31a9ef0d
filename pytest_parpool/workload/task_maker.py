"""Makes tasks of jobs, packed at once while they are small together, else when workers are given them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from pytest_parpool.workload.descriptions import describe_job
from pytest_parpool.workload.engine import Engine, Job, Outcome, Raised, Task
from pytest_parpool.workload.errors import UnpicklableTaskError

# Of the packed arguments of one ``map``: what is beyond that is not in memory twice before somebody wants it.
EAGER_BYTES: Final = 1 << 24


class TaskMaker:
    """Makes the tasks of one call of a pool's methods.

    What is packed at once is a copy: nothing that the caller changes later matters, and what cannot be sent is known.

    Args:
        engine: That will run them.
        retries: As in ``Task``.
        timeout_seconds: As in ``Task``.
        eager_bytes: How much is packed at once; None for everything.
    """

    def __init__(
        self, engine: Engine, retries: int, timeout_seconds: float | None, eager_bytes: int | None = None
    ) -> None:
        self._engine = engine
        self._retries = retries
        self._timeout_seconds = timeout_seconds
        self._room_bytes = eager_bytes

    def make(self, job: Job, on_outcome: Callable[[Outcome], None]) -> Task | Raised:
        """Return a job's task, or the outcome that it has without ever being submitted.

        Args:
            job: What is to be done.
            on_outcome: As in ``Task``; not told what is returned here.
        """
        packed = None
        if self._room_bytes is None or self._room_bytes > 0:
            try:
                packed = self._engine.pack(job)
            except UnpicklableTaskError as error:
                return Raised(error)
            if self._room_bytes is not None:
                self._room_bytes -= self._engine.size_of(packed)
        return Task(
            packed,
            partial(describe_job, job),
            on_outcome,
            job=job,
            retries=self._retries,
            timeout_seconds=self._timeout_seconds,
        )
