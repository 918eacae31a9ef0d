"""A simulator: the real dispatcher and the real schedulers among simulated workers, in a random order of events.

One seed is one run. Everything that has an order of its own in reality has a random one here: what workers do, when
their events arrive (in order per worker), when they see a command, when an end is told, when a report is shown and
judged, when a replacement is born. What must hold is checked as it happens, and at the end.
"""

from __future__ import annotations

import collections
import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import TypeAlias

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
from pytest_parpool.model.ids import WorkerId, worker_ids
from pytest_parpool.model.messages import Asked, Recalled, Reported
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
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.limits import Limits
from pytest_parpool.policy.schedulers.protocol import Scheduler
from tests.simulation.promises import BrokenPromiseError, Ledger, promise
from tests.simulation.worker import Habits, SimulatedWorker

MOST_STEPS = 5_000  # A run takes some hundred; one that goes on and on has been caught replacing workers for ever.


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a run is like.

    Attributes:
        habits: What happens to workers.
        limits: The dispatcher's.
        expected: Seconds each item is expected to take, or None.
        stops: How probable it is that a failure that is shown stops the run.
        shows: How probable it is that a report is shown when its turn has come; reporting hooks may be slow.
        disturbances: How probable each is at a step: a stop, an interrupt, the template's death, a timeout.
        stalls: How probable it is at a step that a worker is taken for one whose item runs for long.
    """

    habits: Habits
    limits: Limits
    expected: Sequence[float | None]
    stops: float
    shows: float
    disturbances: tuple[float, float, float, float]
    stalls: float = 0.02


DispatcherFactory: TypeAlias = Callable[..., Dispatcher]
_Shown: TypeAlias = "tuple[Gone | Judged | Spawn, bool]"


class Simulator:
    """One run.

    Args:
        scheduler: The real one.
        count: How many workers.
        world: What the run is like.
        source: Decides everything that has no fixed order.
        make_dispatcher: The real one, or one with a bug in it.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        count: int,
        world: World,
        source: random.Random,
        make_dispatcher: DispatcherFactory = Dispatcher,
    ) -> None:
        self.workers = worker_ids(count)
        self.world = world
        self._source = source
        self._dispatcher = make_dispatcher(
            scheduler,
            self.workers,
            expected=world.expected.__getitem__,
            observe=lambda _item, _seconds: None,
            limits=world.limits,
        )
        self._processes: dict[WorkerId, SimulatedWorker] = {}
        self._to_show: collections.deque[_Shown] = collections.deque()
        self._deadlines: set[WorkerId] = set()
        self._has_template = True
        self._has_requested_stop = self._is_interrupted = False
        self._ledger = Ledger(len(world.expected), world.limits.restarts)
        self.seen: collections.Counter[str] = collections.Counter()

    def run(self) -> None:
        """Play the run to its end.

        Raises:
            BrokenPromiseError: If something happened that must not.
            DispatchError: If the dispatcher did not believe what it heard.
        """
        self._perform(self._dispatcher.start())
        for _ in range(MOST_STEPS):
            if self._dispatcher.is_over and not self._to_show:
                break
            self._disturb()
            moves = self._moves()
            if moves:
                self._source.choice(moves)()
            else:
                self._end_what_hangs()
        else:
            raise BrokenPromiseError(f"the run does not end; {MOST_STEPS} steps were made")
        self._check_end()

    # --- What may happen next ----------------------------------------------------------------------------------------

    def _moves(self) -> list[Callable[[], None]]:
        moves: list[Callable[[], None]] = []
        for process in self._processes.values():
            if process.can_act:
                moves += [process.step, process.step]
            if process.up:
                moves.append(lambda process=process: self._deliver(process))  # type: ignore[misc]
            elif process.exit is not None:
                moves.append(lambda process=process: self._tell_end(process))  # type: ignore[misc]
        if self._to_show and (not moves or self._source.random() < self.world.shows):
            moves.append(self._show)
        return moves

    def _end_what_hangs(self) -> None:
        """Have the timeout of somebody who hangs run out; where there is none, it is the user who loses patience."""
        hanging = [worker for worker, process in self._processes.items() if process.is_hanging]
        states = {worker: self._dispatcher.state(worker).name for worker in self.workers}
        promise(bool(hanging), f"everybody waits for somebody else, and the run is not over: {states}")
        late = self._deadlines.intersection(hanging)
        if late:
            self._run_late(min(late))
            return
        promise(not self._is_interrupted, f"{hanging} hang for ever, though the run was interrupted: {states}")
        self._interrupt()

    def _disturb(self) -> None:
        if self._source.random() < self.world.stalls:
            self._take(Stalled(self._source.choice(self.workers)))
        chance = self._source.random()
        for probability, disturb in zip(
            self.world.disturbances, (self._stop, self._interrupt, self._end_template, self._run_late), strict=True
        ):
            if chance < probability:
                disturb()
                return
            chance -= probability

    def _stop(self) -> None:
        if not self._has_requested_stop:
            self._has_requested_stop = True
            self._take(StopRequested())

    def _interrupt(self) -> None:
        if not self._is_interrupted:
            self._has_requested_stop = self._is_interrupted = True
            self._take(InterruptRequested())

    def _end_template(self) -> None:
        if self._has_template:
            self._has_template = False
            self._take(TemplateGone(Exit(-9)))

    def _run_late(self, worker: WorkerId | None = None) -> None:
        """Have the shutdown timeout of somebody run out."""
        if worker is None and self._deadlines:
            worker = self._source.choice(sorted(self._deadlines))
        if worker is not None:
            self._deadlines.discard(worker)
            self._take(Overdue(worker))

    def _deliver(self, process: SimulatedWorker) -> None:
        for _ in range(self._source.randint(1, len(process.up))):
            event = process.up.popleft()
            self._ledger.event(event, self._dispatcher.running(process.id))
            if isinstance(event, Reported) and event.is_awaiting:
                self._fail(process.id)
            self._take(Heard(process.id, event))

    def _tell_end(self, process: SimulatedWorker) -> None:
        assert process.exit is not None
        del self._processes[process.id]
        gone = Gone(process.id, process.exit)
        self._to_show.append((gone, False))
        self._take(gone)

    def _show(self) -> None:
        shown, is_stopping = self._to_show.popleft()
        match shown:
            case Gone(worker):
                self._deadlines.discard(worker)
            case Spawn(worker):
                self._bear(worker)
            case Judged():
                if is_stopping:
                    self._stop()
                elif not self._has_requested_stop:
                    self._take(shown)

    # --- The controller ----------------------------------------------------------------------------------------------

    def _take(self, notice: Notice) -> None:
        if isinstance(notice, Heard):
            self.seen[type(notice.event).__name__] += 1
            if isinstance(notice.event, Asked) and self._dispatcher.state(notice.worker) is not WorkerState.BUSY:
                self.seen["late question"] += 1
        else:
            self.seen[type(notice).__name__] += 1
        self._perform(self._dispatcher.handle(notice))

    def _perform(self, actions: list[Action]) -> None:
        is_stopping = self._dispatcher.is_stopping
        for action in actions:
            self.seen[type(action).__name__] += 1
            self._ledger.action(action, is_stopping=is_stopping, is_alive=action.worker in self._processes)
            process = self._processes.get(action.worker)
            match action:
                case Send(_, command):
                    self.seen[f"Send({type(command).__name__})"] += 1
                    if process is not None:
                        process.down.append(command)
                case Spawn(worker, is_replacement):
                    if is_replacement:
                        self._to_show.append((action, False))
                    else:
                        self._bear(worker)
                case TakeBack(worker, begun):
                    kept = process.take_back(begun) if process is not None else None
                    if process is not None and kept is not None:
                        process.down.append(Recalled(kept))
                        self._take(TakenBack(worker, kept))
                case AwaitExit(worker):
                    self._deadlines.add(worker)
                case Interrupt():
                    if process is not None and self._source.random() < 0.9:  # Else it does not reach it.
                        process.interrupt()
                case Kill():
                    if process is not None:
                        process.die(-9)
                case ReportCrash(worker):
                    self._fail(worker)
                case ReportLoss() | ReportLimit():
                    pass

    def _bear(self, worker: WorkerId) -> None:
        if self._dispatcher.is_stopping:
            self._take(NotBorn(worker))
            return
        process = SimulatedWorker(
            worker,
            self.world.habits,
            self._source,
            lambda item: self._ledger.begin(worker, item),
        )
        self._processes[worker] = process
        self._ledger.birth(worker)
        if not self._has_template:
            process.die(1)

    def _fail(self, worker: WorkerId) -> None:
        """Have a failure judged when it is shown; what the judgement will be is known here only."""
        is_stopping = self.world.limits.is_stop_watched and self._source.random() < self.world.stops
        self._ledger.failure(worker, is_stopping=is_stopping)
        self._to_show.append((Judged(worker), is_stopping))

    def _check_end(self) -> None:
        promise(not self._processes, f"the run is over, and there are processes: {list(self._processes)}")
        # A worker that leaves its loop without a word is not replaced, and its share may be nobody's then.
        is_anybody_careless = self.world.habits.breaks > 0
        has_reason = self._dispatcher.is_stopping or not self._has_template or is_anybody_careless
        self._ledger.check_end(self._dispatcher.not_run(), has_reason=has_reason)
