"""Bugs with replacing workers, those that drain above all."""

from __future__ import annotations

from pytest_parpool.model.actions import Action, AwaitExit, Interrupt, Spawn
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.messages import Event, Left
from pytest_parpool.model.notices import NotBorn, Notice, Overdue
from pytest_parpool.policy.dispatcher import Dispatcher, _Slot
from pytest_parpool.policy.lifecycle import WorkerState


class LosesTheRecycledShare(Dispatcher):
    """A worker that has had its share of items is not replaced."""

    def _drain(self, slot: _Slot) -> list[Action]:
        actions = super()._drain(slot)
        slot.is_recycled = False
        return actions


class ReplacesBeforeTheEnd(Dispatcher):
    """A worker that is recycled is replaced when it says that it leaves, not when it is gone."""

    def _hear(self, slot: _Slot, event: Event) -> list[Action]:
        actions = super()._hear(slot, event)
        if isinstance(event, Left) and slot.is_recycled and not self._is_stopping:
            actions.append(Spawn(slot.id, is_replacement=True))
        return actions


class ReplacementIsBornOld(Dispatcher):
    """What the last worker of a slot was given counts for the next one."""

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        given = slot.given
        slot.given = 0
        actions = super()._lose(slot, exit_)
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


class DeathInTheDrainIsAnEnd(Dispatcher):
    """A worker that dies on its way out is not replaced, whatever is left for its slot."""

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        if slot.state is WorkerState.DRAINING and slot.running is None:
            slot.state = WorkerState.LEFT
            slot.is_recycled = False
        return super()._lose(slot, exit_)


class CountsNoRestarts(Dispatcher):
    """Workers are replaced for ever."""

    def _bear(self, slot: _Slot) -> Spawn:
        slot.has_died = False
        return super()._bear(slot)


class InterruptsNobody(Dispatcher):
    """An interrupt is a stop, and does not reach what hangs."""

    def _interrupt(self) -> list[Action]:
        return [action for action in super()._interrupt() if not isinstance(action, (Interrupt, AwaitExit))]


BUGS: tuple[type[Dispatcher], ...] = (
    LosesTheRecycledShare,
    ReplacesBeforeTheEnd,
    ReplacementIsBornOld,
    ReplacementIsLate,
    WaitsForTheUnborn,
    DeathInTheDrainIsAnEnd,
    CountsNoRestarts,
    InterruptsNobody,
)
