"""The births: for which slots a worker is to be born, and how many of the dead may be replaced.

A dead worker is replaced when its slot is given work again, not before; only that counts as a restart.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_parpool.model.actions import ReportLimit, Spawn
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.policy.hands import Hands
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.worker_slot import WorkerSlot


class Births:
    """Keeps count of the workers that are born in the place of others that died.

    Args:
        slots: Those of the run.
        hands: Know for which slot there is work.
        restarts: How many dead workers may be replaced.
    """

    def __init__(self, slots: Mapping[WorkerId, WorkerSlot], hands: Hands, *, restarts: int) -> None:
        self._slots = slots
        self._hands = hands
        self._limit = restarts
        self._restarts = 0
        self.is_template_gone = False

    def is_missed(self, slot: WorkerSlot) -> bool:
        """Whether a slot has work and nobody to do it."""
        return slot.state is WorkerState.VACANT and self._hands.has_work_for(slot)

    def is_any_due(self) -> bool:
        """Whether somebody is missed, and can be born."""
        return not self.is_template_gone and any(map(self.is_missed, self._slots.values()))

    def report_excess(self) -> ReportLimit | None:
        """Return the report that more have died than may be replaced; None as long as that is not so."""
        lost = [slot.id for slot in self._slots.values() if slot.has_died and self.is_missed(slot)]
        return ReportLimit(lost[-1], self._limit) if self._restarts + len(lost) > self._limit else None

    def bear(self, slot: WorkerSlot) -> Spawn:
        """Have a worker born into a vacant slot."""
        self._restarts += slot.has_died
        slot.has_died = False
        slot.move(WorkerState.STARTING)
        slot.births += 1
        return Spawn(slot.id, is_replacement=slot.births > 1)
