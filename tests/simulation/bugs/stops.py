"""Bugs with a stop while items are under way."""

from __future__ import annotations

from pytest_parpool.model.actions import Action, AwaitExit, Send
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.messages import Drain, Event, Interrupted, Run
from pytest_parpool.model.notices import Notice
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.policy.lifecycle import STANDING, WorkerState
from pytest_parpool.policy.worker_slot import WorkerSlot
from pytest_parpool.policy.workers import Workers
from tests.simulation.bugs.parts import dispatcher_with


class TopsUpAfterStop(Workers):
    """A worker that begins an item it held is given more, though the run stops."""

    def refill(self, slot: WorkerSlot) -> list[Action]:
        """Take no notice of the stop."""
        actions = super().refill(slot)
        if self.is_stopping:
            hand = self._hands.top_up(slot)
            actions += [Send(slot.id, Run(hand))] if hand else []
        return actions


class ForgetsToDrainWhoStands(Workers):
    """Only workers that run something hear of a stop."""

    def stop(self) -> list[Action]:
        """See the class."""
        standing = [slot.id for slot in self._slots.values() if slot.state in STANDING]
        actions = super().stop()
        return [a for a in actions if not (isinstance(a, (Send, AwaitExit)) and a.worker in standing)]


class ForgetsToDrainWhoAwaits(Workers):
    """The worker whose failure stopped the run is left standing."""

    def stop(self) -> list[Action]:
        """See the class."""
        awaiting = [slot.id for slot in self._slots.values() if slot.state is WorkerState.AWAITING]
        actions = super().stop()
        return [a for a in actions if not (isinstance(a, (Send, AwaitExit)) and a.worker in awaiting)]


class ForgetsWhatRunsAtTheStop(Workers):
    """What runs at a stop is taken for done."""

    def lose(self, slot: WorkerSlot, exit_: Exit) -> list[Action]:
        """Do not report it."""
        if self.is_stopping and slot.state is WorkerState.DRAINING:
            slot.running = None
        return super().lose(slot, exit_)


class LeavesTheInterruptedUndrained(Dispatcher):
    """A worker that was interrupted leaves by itself, and is told nothing; a failing teardown waits for a word."""

    def _hear(self, slot: WorkerSlot, event: Event) -> list[Action]:
        actions = super()._hear(slot, event)
        if isinstance(event, Interrupted):
            return [action for action in actions if action != Send(slot.id, Drain())]
        return actions


class NeverSaysWhoIsLate(Dispatcher):
    """No shutdown timeout is asked for."""

    def handle(self, notice: Notice) -> list[Action]:
        """See the class."""
        return [action for action in super().handle(notice) if not isinstance(action, AwaitExit)]


class ReplacesDuringStop(Workers):
    """A worker that dies while the run stops is replaced."""

    def lose(self, slot: WorkerSlot, exit_: Exit) -> list[Action]:
        """Replace it."""
        actions = super().lose(slot, exit_)
        return [*actions, self._births.bear(slot)] if self.is_stopping and slot.has_died else actions


BUGS: tuple[type[Dispatcher], ...] = (
    dispatcher_with(TopsUpAfterStop),
    dispatcher_with(ForgetsToDrainWhoStands),
    dispatcher_with(ForgetsToDrainWhoAwaits),
    dispatcher_with(ForgetsWhatRunsAtTheStop),
    LeavesTheInterruptedUndrained,
    NeverSaysWhoIsLate,
    dispatcher_with(ReplacesDuringStop),
)
