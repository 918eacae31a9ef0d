"""Dispatchers and schedulers with one bug each, of the kinds that are easily made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pytest_parpool.model.actions import Action, AwaitExit, Interrupt, Send, Spawn
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import Asked, Drain, Event, Finished, Interrupted, Left, Proceed, Reported, Run
from pytest_parpool.model.notices import NotBorn, Notice, Overdue
from pytest_parpool.policy.dispatcher import Dispatcher, _Slot
from pytest_parpool.policy.lifecycle import STANDING, WorkerState

# --- Items sent but not started ---------------------------------------------------------------------------------------


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


# --- Late reports -----------------------------------------------------------------------------------------------------


class AnswersAskedTwice(Dispatcher):
    """A question whose answer is under way is taken for a new one."""

    def _hear(self, slot: _Slot, event: Event) -> list[Action]:
        if isinstance(event, Asked) and slot.state is WorkerState.BUSY:
            slot.state = WorkerState.ASKING
        return super()._hear(slot, event)


class GoesOnAtFinished(Dispatcher):
    """An item that is over counts as judged, though its report was only received."""

    def _hear(self, slot: _Slot, event: Event) -> list[Action]:
        if isinstance(event, Finished):
            self._unjudged = 0
        return super()._hear(slot, event)


class HoldsNobodyBack(Dispatcher):
    """Work is handed out while a failure is being looked at."""

    def _is_held_back(self, slot: _Slot) -> bool:
        return False


class HoldsTheSuspectBack(Dispatcher):
    """A worker whose failure is suspected is not answered, though its report may come only after the answer."""

    def _is_held_back(self, slot: _Slot) -> bool:
        return self._unjudged > 0 or bool(self._troubled)


class NeverClearsTrouble(Dispatcher):
    """A suspicion outlives its item."""

    def _clear_trouble(self, slot: _Slot) -> list[Action]:
        return []


class TroubleOutlivesTheWorker(Dispatcher):
    """A suspicion outlives its worker."""

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        self._troubled = _StickySet(self._troubled)
        actions = super()._lose(slot, exit_)
        self._troubled = set(self._troubled)
        return actions


class _StickySet(set[WorkerId]):
    def discard(self, element: object) -> None:
        """Keep it."""


class ForgetsProceed(Dispatcher):
    """A worker whose failed report was judged is not told."""

    def _go_on(self, slot: _Slot) -> list[Action]:
        return [action for action in super()._go_on(slot) if action != Send(slot.id, Proceed())]


class ForgetsWhoWaited(Dispatcher):
    """A worker whose last teardown failed while it was told to wait is not told to go on."""

    def _look_at_report(self, slot: _Slot, event: Reported) -> list[Action]:
        state = slot.state
        actions = super()._look_at_report(slot, event)
        if state is WorkerState.WAITING:
            slot.state = state
        return actions


class ReplacesBeforeTheCrashIsJudged(Dispatcher):
    """A replacement begins items while the crash may still stop the run."""

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        unjudged = self._unjudged
        actions = super()._lose(slot, exit_)
        if not self._is_stopping and self._unjudged > unjudged:
            self._unjudged = unjudged
            actions += self._reconsider()
        return actions


# --- Stop while an item is under way ----------------------------------------------------------------------------------


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


# --- Replacement during drain -----------------------------------------------------------------------------------------


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


# --- Schedulers -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class WrappedScheduler:
    """Does as the real one; subclasses do not."""

    real: Any

    def peek(self, worker: WorkerId) -> ItemIndex | None:
        """See `Scheduler.peek`."""
        item: ItemIndex | None = self.real.peek(worker)
        return item

    def take(self, worker: WorkerId) -> ItemIndex:
        """See `Scheduler.take`."""
        item: ItemIndex = self.real.take(worker)
        return item

    def requeue(self, items: tuple[ItemIndex, ...], worker: WorkerId) -> None:
        """See `Scheduler.requeue`."""
        self.real.requeue(items, worker)

    def is_exhausted(self, worker: WorkerId) -> bool:
        """See `Scheduler.is_exhausted`."""
        return bool(self.real.is_exhausted(worker))

    def remaining(self) -> tuple[ItemIndex, ...]:
        """See `Scheduler.remaining`."""
        items: tuple[ItemIndex, ...] = self.real.remaining()
        return items


class RequeuesNothing(WrappedScheduler):
    """What comes back is lost."""

    def requeue(self, items: tuple[ItemIndex, ...], worker: WorkerId) -> None:
        """Forget them."""


class ExhaustedTooEarly(WrappedScheduler):
    """One item is left when it says that nothing is."""

    def is_exhausted(self, worker: WorkerId) -> bool:
        """Count wrongly."""
        return super().is_exhausted(worker) or len(self.remaining()) == 1

    def peek(self, worker: WorkerId) -> ItemIndex | None:
        """Offer nothing when it says so."""
        return None if self.is_exhausted(worker) else super().peek(worker)


class NeverExhausted(WrappedScheduler):
    """Workers wait for more when there is no more."""

    def is_exhausted(self, worker: WorkerId) -> bool:
        """Hope."""
        return False


DISPATCHERS: Mapping[str, tuple[type[Dispatcher], ...]] = {
    "items sent but not started": (
        ForgetsHeldItems,
        BlamesHeldItem,
        BlamesWhatWasNotBegun,
        RequeuesTheRunningItem,
        ForgetsWhatWasHeldAtTheStop,
    ),
    "late reports": (
        AnswersAskedTwice,
        GoesOnAtFinished,
        HoldsNobodyBack,
        HoldsTheSuspectBack,
        NeverClearsTrouble,
        TroubleOutlivesTheWorker,
        ForgetsProceed,
        ForgetsWhoWaited,
        ReplacesBeforeTheCrashIsJudged,
    ),
    "stop while an item is under way": (
        TopsUpAfterStop,
        ForgetsToDrainWhoStands,
        ForgetsToDrainWhoAwaits,
        ForgetsWhatRunsAtTheStop,
        LeavesTheInterruptedUndrained,
        NeverSaysWhoIsLate,
        ReplacesDuringStop,
    ),
    "replacement during drain": (
        LosesTheRecycledShare,
        ReplacesBeforeTheEnd,
        ReplacementIsBornOld,
        ReplacementIsLate,
        WaitsForTheUnborn,
        DeathInTheDrainIsAnEnd,
        CountsNoRestarts,
        InterruptsNobody,
    ),
}

SCHEDULERS: tuple[type[WrappedScheduler], ...] = (RequeuesNothing, ExhaustedTooEarly, NeverExhausted)
