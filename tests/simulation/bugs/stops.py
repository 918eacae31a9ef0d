"""Bugs with a stop while items are under way."""

from __future__ import annotations

from pytest_parpool.model.actions import Action, AwaitExit, Send
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import Drain, Event, Finished, Interrupted, Run
from pytest_parpool.model.notices import Notice
from pytest_parpool.policy.dispatcher import Dispatcher, _Slot
from pytest_parpool.policy.lifecycle import STANDING, WorkerState


class TopsUpAfterStop(Dispatcher):
    """A worker that begins an item it held is given more, though the run stops."""

    def _begin(self, slot: _Slot, item: ItemIndex) -> list[Action]:
        actions = super()._begin(slot, item)
        if self._is_stopping:
            hand = self._top_up(slot)
            actions += [Send(slot.id, Run(hand))] if hand else []
        return actions


class ForgetsToDrainWhoStands(Dispatcher):
    """Only workers that run something hear of a stop."""

    def _stop(self) -> list[Action]:
        standing = [slot.id for slot in self._slots.values() if slot.state in STANDING]
        actions = super()._stop()
        return [a for a in actions if not (isinstance(a, (Send, AwaitExit)) and a.worker in standing)]


class ForgetsToDrainWhoAwaits(Dispatcher):
    """The worker whose failure stopped the run is left standing."""

    def _stop(self) -> list[Action]:
        awaiting = [slot.id for slot in self._slots.values() if slot.state is WorkerState.AWAITING]
        actions = super()._stop()
        return [a for a in actions if not (isinstance(a, (Send, AwaitExit)) and a.worker in awaiting)]


class ForgetsWhatRunsAtTheStop(Dispatcher):
    """What runs at a stop is taken for done."""

    def _stop(self) -> list[Action]:
        actions = super()._stop()
        for slot in self._slots.values():
            slot.running = None if slot.state is WorkerState.DRAINING else slot.running
        return actions

    def _hear(self, slot: _Slot, event: Event) -> list[Action]:
        if isinstance(event, Finished) and slot.running is None:
            slot.running = event.item
        return super()._hear(slot, event)


class LeavesTheInterruptedUndrained(Dispatcher):
    """A worker that was interrupted leaves by itself, and is told nothing; a failing teardown waits for a word."""

    def _hear(self, slot: _Slot, event: Event) -> list[Action]:
        actions = super()._hear(slot, event)
        if isinstance(event, Interrupted):
            return [action for action in actions if action != Send(slot.id, Drain())]
        return actions


class NeverSaysWhoIsLate(Dispatcher):
    """No shutdown timeout is asked for."""

    def handle(self, notice: Notice) -> list[Action]:
        """See the class."""
        return [action for action in super().handle(notice) if not isinstance(action, AwaitExit)]


class ReplacesDuringStop(Dispatcher):
    """A worker that dies while the run stops is replaced."""

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        actions = super()._lose(slot, exit_)
        return [*actions, self._bear(slot)] if self._is_stopping and slot.has_died else actions


BUGS: tuple[type[Dispatcher], ...] = (
    TopsUpAfterStop,
    ForgetsToDrainWhoStands,
    ForgetsToDrainWhoAwaits,
    ForgetsWhatRunsAtTheStop,
    LeavesTheInterruptedUndrained,
    NeverSaysWhoIsLate,
    ReplacesDuringStop,
)
