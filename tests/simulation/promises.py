"""What must hold in every run, checked as it happens and at the end."""

from __future__ import annotations

import collections

from pytest_parpool.model.actions import Action, Kill, ReportCrash, ReportLoss, Send, Spawn
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import Broken, Event, ExitAsked, Finished, Interrupted, Run


class BrokenPromiseError(AssertionError):
    """Something that must never happen has happened."""


def promise(is_kept: bool, text: str) -> None:
    """Raise if a promise is not kept."""
    if not is_kept:
        raise BrokenPromiseError(text)


class Ledger:
    """What has happened in a run. Knows nothing of how the dispatcher works, only of what it promises.

    Args:
        items: How many there are.
        restarts: How many dead workers may be replaced.
    """

    def __init__(self, items: int, restarts: int) -> None:
        self._items = items
        self._restarts_left = restarts
        self._begun: list[ItemIndex] = []
        self._over: list[ItemIndex] = []
        self._stopped_by: WorkerId | None = None
        self._begun_behind_stop: list[WorkerId] = []
        self._killed: set[WorkerId] = set()
        self._dead_slots: set[WorkerId] = set()

    # --- What happens ------------------------------------------------------------------------------------------------

    def birth(self, worker: WorkerId) -> None:
        """Note that a process is born."""
        self._killed.discard(worker)

    def begin(self, worker: WorkerId, item: ItemIndex) -> None:
        """Note that a worker really begins an item, whether or not anybody knows it yet."""
        promise(item not in self._begun, f"{item} was begun a second time, by {worker}")
        self._begun.append(item)
        if self._stopped_by is not None:
            self._begun_behind_stop.append(worker)

    def failure(self, worker: WorkerId, *, is_stopping: bool) -> None:
        """Note that a failure has reached the controller; whether it stops the run others learn when it is shown."""
        if is_stopping and self._stopped_by is None:
            self._stopped_by = worker

    def event(self, event: Event, running: ItemIndex | None) -> None:
        """Note what a worker said, and what it was known to run when that arrived."""
        match event:
            case Finished(item):
                self._over.append(item)
            case Broken() | ExitAsked() | Interrupted():
                self._over += [running] if running is not None else []
            case _:
                pass

    def action(self, action: Action, *, is_stopping: bool, is_alive: bool) -> None:
        """Note what the dispatcher asks for, and whether the run stops and the worker's process is alive."""
        match action:
            case Send(worker, Run(items)):
                promise(not is_stopping, f"{worker} was given {items} though the run stops")
            case Spawn(worker):
                promise(not is_stopping, f"{worker} is to be born though the run stops")
                promise(not is_alive, f"{worker} was replaced while it was alive")
                self._count_restart(worker)
            case Kill(worker):
                self._killed.add(worker)
            case ReportCrash(item=item):
                self._over.append(item)
                self._death(action)
            case ReportLoss():
                self._death(action)
            case _:
                pass

    def _death(self, action: ReportCrash | ReportLoss) -> None:
        if action.is_overdue:
            promise(action.worker in self._killed, f"{action.worker} is said to be late, but nobody killed it")
        else:
            self._dead_slots.add(action.worker)

    def _count_restart(self, worker: WorkerId) -> None:
        if worker in self._dead_slots:
            self._dead_slots.discard(worker)
            self._restarts_left -= 1
            promise(self._restarts_left >= 0, f"the restart of {worker} is more than is allowed")

    # --- The end -----------------------------------------------------------------------------------------------------

    def check_end(self, not_run: tuple[ItemIndex, ...], *, has_reason: bool) -> None:
        """Check that everything is accounted for.

        Args:
            not_run: What the dispatcher says that nobody began.
            has_reason: Whether something happened that explains why there is any.
        """
        counts = collections.Counter([*self._over, *not_run])
        wrong = {item: counts[ItemIndex(item)] for item in range(self._items) if counts[ItemIndex(item)] != 1}
        promise(not wrong, f"these are not over or left exactly once: {wrong}")
        promise(not set(self._begun) & set(not_run), f"some of {not_run} were begun: {self._begun}")
        promise(has_reason or not not_run, f"{not_run} were not run, for no reason")
        behind = self._begun_behind_stop
        is_one_each = len(set(behind)) == len(behind) and self._stopped_by not in behind
        promise(is_one_each, f"{behind} began items behind the failure that stopped the run")
