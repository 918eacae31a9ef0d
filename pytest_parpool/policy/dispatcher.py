"""The dispatcher: notices in, actions out.

It knows which worker runs what and who may be given more; which item comes next is the scheduler's choice. Theory of
operation:

* An item is queued (the scheduler has it), held (sent to a worker and not begun), running, or over. After a death
  what was held goes back to the scheduler; what was running is what died.
* Work is handed out by need, but never waited for: `hands`.
* When a guess was wrong, and an item runs for long, what its worker holds behind it is taken back (``Stalled``). So a
  worker that finds nothing left waits as long as others hold something.
* While a failure may still stop the run (``-x``) nobody is given anything: `pending_failures`.
* A worker that stands still is answered, a dead one is replaced, and all of them are stopped, by what `workers` and
  `births` say.

What is here is the way in: what a notice says about a slot is noted there (`worker_slot`), and what follows is asked of
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_parpool.model.actions import Action, AwaitExit, Kill, Send, TakeBack
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import (
    Asked,
    BaseTempAsked,
    Broken,
    Collected,
    Draining,
    Event,
    ExitAsked,
    Finished,
    Interrupted,
    Left,
    Proceed,
    Ready,
    Reported,
    Started,
    StopAsked,
    Troubled,
    WarningSeen,
)
from pytest_parpool.model.notices import (
    Gone,
    Heard,
    InterruptRequested,
    Judged,
    NotBorn,
    Notice,
    Overdue,
    Stalled,
    StopRequested,
    TakenBack,
    TemplateGone,
)
from pytest_parpool.policy.births import Births
from pytest_parpool.policy.hands import Hands
from pytest_parpool.policy.lifecycle import LEAVING, WorkerState
from pytest_parpool.policy.limits import Limits
from pytest_parpool.policy.pending_failures import PendingFailures
from pytest_parpool.policy.slot import DispatchError
from pytest_parpool.policy.worker_slot import WorkerSlot
from pytest_parpool.policy.workers import Workers

if TYPE_CHECKING:
    from pytest_parpool.policy.schedulers.protocol import Scheduler


class Dispatcher:
    """Turns what happens into what is to be done. Pure; see the module's docstring.

    Args:
        scheduler: Chooses items.
        workers: The slots, in order.
        expected: Seconds an item is expected to take, or None if unknown.
        observe: Told the seconds an item took.
        limits: The rules.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        workers: Sequence[WorkerId],
        *,
        expected: Callable[[ItemIndex], float | None],
        observe: Callable[[ItemIndex, float], None],
        limits: Limits,
    ) -> None:
        self._slots: Mapping[WorkerId, WorkerSlot] = {worker: WorkerSlot(worker) for worker in workers}
        self._observe = observe
        self._failures = PendingFailures(is_stop_watched=limits.is_stop_watched)
        self._hands = Hands(scheduler, self._slots, expected=expected, limits=limits)
        self._births = Births(self._slots, self._hands, restarts=limits.restarts)
        self._workers = Workers(self._slots, self._hands, self._failures, self._births)

    # --- What others may ask -----------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether no process is alive and none will be born."""
        return self._workers.is_over

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is started."""
        return self._workers.is_stopping

    @property
    def is_template_gone(self) -> bool:
        """Whether replacements cannot be born any more."""
        return self._births.is_template_gone

    def quiet_seconds(self) -> float:
        """Return for how long probably no worker will ask for anything, as each has enough in hand; 0 if one may."""
        return self._hands.quiet_seconds()

    def holds_more(self, worker: WorkerId) -> bool:
        """Whether a worker runs an item and holds others behind it."""
        slot = self._slots[worker]
        return slot.running is not None and bool(slot.held)

    def not_run(self) -> tuple[ItemIndex, ...]:
        """Return the items nobody began, in plan order. Complete once the run ``is_over``."""
        return self._hands.not_begun()

    def state(self, worker: WorkerId) -> WorkerState:
        """Return what a slot's process is doing."""
        return self._slots[worker].state

    def running(self, worker: WorkerId) -> ItemIndex | None:
        """Return the item a worker announced and has not finished."""
        return self._slots[worker].running

    # --- The way in --------------------------------------------------------------------------------------------------

    def start(self) -> list[Action]:
        """Ask for the first workers."""
        return self._workers.reconsider()

    def handle(self, notice: Notice) -> list[Action]:
        """Take note of what happened and return what is to be done, in that order.

        Raises:
            DispatchError: If the notice contradicts what is known.
        """
        match notice:
            case Heard(worker, event):
                return self._hear(self._slots[worker], event)
            case Gone(worker, exit_):
                return self._workers.lose(self._slots[worker], exit_)
            case NotBorn(worker):
                self._slots[worker].move(WorkerState.VACANT)
                return self._workers.reconsider()
            case Judged(worker):
                return self._go_on(self._slots[worker])
            case Stalled(worker):
                return self._relieve(self._slots[worker])
            case TakenBack(worker, kept):
                self._hands.take_back(self._slots[worker], kept)
                return self._workers.reconsider()
            case StopRequested():
                return self._workers.stop()
            case InterruptRequested():
                return self._workers.interrupt()
            case Overdue(worker):
                slot = self._slots[worker]
                if slot.state not in LEAVING:
                    return []  # The one that was overdue is gone; the timeout ran out before its end was told.
                slot.is_overdue = True
                return [Kill(worker)]
            case TemplateGone():  # pragma: no branch - the last one there is
                return self._workers.lose_template()

    def _hear(self, slot: WorkerSlot, event: Event) -> list[Action]:
        match event:
            case Started(item, _):
                slot.begin(item)
                return self._workers.refill(slot)
            case Reported(_, _, is_awaiting):
                if is_awaiting:
                    return self._await_judgement(slot)
                return self._workers.reconsider() if self._failures.clear(slot.id) else []
            case Finished(item, seconds):
                slot.finish(item)
                self._observe(item, seconds)
                return self._workers.reconsider() if self._failures.clear(slot.id) else []
            case Ready():
                if slot.state is WorkerState.STARTING:
                    slot.move(WorkerState.ASKING)
                return self._workers.answer(slot)
            case Asked():
                if slot.state is WorkerState.AWAITING:
                    raise DispatchError(f"{slot.id} asked for work, but stands still with a failed report")
                if slot.state is WorkerState.BUSY and not slot.held:
                    slot.move(WorkerState.ASKING)
                # Else the answer is already under way: items or a drain were sent while the question travelled.
                return self._workers.answer(slot)
            case Troubled():
                self._failures.suspect(slot.id)
                return []
            case Left():
                slot.move(WorkerState.LEFT)
                return []
            case Draining():
                if slot.state is not WorkerState.DRAINING:
                    # It left its loop unasked. The command comes late, but a failing teardown would wait for it.
                    return self._workers.drain(slot)
                return [AwaitExit(slot.id, is_interrupted=False)]
            case Broken() | ExitAsked():
                slot.break_off()
                return self._workers.stop()
            case Interrupted():
                slot.break_off()
                # The stop drains this worker like any other: a failing teardown would wait for that.
                return [*self._workers.stop(), AwaitExit(slot.id, is_interrupted=True)]
            case StopAsked():
                return self._workers.stop()
            case WarningSeen() | BaseTempAsked() | Collected():  # pragma: no branch - the last ones there are
                return []

    def _await_judgement(self, slot: WorkerSlot) -> list[Action]:
        self._failures.report(slot.id)
        slot.await_judgement()
        return []

    def _go_on(self, slot: WorkerSlot) -> list[Action]:
        self._failures.judge()
        if slot.state is not WorkerState.AWAITING:
            return self._workers.reconsider()
        slot.resume()
        return [Send(slot.id, Proceed()), *self._workers.reconsider()]

    def _relieve(self, slot: WorkerSlot) -> list[Action]:
        """A worker runs an item for longer than was thought: what it holds must not wait for that."""
        is_alone = len(self._slots) == 1
        # One that stood still and was given something begins that at once. One that still tears down may lose it.
        if slot.state is not WorkerState.BUSY or not self.holds_more(slot.id) or self.is_stopping or is_alone:
            return []
        return [TakeBack(slot.id, slot.begun)]
