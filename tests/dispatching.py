"""A dispatcher for tests: notices in, actions out, with as few words as possible.

Under ``each`` every worker has items of its own that nobody takes over, so most tests need not think about whose turn
it is: with three items, ``gw0`` has 0 to 2 and ``gw1`` has 3 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_parpool.model.actions import Action, ReportCrash, ReportLoss, Spawn
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex, WorkerId, worker_ids
from pytest_parpool.model.messages import Draining, Event, Finished, Left, Ready, Reported, Run, Started
from pytest_parpool.model.notices import Gone, Heard
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.policy.limits import Limits
from pytest_parpool.policy.schedulers.protocol import Scheduler
from pytest_parpool.policy.schedulers.registry import SCHEDULERS
from tests.plans import plan_of

GW0, GW1, GW2 = worker_ids(3)
READY = Ready(1, (-1, -1, -1))
LEFT = Left(b"")
SEGFAULT = Exit(-11)
SIGKILL = Exit(-9)
CLEAN = Exit(0)


class Bench:
    """A dispatcher, what it observed, and short words for long notices.

    Args:
        items: How many, per worker under ``each``.
        workers: How many.
        dist: The scheduler's name, or a scheduler.
        seconds: How long each item is expected to take.
        limits: Of the run.
    """

    def __init__(
        self,
        items: int,
        *,
        workers: int = 1,
        dist: str | Scheduler = "each",
        seconds: Sequence[float | None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        ids = worker_ids(workers)
        plan = plan_of(items * workers if dist == "each" else items)
        scheduler = SCHEDULERS[dist](plan, ids, reorder=True) if isinstance(dist, str) else dist
        expected: Sequence[float | None] = [None] * len(plan) if seconds is None else seconds
        self.observed: list[tuple[int, float]] = []
        self.dispatcher = Dispatcher(
            scheduler,
            ids,
            expected=expected.__getitem__,
            observe=lambda item, taken: self.observed.append((item, taken)),
            limits=Limits(restarts=4) if limits is None else limits,
        )
        self.first_actions = self.dispatcher.start()

    def hear(self, worker: WorkerId, *events: Event) -> list[Action]:
        """Let a worker say something; return what is asked for then."""
        return [action for event in events for action in self.dispatcher.handle(Heard(worker, event))]

    def lose(self, worker: WorkerId, exit_: Exit = SEGFAULT) -> list[Action]:
        """Let a worker's process end."""
        return self.dispatcher.handle(Gone(worker, exit_))

    def leave(self, worker: WorkerId) -> list[Action]:
        """Let a worker that was drained leave as it should; return what its end brings about."""
        self.hear(worker, Draining(), LEFT)
        return self.lose(worker, CLEAN)

    def not_run(self) -> tuple[int, ...]:
        """Return the items that nobody began."""
        return self.dispatcher.not_run()


def run(*items: int) -> Run:
    """Return the command to run these."""
    return Run(tuple(ItemIndex(item) for item in items))


def started(item: int) -> Started:
    """Return the event that an item begins."""
    return Started(ItemIndex(item), ("test_a.py", 0, "test"))


def finished(item: int) -> Finished:
    """Return the event that an item is over."""
    return Finished(ItemIndex(item), 0.5)


def passed(item: int) -> Reported:
    """Return a report that nobody has to look at first."""
    return Reported(ItemIndex(item), b"", is_awaiting=False)


def failed(item: int) -> Reported:
    """Return a failed report with which the worker stands still."""
    return Reported(ItemIndex(item), b"", is_awaiting=True)


def spawn(worker: WorkerId) -> Spawn:
    """Return the wish for a first worker."""
    return Spawn(worker, is_replacement=False)


def respawn(worker: WorkerId) -> Spawn:
    """Return the wish for a replacement."""
    return Spawn(worker, is_replacement=True)


def crash(item: int, exit_: Exit = SEGFAULT, *, is_overdue: bool = False) -> ReportCrash:
    """Return the report that ``gw0`` died running an item."""
    return ReportCrash(GW0, ItemIndex(item), exit_, is_overdue)


def loss(
    last: int | None = None, exit_: Exit = SEGFAULT, *, is_failure: bool = False, is_overdue: bool = False
) -> ReportLoss:
    """Return the report that ``gw0`` died running nothing."""
    item = None if last is None else ItemIndex(last)
    return ReportLoss(GW0, item, exit_, is_failure=is_failure, is_overdue=is_overdue)
