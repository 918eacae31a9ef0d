"""The dispatcher: notices in, actions out.

It knows which worker runs what and who may be given more; which item comes next is the scheduler's choice. Theory of
operation:

* An item is queued (the scheduler has it), held (sent to a worker and not begun), running, or over. After a death
  what was held goes back to the scheduler; what was running is what died.
* Work is handed out by need, but never waited for. A worker holds nothing behind an item of unknown or long duration,
  and up to ``HAND_SECONDS`` of items expected to be short, topped up at half, so that it does not run dry.
* A worker that stands still is answered with items, with ``Wait`` (others may yet give something back to the
  scheduler), or with ``Drain``. While a failure may still stop the run (``-x``) nobody is given anything.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence

from pytest_parpool.model.actions import (
    Action,
    AwaitExit,
    Interrupt,
    Kill,
    ReportCrash,
    ReportLimit,
    ReportLoss,
    Send,
    Spawn,
)
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import (
    Asked,
    Broken,
    Drain,
    Draining,
    Event,
    ExitAsked,
    Finished,
    Interrupted,
    Left,
    Proceed,
    Ready,
    Reported,
    Run,
    Started,
    StopAsked,
    Troubled,
    Wait,
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
    StopRequested,
    TemplateGone,
)
from pytest_parpool.policy.lifecycle import ALIVE, MOVES, STANDING, WorkerState
from pytest_parpool.policy.schedulers.protocol import Scheduler

HAND_SECONDS = 0.05  # work a worker holds: some 100 times what one question and answer costs on two busy cores


class DispatchError(Exception):
    """A worker said something that cannot be true; a fault of ours."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The rules of a run.

    Attributes:
        restarts: How many dead workers may be replaced.
        tasks_per_child: Items after which a worker is replaced, or None.
        hand: Most items a worker holds behind the one it runs, or None.
        is_stop_watched: Whether a failure may stop the run, so that nobody may run ahead.
    """

    restarts: int
    tasks_per_child: int | None = None
    hand: int | None = None
    is_stop_watched: bool = False


@dataclasses.dataclass(slots=True)
class _Slot:
    """What is known of one worker slot."""

    id: WorkerId
    state: WorkerState = WorkerState.VACANT
    held: collections.deque[ItemIndex] = dataclasses.field(default_factory=collections.deque)
    running: ItemIndex | None = None
    last_item: ItemIndex | None = None
    given: int = 0
    births: int = 0
    is_overdue: bool = False
    is_recycled: bool = False


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
        self._scheduler = scheduler
        self._slots: Mapping[WorkerId, _Slot] = {worker: _Slot(worker) for worker in workers}
        self._expected = expected
        self._observe = observe
        self._limits = limits
        self._restarts = 0
        self._is_stopping = False
        self._is_template_gone = False
        # Workers whose failure is still being looked at, under a stop condition. While there are any, nobody begins.
        self._troubled: set[WorkerId] = set()

    # --- What others may ask -----------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether no process is alive and none will be born."""
        return all(not self._is_alive(slot) for slot in self._slots.values()) and not self._would_spawn()

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is started."""
        return self._is_stopping

    @property
    def is_template_gone(self) -> bool:
        """Whether replacements cannot be born any more."""
        return self._is_template_gone

    def not_run(self) -> tuple[ItemIndex, ...]:
        """Return the items nobody began, in plan order. Complete once the run ``is_over``."""
        held = [item for slot in self._slots.values() for item in slot.held]
        return tuple(sorted([*self._scheduler.remaining(), *held]))

    def state(self, worker: WorkerId) -> WorkerState:
        """Return what a slot's process is doing."""
        return self._slots[worker].state

    def running(self, worker: WorkerId) -> ItemIndex | None:
        """Return the item a worker announced and has not finished."""
        return self._slots[worker].running

    # --- The way in --------------------------------------------------------------------------------------------------

    def start(self) -> list[Action]:
        """Ask for the first workers."""
        return self._reconsider()

    def handle(self, notice: Notice) -> list[Action]:
        """Take note of what happened and return what is to be done, in that order.

        Raises:
            DispatchError: If the notice contradicts what is known.
        """
        match notice:
            case Heard(worker, event):
                return self._hear(self._slots[worker], event)
            case Gone(worker, exit_):
                return self._lose(self._slots[worker], exit_)
            case NotBorn(worker):
                self._move(self._slots[worker], WorkerState.VACANT)
                return self._reconsider()
            case Judged(worker):
                return self._go_on(self._slots[worker])
            case StopRequested():
                return self._stop()
            case InterruptRequested():
                return self._interrupt()
            case Overdue(worker):
                slot = self._slots[worker]
                if not self._is_alive(slot):
                    return []
                slot.is_overdue = True
                return [Kill(worker)]
            case TemplateGone():
                self._is_template_gone = True
                # What was asked for and not born can only be given up; its items go to whoever is alive.
                return self._reconsider()

    def _hear(self, slot: _Slot, event: Event) -> list[Action]:
        match event:
            case Started(item):
                return self._begin(slot, item)
            case Reported():
                return self._look_at_report(slot, event)
            case Finished(item, seconds):
                if slot.running != item:
                    raise DispatchError(f"{slot.id} finished item {item}, but was running {slot.running}")
                slot.running = None
                slot.last_item = item
                self._observe(item, seconds)
                return self._clear_trouble(slot)
            case Ready():
                if slot.state is WorkerState.STARTING:
                    self._move(slot, WorkerState.ASKING)
                return self._answer(slot)
            case Asked():
                if slot.state is WorkerState.BUSY and not slot.held:
                    self._move(slot, WorkerState.ASKING)
                # Else the answer is already under way: items or a drain were sent while the question travelled.
                return self._answer(slot)
            case Troubled():
                self._troubled.add(slot.id)
                return []
            case Left():
                self._move(slot, WorkerState.LEFT)
                return []
            case Draining():
                return [AwaitExit(slot.id, is_interrupted=False)]
            case Broken() | ExitAsked():
                # What it ran ended there; it goes on by itself to tear down and leave.
                slot.running = None
                return self._stop()
            case Interrupted():
                # It goes on by itself to tear down and leave.
                slot.running = None
                slot.last_item = event.item if event.item is not None else slot.last_item
                if slot.state is not WorkerState.DRAINING:
                    self._move(slot, WorkerState.DRAINING)
                return [AwaitExit(slot.id, is_interrupted=True), *self._stop()]
            case StopAsked():
                return self._stop()
            case WarningSeen():
                return []

    # --- Work for one worker -----------------------------------------------------------------------------------------

    def _begin(self, slot: _Slot, item: ItemIndex) -> list[Action]:
        if not slot.held or slot.held[0] != item or slot.running is not None:
            raise DispatchError(f"{slot.id} began item {item}, but was given {list(slot.held)[:3]}")
        slot.held.popleft()
        slot.running = item
        if slot.state is not WorkerState.BUSY or self._is_stopping or self._troubled:
            return []
        hand = self._top_up(slot)
        return [Send(slot.id, Run(hand))] if hand else []

    def _answer(self, slot: _Slot) -> list[Action]:
        """Say something to a worker that stands still; nothing if it does not, or if that must wait."""
        if slot.state not in STANDING:
            return []
        if self._is_stopping or self._is_worn_out(slot):
            return self._drain(slot)
        if self._troubled:
            return []
        first = self._scheduler.peek(slot.id)
        if first is None:
            if self._scheduler.is_exhausted(slot.id):
                return self._drain(slot)
            if slot.state is WorkerState.WAITING:
                return []
            self._move(slot, WorkerState.WAITING)
            return [Send(slot.id, Wait())]
        self._give(slot)
        self._move(slot, WorkerState.BUSY)
        return [Send(slot.id, Run((first, *self._top_up(slot))))]

    def _top_up(self, slot: _Slot) -> tuple[ItemIndex, ...]:
        """Take more items for a worker's hand, as far as they are expected to be short, and return them."""
        if self._limits.is_stop_watched:
            return ()
        ahead = [slot.running] if slot.running is not None else []
        seconds = 0.0
        for item in (*ahead, *slot.held):
            expected = self._expected(item)
            if expected is None:
                return ()
            seconds += expected
        if seconds > HAND_SECONDS / 2:
            return ()
        hand: list[ItemIndex] = []
        while not self._is_worn_out(slot) and (self._limits.hand is None or len(slot.held) < self._limits.hand):
            item_or_none = self._scheduler.peek(slot.id)
            if item_or_none is None:
                break
            expected = self._expected(item_or_none)
            if expected is None or seconds + expected > HAND_SECONDS:
                break
            seconds += expected
            hand.append(self._give(slot))
        return tuple(hand)

    def _give(self, slot: _Slot) -> ItemIndex:
        item = self._scheduler.take(slot.id)
        slot.held.append(item)
        slot.given += 1
        return item

    def _is_worn_out(self, slot: _Slot) -> bool:
        """Whether the worker has had its share of items and is to be replaced (if anybody can replace it)."""
        limit = self._limits.tasks_per_child
        return limit is not None and slot.given >= limit and not self._is_template_gone

    def _drain(self, slot: _Slot) -> list[Action]:
        """Send a worker that stands still on its way out."""
        slot.is_recycled = self._is_worn_out(slot)
        self._move(slot, WorkerState.DRAINING)
        return [Send(slot.id, Drain()), AwaitExit(slot.id, is_interrupted=False)]

    # --- Failures under a stop condition -----------------------------------------------------------------------------

    def _look_at_report(self, slot: _Slot, event: Reported) -> list[Action]:
        if not event.is_awaiting:
            return self._clear_trouble(slot)
        self._troubled.add(slot.id)
        if slot.state is WorkerState.BUSY:
            self._move(slot, WorkerState.AWAITING)
        return []

    def _go_on(self, slot: _Slot) -> list[Action]:
        actions: list[Action] = []
        if slot.state is WorkerState.AWAITING:
            self._move(slot, WorkerState.BUSY)
            actions.append(Send(slot.id, Proceed()))
        return actions + self._clear_trouble(slot)

    def _clear_trouble(self, slot: _Slot) -> list[Action]:
        if slot.id not in self._troubled:
            return []
        self._troubled.discard(slot.id)
        return self._reconsider()

    # --- The end of a worker -----------------------------------------------------------------------------------------

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        if not self._is_alive(slot):
            raise DispatchError(f"{slot.id} ended, but had no process")
        state, running, last_item, is_overdue = slot.state, slot.running, slot.last_item, slot.is_overdue
        self._troubled.discard(slot.id)
        slot.running = slot.last_item = None
        slot.is_overdue = False
        slot.given = 0
        if slot.held and not self._is_stopping:
            self._scheduler.requeue(tuple(slot.held), slot.id)
            slot.held.clear()
        actions: list[Action] = []
        died = state is not WorkerState.LEFT or is_overdue
        if running is not None and died:
            actions.append(ReportCrash(slot.id, running, exit_, is_overdue))
            if self._limits.is_stop_watched:
                self._troubled.add(slot.id)  # until the crash was reported and judged
        elif died:
            is_failure = state in (WorkerState.DRAINING, WorkerState.STARTING)
            actions.append(ReportLoss(slot.id, last_item, exit_, is_failure=is_failure, is_overdue=is_overdue))
        is_replaced = died or slot.is_recycled
        slot.is_recycled = False
        self._move(slot, WorkerState.VACANT if is_replaced else WorkerState.RETIRED)
        if died and not is_overdue and not self._is_stopping:
            self._restarts += 1
            if self._restarts > self._limits.restarts:
                return [*actions, ReportLimit(slot.id, self._limits.restarts), *self._stop()]
        return actions + self._reconsider()

    def _would_spawn(self) -> bool:
        if self._is_stopping or self._is_template_gone:
            return False
        return any(
            slot.state is WorkerState.VACANT and not self._scheduler.is_exhausted(slot.id)
            for slot in self._slots.values()
        )

    def _reconsider(self) -> list[Action]:
        """Answer whoever stands still, and have workers born for slots that have work and nobody to do it."""
        actions: list[Action] = []
        for slot in self._slots.values():
            if slot.state in STANDING:
                actions += self._answer(slot)
            elif slot.state is WorkerState.VACANT:
                if self._is_stopping or self._is_template_gone or self._troubled:
                    continue
                if not self._scheduler.is_exhausted(slot.id):
                    self._move(slot, WorkerState.STARTING)
                    slot.births += 1
                    actions.append(Spawn(slot.id, is_replacement=slot.births > 1))
        return actions

    # --- The end of the run ------------------------------------------------------------------------------------------

    def _stop(self) -> list[Action]:
        if self._is_stopping:
            return []
        self._is_stopping = True
        self._troubled.clear()
        actions: list[Action] = []
        for slot in self._slots.values():
            if slot.state in STANDING or slot.state is WorkerState.AWAITING:
                actions += self._drain(slot)
            elif slot.state in (WorkerState.BUSY, WorkerState.STARTING):
                # No timeout yet: what it runs may take as long as it takes.
                self._move(slot, WorkerState.DRAINING)
                actions.append(Send(slot.id, Drain()))
        return actions

    def _interrupt(self) -> list[Action]:
        actions = self._stop()
        for slot in self._slots.values():
            if self._is_alive(slot):
                if slot.state is not WorkerState.LEFT:
                    actions.append(Interrupt(slot.id))
                actions.append(AwaitExit(slot.id, is_interrupted=True))
        return actions

    # --- States ------------------------------------------------------------------------------------------------------

    def _is_alive(self, slot: _Slot) -> bool:
        return slot.state in ALIVE

    def _move(self, slot: _Slot, state: WorkerState) -> None:
        if state not in MOVES[slot.state]:
            raise DispatchError(f"{slot.id} cannot go from {slot.state.name} to {state.name}")
        slot.state = state
