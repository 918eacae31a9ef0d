"""The clocks of a pool's workers: which task has had its time, who is late to leave, and who is silent for long.

All times are ``time.monotonic()``, and given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.notices import Overdue, Stalled
from pytest_parpool.model.task_actions import SetTimer
from pytest_parpool.model.task_notices import TaskNotice, TimeUp

# A worker tells of each task that is over, and holds five milliseconds of them; one that is silent for so long has
# begun a task that nobody should wait behind.
STALL_SECONDS = 0.02
# How long a worker that has nothing more to do may take to leave: what tasks have registered to run at exit, and the
# threads that they have left behind, may need some time, but nobody waits for it for ever.
LEAVE_SECONDS = 10.0


class Timers:
    """Knows when something is due, and says what."""

    def __init__(self) -> None:
        self._heard_at: dict[WorkerId, float] = {}
        self._leave_at: dict[WorkerId, float] = {}
        self._time_up_at: dict[WorkerId, tuple[float, int]] = {}

    def note(self, worker: WorkerId, now: float) -> None:
        """Note that a worker has said something, or was given something."""
        self._heard_at[worker] = now

    def await_exit(self, worker: WorkerId, now: float) -> None:
        """Have a worker leave in time."""
        self._leave_at[worker] = now + LEAVE_SECONDS

    def limit(self, timer: SetTimer) -> None:
        """Have a worker's task end in time. It is the only one of that worker."""
        self._time_up_at[timer.worker] = (timer.at + timer.seconds, timer.task)

    def forget(self, worker: WorkerId) -> None:
        """Forget what was known of a process that has ended."""
        self._leave_at.pop(worker, None)
        self._time_up_at.pop(worker, None)

    def seconds_to_next(self, now: float, holders: Iterable[WorkerId]) -> float | None:
        """Return how long nothing is due; None if nothing will be.

        Args:
            now: The time.
            holders: Who must not be silent for long.
        """
        times = [self._heard_at[worker] + STALL_SECONDS for worker in holders]
        if self._time_up_at:
            times += [at for at, _ in self._time_up_at.values()]
        if self._leave_at:
            times += self._leave_at.values()
        return max(0.0, min(times) - now) if times else None

    def due(self, now: float, holders: Iterable[WorkerId]) -> list[TaskNotice]:
        """Return what is due, and forget it. Arguments as above."""
        notices: list[TaskNotice] = []
        for worker, (at, task) in list(self._time_up_at.items()):
            if at <= now:
                del self._time_up_at[worker]
                notices.append(TimeUp(worker, task))
        for worker, at in list(self._leave_at.items()):
            if at <= now:
                del self._leave_at[worker]
                notices.append(Overdue(worker))
        for worker in holders:
            if self._heard_at[worker] + STALL_SECONDS <= now:
                self._heard_at[worker] = now
                notices.append(Stalled(worker))
        return notices
