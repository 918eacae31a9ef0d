"""A worker slot of a workload pool: what is known of one, and what cannot be true of it."""

from __future__ import annotations

import collections

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.policy.slot import DispatchError, Slot


class TaskSlot(Slot):
    """What is known of one slot and of the process that is in it.

    Of the states of ``lifecycle`` a task's worker knows six: it is VACANT, STARTING, ASKING (it holds nothing), BUSY,
    DRAINING (it leaves when it has done what it holds) and RETIRED.

    Attributes:
        held: Tasks that were sent to the worker and are not over, in order. It runs the first, or is about to.
        given: How many tasks it was given, without those that were taken back.
        done: How many of them are over.
        fruitless: How many processes in a row were born here, were wanted, and died before they began a task.
        is_new: Whether the process has not begun a task yet, as far as is known.
        kept: How many of all tasks it was given it kept when some were taken back the last time. Until these are over,
            it may not have been told.
        is_recalling: Whether something is being taken back.
        timed_out: The task that has had its time, and that the worker is to be killed for; or None.
    """

    __slots__ = (
        "done",
        "fruitless",
        "given",
        "held",
        "is_new",
        "is_recalling",
        "kept",
        "timed_out",
    )

    def __init__(self, worker: WorkerId) -> None:
        super().__init__(worker)
        self.fruitless = 0
        self.forget_process()

    def forget_process(self) -> None:
        """Forget what was known of a process that has ended."""
        self.held: collections.deque[int] = collections.deque()
        self.given = self.done = self.kept = 0
        self.is_new = True
        self.is_recalling = False
        self.timed_out: int | None = None

    @property
    def running(self) -> int | None:
        """The task that the worker runs, or is about to."""
        return self.held[0] if self.held else None

    def finish(self, task: int) -> None:
        """Note that the first task in its hand is over.

        Raises:
            DispatchError: If that is another one.
        """
        if not self.held or self.held[0] != task:
            raise DispatchError(f"{self.id} finished task {task}, but was given {list(self.held)[:3]}")
        self.held.popleft()
        self.done += 1
        self.fruitless = 0
        self.is_new = False
