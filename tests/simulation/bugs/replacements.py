"""Bugs with replacing workers, those that drain above all."""

from __future__ import annotations

from pytest_parpool.model.actions import Action, AwaitExit, Interrupt, Spawn
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.messages import Event, Left
from pytest_parpool.model.notices import NotBorn, Notice, Overdue
from pytest_parpool.policy.births import Births
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.worker_slot import WorkerSlot
from pytest_parpool.policy.workers import Workers
from tests.simulation.bugs.parts import dispatcher_with


class LosesTheRecycledShare(Workers):
    """A worker that has had its share of items is not replaced."""

    def drain(self, slot: WorkerSlot) -> list[Action]:
        """Do not note why it leaves."""
        actions = super().drain(slot)
        slot.is_recycled = False
        return actions


class ReplacesBeforeTheEnd(Dispatcher):
    """A worker that is recycled is replaced when it says that it leaves, not when it is gone."""

    def _hear(self, slot: WorkerSlot, event: Event) -> list[Action]:
        actions = super()._hear(slot, event)
        if isinstance(event, Left) and slot.is_recycled and not self.is_stopping:
            actions.append(Spawn(slot.id, is_replacement=True))
        return actions


class ReplacementIsBornOld(Workers):
    """What the last worker of a slot was given counts for the next one."""

    def lose(self, slot: WorkerSlot, exit_: Exit) -> list[Action]:
        """Keep the count."""
        given = slot.given
        actions = super().lose(slot, exit_)
        slot.given = given
        return actions


class ReplacementIsLate(Dispatcher):
    """A timeout that runs out behind its worker's end is held against the replacement."""

    def handle(self, notice: Notice) -> list[Action]:
        """See the class."""
        if isinstance(notice, Overdue):
            self._slots[notice.worker].is_overdue = True
        return super().handle(notice)


class WaitsForTheUnborn(Dispatcher):
    """A replacement that was not born because of a stop is waited for."""

    def handle(self, notice: Notice) -> list[Action]:
        """See the class."""
        return [] if isinstance(notice, NotBorn) else super().handle(notice)


class DeathInTheDrainIsAnEnd(Workers):
    """A worker that dies on its way out is not replaced, whatever is left for its slot."""

    def lose(self, slot: WorkerSlot, exit_: Exit) -> list[Action]:
        """Take it for one that left."""
        if slot.state is WorkerState.DRAINING and slot.running is None:
            slot.state = WorkerState.LEFT
            slot.is_recycled = False
        return super().lose(slot, exit_)


class CountsNoRestarts(Births):
    """Workers are replaced for ever."""

    def bear(self, slot: WorkerSlot) -> Spawn:
        """Forget the dead one first."""
        slot.has_died = False
        return super().bear(slot)


class InterruptsNobody(Workers):
    """An interrupt is a stop, and does not reach what hangs."""

    def interrupt(self) -> list[Action]:
        """Only stop."""
        return [action for action in super().interrupt() if not isinstance(action, (Interrupt, AwaitExit))]


BUGS: tuple[type[Dispatcher], ...] = (
    dispatcher_with(LosesTheRecycledShare),
    ReplacesBeforeTheEnd,
    dispatcher_with(ReplacementIsBornOld),
    ReplacementIsLate,
    WaitsForTheUnborn,
    dispatcher_with(DeathInTheDrainIsAnEnd),
    dispatcher_with(CountsNoRestarts),
    dispatcher_with(InterruptsNobody),
)
