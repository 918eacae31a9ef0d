"""Bugs with items that were sent and not begun."""

from __future__ import annotations

from pytest_parpool.model.actions import Action
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.policy.dispatcher import Dispatcher, _Slot
from pytest_parpool.policy.lifecycle import WorkerState


class ForgetsHeldItems(Dispatcher):
    """What a dead worker held is nobody's."""

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        slot.held.clear()
        return super()._lose(slot, exit_)


class BlamesHeldItem(Dispatcher):
    """The item that was sent last is taken for the one that ran."""

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        if slot.held and slot.running is not None:
            running, slot.running = slot.running, slot.held.pop()
            slot.held.appendleft(running)
        return super()._lose(slot, exit_)


class BlamesWhatWasNotBegun(Dispatcher):
    """An idle worker's death is put down to the item it was about to begin."""

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        if slot.held and slot.running is None:
            slot.running = slot.held[0]
        return super()._lose(slot, exit_)


class RequeuesTheRunningItem(Dispatcher):
    """What killed a worker is given to the next one."""

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        if slot.running is not None:
            slot.held.appendleft(slot.running)
        return super()._lose(slot, exit_)


class ForgetsWhatWasHeldAtTheStop(Dispatcher):
    """Items that were sent and are not begun because of a stop are not among those that were not run."""

    def _stop(self) -> list[Action]:
        actions = super()._stop()
        for slot in self._slots.values():
            if slot.state is not WorkerState.DRAINING:
                slot.held.clear()
        return actions

    def not_run(self) -> tuple[ItemIndex, ...]:
        """Forget them here too."""
        return self._scheduler.remaining()


BUGS: tuple[type[Dispatcher], ...] = (
    ForgetsHeldItems,
    BlamesHeldItem,
    BlamesWhatWasNotBegun,
    RequeuesTheRunningItem,
    ForgetsWhatWasHeldAtTheStop,
)
