"""``each``: every worker runs every collected item."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.schedulers.slots import SlotScheduler


class EachScheduler(SlotScheduler):
    """Gives each slot its own copy of the items, which nobody else may have."""

    def __init__(self, plan: Plan, workers: Sequence[WorkerId]) -> None:
        """Take ``collected.repeated(len(workers))``: the first copy is for the first worker, and so on."""
        super().__init__(len(plan), workers)
        assert len(plan) % len(workers) == 0, "under --dist each the plan holds one copy of all items per worker"
        items = [ItemIndex(index) for index in plan.indices()]
        length = len(plan) // len(workers)
        self._copies = {worker: items[number * length : (number + 1) * length] for number, worker in enumerate(workers)}

    def _peek_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        return self._copies.get(worker, ())

    def _begin_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        return self._copies.pop(worker)


def make_each(plan: Plan, workers: Sequence[WorkerId], *, reorder: bool) -> EachScheduler:  # noqa: ARG001 - all factories take the same
    """Return the scheduler of ``--dist each``; a copy runs in plan order, so there is nothing to reorder."""
    return EachScheduler(plan, workers)
