"""The workers as a whole: who is answered what, who is replaced when one dies, and how all of them stop.

A worker that stands still is answered with items, with ``Wait`` (others may yet give something back to the scheduler),
or with ``Drain``; while a failure may still stop the run, not at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_parpool.model.actions import Action, AwaitExit, Interrupt, ReportCrash, ReportLoss, Send
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Drain, Run, Wait
from pytest_parpool.policy.births import Births
from pytest_parpool.policy.hands import Hands
from pytest_parpool.policy.lifecycle import STANDING, WorkerState
from pytest_parpool.policy.pending_failures import PendingFailures
from pytest_parpool.policy.slot import DispatchError
from pytest_parpool.policy.worker_slot import WorkerSlot


class Workers:
    """Decides what becomes of the workers. Each method returns what is to be done, in that order.

    Args:
        slots: Those of the run.
        hands: Give items.
        failures: Tell who must wait.
        births: Tell who is missed.
    """

    def __init__(
        self, slots: Mapping[WorkerId, WorkerSlot], hands: Hands, failures: PendingFailures, births: Births
    ) -> None:
        self._slots = slots
        self._hands = hands
        self._failures = failures
        self._births = births
        self.is_stopping = False

    @property
    def is_over(self) -> bool:
        """Whether no process is alive and none will be born."""
        if any(slot.is_alive for slot in self._slots.values()):
            return False
        return self.is_stopping or not self._births.is_any_due()

    # --- Work and births ---------------------------------------------------------------------------------------------

    def reconsider(self) -> list[Action]:
        """Answer whoever stands still, and have workers born for slots that have work and nobody to do it."""
        may_spawn = not (self.is_stopping or self._births.is_template_gone or self._failures.is_any)
        if may_spawn:
            excess = self._births.report_excess()
            if excess is not None:
                return [excess, *self.stop()]
        actions: list[Action] = []
        for slot in self._slots.values():
            if slot.state in STANDING:
                actions += self.answer(slot)
            elif may_spawn and self._births.is_missed(slot):
                actions.append(self._births.bear(slot))
        return actions

    def answer(self, slot: WorkerSlot) -> list[Action]:
        """Say something to a worker that stands still; nothing if it does not, or if that must wait."""
        if slot.state not in STANDING:
            return []
        if self.is_stopping or self._hands.is_worn_out(slot):
            return self.drain(slot)
        if self._failures.is_held_back(slot.id):
            return []
        items = self._hands.fill(slot)
        if items:
            slot.move(WorkerState.BUSY)
            return [Send(slot.id, Run(items))]
        if not self._hands.has_work_for(slot) and not self._hands.is_anything_held():
            return self.drain(slot)
        if slot.state is WorkerState.WAITING:
            return []
        slot.move(WorkerState.WAITING)
        return [Send(slot.id, Wait())]

    def refill(self, slot: WorkerSlot) -> list[Action]:
        """Give more to a worker that has begun an item, if it may run dry."""
        if slot.state is not WorkerState.BUSY or self.is_stopping:
            return []
        hand = self._hands.top_up(slot)
        if hand:
            return [Send(slot.id, Run(hand))]
        # Whoever waits for what this worker may give back, waits no longer.
        return [] if slot.held else self.reconsider()

    def lose_template(self) -> list[Action]:
        """Note that nobody can be born any more."""
        self._births.is_template_gone = True
        self._hands.wear_nobody_out()
        # What was asked for and not born can only be given up; its items go to whoever is alive.
        return self.reconsider()

    # --- The end of a worker -----------------------------------------------------------------------------------------

    def drain(self, slot: WorkerSlot) -> list[Action]:
        """Send a worker that stands still on its way out."""
        slot.is_recycled = self._hands.is_worn_out(slot)
        slot.move(WorkerState.DRAINING)
        return [Send(slot.id, Drain()), AwaitExit(slot.id, is_interrupted=False)]

    def lose(self, slot: WorkerSlot, exit_: Exit) -> list[Action]:
        """Note that a worker's process has ended, report that if it died, and see to what it leaves behind.

        Raises:
            DispatchError: If the slot had none.
        """
        if not slot.is_alive:
            raise DispatchError(f"{slot.id} ended, but had no process")
        # One that was to be killed for being late may have ended by itself in that moment.
        is_overdue = slot.is_overdue and exit_.may_be_kill
        has_died = slot.state is not WorkerState.LEFT or is_overdue
        is_replaced = has_died or slot.is_recycled
        self._failures.worker_gone(slot.id)
        actions = [self._report_death(slot, exit_, is_overdue=is_overdue)] if has_died else []
        slot.forget_process()
        slot.has_died = has_died and not is_overdue
        if not self.is_stopping:
            self._hands.requeue(slot)
        slot.move(WorkerState.VACANT if is_replaced else WorkerState.RETIRED)
        return actions + self.reconsider()

    def _report_death(self, slot: WorkerSlot, exit_: Exit, *, is_overdue: bool) -> Action:
        if slot.running is not None:
            self._failures.crash()
            return ReportCrash(slot.id, slot.running, exit_, is_overdue)
        is_failure = slot.state is WorkerState.DRAINING
        return ReportLoss(slot.id, slot.last_item, exit_, is_failure=is_failure, is_overdue=is_overdue)

    # --- The end of the run ------------------------------------------------------------------------------------------

    def stop(self) -> list[Action]:
        """Have nothing more begun, and everybody leave. Once is enough: the second time nothing is to be done."""
        if self.is_stopping:
            return []
        self.is_stopping = True
        self._failures.forget()
        actions: list[Action] = []
        for slot in self._slots.values():
            if slot.state in STANDING or slot.state is WorkerState.AWAITING:
                actions += self.drain(slot)
            elif slot.state in (WorkerState.BUSY, WorkerState.STARTING):
                # No timeout yet: what it runs may take as long as it takes.
                slot.move(WorkerState.DRAINING)
                actions.append(Send(slot.id, Drain()))
        return actions

    def interrupt(self) -> list[Action]:
        """Stop, and break off what runs."""
        actions = self.stop()
        for slot in self._slots.values():
            if slot.is_alive:
                if slot.state is not WorkerState.LEFT:
                    actions.append(Interrupt(slot.id))
                actions.append(AwaitExit(slot.id, is_interrupted=True))
        return actions
