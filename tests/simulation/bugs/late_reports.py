"""Bugs with reports that are still being looked at."""

from __future__ import annotations

from pytest_parpool.model.actions import Action, Send
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Asked, Event, Finished, Proceed, Reported
from pytest_parpool.policy.dispatcher import Dispatcher, _Slot
from pytest_parpool.policy.lifecycle import WorkerState


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


BUGS: tuple[type[Dispatcher], ...] = (
    AnswersAskedTwice,
    GoesOnAtFinished,
    HoldsNobodyBack,
    HoldsTheSuspectBack,
    NeverClearsTrouble,
    TroubleOutlivesTheWorker,
    ForgetsProceed,
    ForgetsWhoWaited,
    ReplacesBeforeTheCrashIsJudged,
)
