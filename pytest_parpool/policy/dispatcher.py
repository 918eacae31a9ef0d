"""The dispatcher: notices in, actions out.

It knows which worker runs what and who may be given more; which item comes next is the scheduler's choice. Theory of
operation:

* An item is queued (the scheduler has it), held (sent to a worker and not begun), running, or over. After a death
  what was held goes back to the scheduler; what was running is what died.
* Work is handed out by need, but never waited for. A worker holds nothing behind an item of unknown or long duration,
  and up to ``HAND_SECONDS`` of items expected to be short, topped up at half, so that it does not run dry.
* When a guess was wrong, and an item runs for long, what its worker holds behind it is taken back (``Stalled``). So a
  worker that finds nothing left waits as long as others hold something.
* A worker that stands still is answered with items, with ``Wait`` (others may yet give something back to the
  scheduler), or with ``Drain``. While a failure may still stop the run (``-x``) nobody is given anything. It may from
  ``Troubled``, when it is only suspected, to the report, and from there until it is ``Judged``. A suspicion may end
  without a report, too: with the item, or with the worker.
* A dead worker is replaced when its slot is given work again, not before; only that counts as a restart.
"""

from __future__ import annotations

import collections
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
    TakeBack,
)
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import (
    Asked,
    BaseTempAsked,
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
    Stalled,
    StopRequested,
    TakenBack,
    TemplateGone,
)
from pytest_parpool.model.records import Record, record
from pytest_parpool.policy.lifecycle import ALIVE, LEAVING, MOVES, RESUMED, STANDING, WorkerState
from pytest_parpool.policy.schedulers.protocol import Scheduler

HAND_SECONDS = 0.05  # work a worker holds: some 100 times what one question and answer costs on two busy cores


class DispatchError(Exception):
    """A worker said something that cannot be true; a fault of ours."""


@record(kw_only=True)
class Limits(Record):
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


class _Slot:
    """What is known of one worker slot."""

    def __init__(self, worker: WorkerId) -> None:
        self.id = worker
        self.state = WorkerState.VACANT
        self.resumes = WorkerState.BUSY  # what it goes back to from AWAITING
        self.held: collections.deque[ItemIndex] = collections.deque()
        self.running: ItemIndex | None = None
        self.last_item: ItemIndex | None = None
        self.given = 0
        self.begun = 0
        self.enough = 0  # Items in hand above which topping up need not be thought of.
        self.births = 0
        self.is_overdue = False
        self.is_recycled = False
        self.has_died = False


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
        # Under a stop condition: workers that may be about to report a failure, and failures that were reported and not
        # judged yet. While there are any, nobody is told to begin something.
        self._troubled: set[WorkerId] = set()
        self._unjudged = 0

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

    def quiet_seconds(self) -> float:
        """Return for how long probably no worker will ask for anything, as each has enough in hand; 0 if one may."""
        supplies: list[float] = []
        for slot in self._slots.values():
            if slot.state is WorkerState.BUSY and slot.held:
                supplies.append(self._supply(slot) or 0.0)
            elif self._is_alive(slot):
                return 0.0
        return min(supplies, default=0.0)

    def holds_more(self, worker: WorkerId) -> bool:
        """Whether a worker runs an item and holds others behind it."""
        slot = self._slots[worker]
        return slot.running is not None and bool(slot.held)

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
            case Stalled(worker):
                return self._suspect(self._slots[worker])
            case TakenBack(worker, kept):
                return self._take_back(self._slots[worker], kept)
            case StopRequested():
                return self._stop()
            case InterruptRequested():
                return self._interrupt()
            case Overdue(worker):
                slot = self._slots[worker]
                if slot.state not in LEAVING:
                    return []  # The one that was overdue is gone; the timeout ran out before its end was told.
                slot.is_overdue = True
                return [Kill(worker)]
            case TemplateGone():  # pragma: no branch - the last one there is
                self._is_template_gone = True
                # What was asked for and not born can only be given up; its items go to whoever is alive.
                return self._reconsider()

    def _hear(self, slot: _Slot, event: Event) -> list[Action]:
        match event:
            case Started(item, _):
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
                if slot.state is WorkerState.AWAITING:
                    raise DispatchError(f"{slot.id} asked for work, but stands still with a failed report")
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
                if slot.state is not WorkerState.DRAINING:
                    # It left its loop unasked. The command comes late, but a failing teardown would wait for it.
                    return self._drain(slot)
                return [AwaitExit(slot.id, is_interrupted=False)]
            case Broken() | ExitAsked():
                self._break_off(slot)
                return self._stop()
            case Interrupted():
                self._break_off(slot)
                # The stop drains this worker like any other: a failing teardown would wait for that.
                return [*self._stop(), AwaitExit(slot.id, is_interrupted=True)]
            case StopAsked():
                return self._stop()
            case WarningSeen() | BaseTempAsked():  # pragma: no branch - the last ones there are
                return []

    def _break_off(self, slot: _Slot) -> None:
        """Note that what the worker ran ended where it was; it goes on by itself to tear down and leave."""
        if slot.running is not None:
            slot.last_item, slot.running = slot.running, None

    # --- Work for one worker -----------------------------------------------------------------------------------------

    def _begin(self, slot: _Slot, item: ItemIndex) -> list[Action]:
        if not slot.held or slot.held[0] != item or slot.running is not None:
            raise DispatchError(f"{slot.id} began item {item}, but was given {list(slot.held)[:3]}")
        slot.held.popleft()
        slot.begun += 1
        slot.running = item
        if slot.state is not WorkerState.BUSY or self._is_stopping:
            return []
        hand = self._top_up(slot)
        if hand:
            return [Send(slot.id, Run(hand))]
        # Whoever waits for what this worker may give back, waits no longer.
        return [] if slot.held else self._reconsider()

    def _suspect(self, slot: _Slot) -> list[Action]:
        """A worker runs an item for longer than was thought: what it holds must not wait for that."""
        is_alone = len(self._slots) == 1
        # One that stood still and was given something begins that at once; it would not ask again if that were gone.
        if slot.state is not WorkerState.BUSY or not self.holds_more(slot.id) or self._is_stopping or is_alone:
            return []
        return [TakeBack(slot.id, slot.begun)]

    def _take_back(self, slot: _Slot, kept: int) -> list[Action]:
        taken: list[ItemIndex] = []
        while len(slot.held) > max(0, kept - slot.begun):
            taken.insert(0, slot.held.pop())
        slot.given -= len(taken)
        slot.enough = 0
        if taken:
            self._scheduler.requeue(tuple(taken), slot.id)
        return self._reconsider()

    def _answer(self, slot: _Slot) -> list[Action]:
        """Say something to a worker that stands still; nothing if it does not, or if that must wait."""
        if slot.state not in STANDING:
            return []
        if self._is_stopping or self._is_worn_out(slot):
            return self._drain(slot)
        if self._is_held_back(slot):
            return []
        first = self._scheduler.peek(slot.id)
        if first is None:
            if self._scheduler.is_exhausted(slot.id) and not self._is_anything_held():
                return self._drain(slot)
            if slot.state is WorkerState.WAITING:
                return []
            self._move(slot, WorkerState.WAITING)
            return [Send(slot.id, Wait())]
        self._give(slot)
        slot.enough = 1  # That one is as good as begun.
        self._move(slot, WorkerState.BUSY)
        return [Send(slot.id, Run((first, *self._top_up(slot))))]

    def _top_up(self, slot: _Slot) -> tuple[ItemIndex, ...]:
        """Take more items for a worker's hand, as far as they are expected to be short, and return them.

        An item of unknown or long duration may come into a hand, but only as the last one.
        """
        if self._limits.is_stop_watched or len(slot.held) > slot.enough:
            return ()
        seconds = self._supply(slot)
        hand: list[ItemIndex] = []
        while seconds is not None and seconds < HAND_SECONDS and not self._is_worn_out(slot):
            if self._limits.hand is not None and len(slot.held) >= self._limits.hand:
                break
            if self._scheduler.peek(slot.id) is None:
                break
            item = self._give(slot)
            hand.append(item)
            expected = self._expected(item)
            seconds = seconds + expected if expected is not None else None
        slot.enough = len(slot.held) // 2
        return tuple(hand)

    def _is_anything_held(self) -> bool:
        """Whether any worker holds an item that it has not begun, and that may still come back."""
        return any(slot.held for slot in self._slots.values())

    def _supply(self, slot: _Slot) -> float | None:
        """Return how long a worker will be busy with what it runs and holds, or None if nobody knows."""
        seconds = 0.0
        for item in slot.held if slot.running is None else (slot.running, *slot.held):
            expected = self._expected(item)
            if expected is None:
                return None
            seconds += expected
        return seconds

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

    def _is_held_back(self, slot: _Slot) -> bool:
        """Whether a worker that asks must wait for a failure to be looked at.

        A worker that is itself suspected is answered: plugins that rerun tests let an item's teardown, which asks, come
        before its reports. What it is given it cannot begin before those are out.
        """
        return self._unjudged > 0 or (bool(self._troubled) and slot.id not in self._troubled)

    def _look_at_report(self, slot: _Slot, event: Reported) -> list[Action]:
        if not event.is_awaiting:
            return self._clear_trouble(slot)
        self._troubled.discard(slot.id)
        self._unjudged += 1
        if slot.state in RESUMED:
            slot.resumes = slot.state
            self._move(slot, WorkerState.AWAITING)
        return []

    def _go_on(self, slot: _Slot) -> list[Action]:
        # A crash is judged, too, where nobody counts; and a stop has forgotten the count.
        self._unjudged = max(0, self._unjudged - 1)
        if slot.state is not WorkerState.AWAITING:
            return self._reconsider()
        self._move(slot, slot.resumes)
        return [Send(slot.id, Proceed()), *self._reconsider()]

    def _clear_trouble(self, slot: _Slot) -> list[Action]:
        if slot.id not in self._troubled:
            return []
        self._troubled.discard(slot.id)
        return self._reconsider()

    # --- The end of a worker -----------------------------------------------------------------------------------------

    def _lose(self, slot: _Slot, exit_: Exit) -> list[Action]:
        if not self._is_alive(slot):
            raise DispatchError(f"{slot.id} ended, but had no process")
        state, running, last_item = slot.state, slot.running, slot.last_item
        # One that was to be killed for being late may have ended by itself in that moment.
        is_overdue = slot.is_overdue and exit_.may_be_kill
        self._troubled.discard(slot.id)
        slot.running = slot.last_item = None
        slot.is_overdue = False
        slot.given = slot.begun = slot.enough = 0
        if slot.held and not self._is_stopping:
            self._scheduler.requeue(tuple(slot.held), slot.id)
            slot.held.clear()
        actions: list[Action] = []
        died = state is not WorkerState.LEFT or is_overdue
        if running is not None and died:
            actions.append(ReportCrash(slot.id, running, exit_, is_overdue))
            if self._limits.is_stop_watched:
                self._unjudged += 1
        elif died:
            is_failure = state is WorkerState.DRAINING
            actions.append(ReportLoss(slot.id, last_item, exit_, is_failure=is_failure, is_overdue=is_overdue))
        is_replaced = died or slot.is_recycled
        slot.is_recycled = False
        slot.has_died = died and not is_overdue
        self._move(slot, WorkerState.VACANT if is_replaced else WorkerState.RETIRED)
        return actions + self._reconsider()

    def _would_spawn(self) -> bool:
        return not self._is_stopping and not self._is_template_gone and any(map(self._is_missed, self._slots.values()))

    def _is_missed(self, slot: _Slot) -> bool:
        """Whether a slot has work and nobody to do it."""
        return slot.state is WorkerState.VACANT and not self._scheduler.is_exhausted(slot.id)

    def _reconsider(self) -> list[Action]:
        """Answer whoever stands still, and have workers born for slots that have work and nobody to do it."""
        may_spawn = not (self._is_stopping or self._is_template_gone or self._troubled or self._unjudged)
        if may_spawn:
            lost = [slot.id for slot in self._slots.values() if slot.has_died and self._is_missed(slot)]
            if self._restarts + len(lost) > self._limits.restarts:
                return [ReportLimit(lost[-1], self._limits.restarts), *self._stop()]
        actions: list[Action] = []
        for slot in self._slots.values():
            if slot.state in STANDING:
                actions += self._answer(slot)
            elif may_spawn and self._is_missed(slot):
                actions.append(self._bear(slot))
        return actions

    def _bear(self, slot: _Slot) -> Spawn:
        self._restarts += slot.has_died
        slot.has_died = False
        self._move(slot, WorkerState.STARTING)
        slot.births += 1
        return Spawn(slot.id, is_replacement=slot.births > 1)

    # --- The end of the run ------------------------------------------------------------------------------------------

    def _stop(self) -> list[Action]:
        if self._is_stopping:
            return []
        self._is_stopping = True
        self._troubled.clear()
        self._unjudged = 0
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
