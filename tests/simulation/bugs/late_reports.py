"""Bugs with reports that are still being looked at."""

from __future__ import annotations

from pytest_parpool.model.actions import Action, Send
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Asked, Event, Finished, Proceed
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.pending_failures import PendingFailures
from pytest_parpool.policy.worker_slot import WorkerSlot
from tests.simulation.bugs.parts import dispatcher_with


class AnswersAskedTwice(Dispatcher):
    """A question whose answer is under way is taken for a new one."""

    def _hear(self, slot: WorkerSlot, event: Event) -> list[Action]:
        if isinstance(event, Asked) and slot.state is WorkerState.BUSY:
            slot.state = WorkerState.ASKING
        return super()._hear(slot, event)


class GoesOnAtFinished(Dispatcher):
    """An item that is over counts as judged, though its report was only received."""

    def _hear(self, slot: WorkerSlot, event: Event) -> list[Action]:
        if isinstance(event, Finished):
            self._failures.unjudged = 0
        return super()._hear(slot, event)


class HoldsNobodyBack(PendingFailures):
    """Work is handed out while a failure is being looked at."""

    def is_held_back(self, worker: WorkerId) -> bool:
        """Say that it is not."""
        return False


class HoldsTheSuspectBack(PendingFailures):
    """A worker whose failure is suspected is not answered, though its report may come only after the answer."""

    def is_held_back(self, worker: WorkerId) -> bool:
        """Make no exception."""
        return self.is_any


class NeverClearsTrouble(PendingFailures):
    """A suspicion outlives its item."""

    def clear(self, worker: WorkerId) -> bool:
        """Keep it."""
        return False


class TroubleOutlivesTheWorker(PendingFailures):
    """A suspicion outlives its worker."""

    def worker_gone(self, worker: WorkerId) -> None:
        """Keep it."""


class ForgetsProceed(Dispatcher):
    """A worker whose failed report was judged is not told."""

    def _go_on(self, slot: WorkerSlot) -> list[Action]:
        return [action for action in super()._go_on(slot) if action != Send(slot.id, Proceed())]


class ForgetsWhoWaited(Dispatcher):
    """A worker whose last teardown failed while it was told to wait is not told to go on."""

    def _await_judgement(self, slot: WorkerSlot) -> list[Action]:
        state = slot.state
        actions = super()._await_judgement(slot)
        if state is WorkerState.WAITING:
            slot.state = state
        return actions


class ReplacesBeforeTheCrashIsJudged(PendingFailures):
    """A replacement begins items while the crash may still stop the run."""

    def crash(self) -> None:
        """Do not count it."""


BUGS: tuple[type[Dispatcher], ...] = (
    AnswersAskedTwice,
    GoesOnAtFinished,
    dispatcher_with(HoldsNobodyBack),
    dispatcher_with(HoldsTheSuspectBack),
    dispatcher_with(NeverClearsTrouble),
    dispatcher_with(TroubleOutlivesTheWorker),
    ForgetsProceed,
    ForgetsWhoWaited,
    dispatcher_with(ReplacesBeforeTheCrashIsJudged),
)
