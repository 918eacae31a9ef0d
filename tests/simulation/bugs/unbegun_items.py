"""Bugs with items that were sent and not begun."""

from __future__ import annotations

from pytest_parpool.model.actions import Action
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.policy.hands import Hands
from pytest_parpool.policy.worker_slot import WorkerSlot
from pytest_parpool.policy.workers import Workers
from tests.simulation.bugs.parts import dispatcher_with


class ForgetsHeldItems(Hands):
    """What a dead worker held is nobody's."""

    def requeue(self, slot: WorkerSlot) -> None:
        """Forget it."""
        slot.held.clear()


class BlamesHeldItem(Workers):
    """The item that was sent last is taken for the one that ran."""

    def lose(self, slot: WorkerSlot, exit_: Exit) -> list[Action]:
        """Exchange the two first."""
        if slot.held and slot.running is not None:
            running, slot.running = slot.running, slot.held.pop()
            slot.held.appendleft(running)
        return super().lose(slot, exit_)


class BlamesWhatWasNotBegun(Workers):
    """An idle worker's death is put down to the item it was about to begin."""

    def lose(self, slot: WorkerSlot, exit_: Exit) -> list[Action]:
        """Suppose that it began."""
        if slot.held and slot.running is None:
            slot.running = slot.held[0]
        return super().lose(slot, exit_)


class RequeuesTheRunningItem(Workers):
    """What killed a worker is given to the next one."""

    def lose(self, slot: WorkerSlot, exit_: Exit) -> list[Action]:
        """Take it for one that was held."""
        if slot.running is not None:
            slot.held.appendleft(slot.running)
        return super().lose(slot, exit_)


class ForgetsWhatWasHeldAtTheStop(Hands):
    """Items that were sent and are not begun because of a stop are not among those that were not run."""

    def not_begun(self) -> tuple[ItemIndex, ...]:
        """Forget them."""
        return self._scheduler.remaining()


BUGS: tuple[type[Dispatcher], ...] = tuple(
    map(
        dispatcher_with,
        (
            ForgetsHeldItems,
            BlamesHeldItem,
            BlamesWhatWasNotBegun,
            RequeuesTheRunningItem,
            ForgetsWhatWasHeldAtTheStop,
        ),
    )
)
