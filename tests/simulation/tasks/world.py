"""A world of simulated workers: what the dispatcher asks for happens there, in random order, with random deaths.

Nothing here knows how the dispatcher decides. A worker is a list of commands on their way to it, a list of events on
their way back, and the page that it shares with its owner.
"""

from __future__ import annotations

import collections
import random

from pytest_parpool.model.actions import AwaitExit, Kill, Spawn, TakeBack
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId, worker_ids
from pytest_parpool.model.messages import Broken, Ready
from pytest_parpool.model.notices import Overdue, Stalled, TakenBack, TemplateGone
from pytest_parpool.model.task_actions import (
    Dismiss,
    Finish,
    Give,
    SetTimer,
    TaskAction,
    TellCancelled,
    TellCrashed,
    TellDone,
    TellTimedOut,
    TellUnstartable,
)
from pytest_parpool.model.task_messages import Begun, Done, Spoiled, TaskEvent
from pytest_parpool.model.task_notices import (
    Allowed,
    CloseRequested,
    Submitted,
    TaskHeard,
    TaskNotice,
    TaskRules,
    TerminateRequested,
    TimeUp,
    WorkerGone,
)
from pytest_parpool.policy.tasks.dispatcher import MOST_FRUITLESS, TaskDispatcher
from tests.simulation.promises import BrokenPromiseError, promise

MOST_STEPS = 20_000
_UNLIMITED = 1 << 60


class Ledger:
    """What has happened to each task. Knows only what is promised."""

    def __init__(self) -> None:
        self.rules: dict[int, TaskRules] = {}
        self.begins: collections.Counter[int] = collections.Counter()
        self.finished: set[int] = set()
        self.died_in: set[int] = set()
        self.told: dict[int, str] = {}
        self.is_terminated = False
        self.is_faulty = False

    def submit(self, task: int, rules: TaskRules) -> None:
        """Note a new task."""
        self.rules[task] = rules

    def begin(self, task: int) -> None:
        """Note that a worker really begins a task."""
        promise(task not in self.finished, f"{task} was begun again after it was done")
        promise(task not in self.told, f"{task} was begun after its outcome was told")
        self.begins[task] += 1
        promise(self.begins[task] <= 1 + self.rules[task].retries, f"{task} was begun {self.begins[task]} times")

    def finish(self, task: int) -> None:
        """Note that an outcome has left a worker."""
        self.finished.add(task)

    def die(self, task: int) -> None:
        """Note that a worker died in a task."""
        self.died_in.add(task)

    def tell(self, task: int, outcome: str) -> None:
        """Note an outcome."""
        promise(task in self.rules, f"an outcome of {task}, which nobody submitted")
        promise(task not in self.told, f"{task} was told {outcome}, and {self.told.get(task)} before")
        self.told[task] = outcome
        tries = 1 + self.rules[task].retries
        match outcome:
            case "TellDone":
                promise(task in self.finished, f"{task} is told as done")
            case "TellCrashed":
                promise(task in self.died_in, f"{task} is told as crashed, and nobody died in it")
                promise(self.begins[task] == tries, f"{task} is told as crashed, and may be tried again")
                promise(task not in self.finished, f"{task} was done, and is told as crashed")
            case "TellTimedOut":
                promise(task in self.died_in and task not in self.finished, f"{task} is told as timed out")
                promise(self.rules[task].timeout_seconds is not None, f"{task} has all the time in the world")
            case "TellCancelled":
                promise(self.is_terminated, f"{task} is told as cancelled")
            case "TellUnstartable":
                promise(self.is_faulty, f"{task} is told as impossible")
            case _:
                promise(self.begins[task] == 0 or tries > 1, f"{task} was begun, and is cancelled")

    def end(self) -> None:
        """Note that everything is over."""
        missing = self.rules.keys() - self.told.keys()
        promise(not missing, f"nobody was told of {sorted(missing)[:5]}")


class Worker:
    """One simulated process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.commands: list[Give | Dismiss | int] = []
        self.events: list[TaskEvent] = []
        self.held: list[tuple[int, bool]] = []
        self.claimed, self.limit, self.kept = 0, _UNLIMITED, 0
        self.begun = 0
        self.running: int | None = None
        self.is_ready = self.is_leaving = self.is_dead = False
        self.is_killed = self.is_spoiled = False

    def step(self, chance: random.Random) -> None:
        """Do one thing."""
        if not self.is_ready:
            self.is_ready = True
            self.events.append(Ready(1, (-1, -1, -1)))
        elif self.running is not None:
            self._ledger.finish(self.running)
            self.events.append(Done(self.running, chance.choice((1e-6, 1e-3, 1.0)), (b"",)))
            self.running = None
        elif self.held and self._may_claim():
            task, is_announced = self.held.pop(0)
            self.begun += 1
            self.running = task
            self._ledger.begin(task)
            if is_announced:
                self.events.append(Begun(task, 0.0))
        elif self.commands:
            self._obey(self.commands.pop(0))
        elif self.is_leaving and not self.held:
            self.is_dead = True

    def _may_claim(self) -> bool:
        self.claimed = self.begun + 1
        return self.claimed <= self.limit

    def _obey(self, command: Give | Dismiss | int) -> None:
        match command:
            case Give(_, tasks, announced):
                self.held += [(task, task in announced) for task in tasks]
            case Dismiss():
                self.is_leaving = True
            case int():
                del self.held[max(0, command - self.begun) :]
                self.claimed, self.limit = self.begun, _UNLIMITED

    def die(self) -> None:
        """End at once."""
        self.is_dead = True
        if self.running is not None:
            self._ledger.die(self.running)


class World:
    """A pool with nothing but its decisions.

    Args:
        seed: Makes everything else.
    """

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.seen: collections.Counter[str] = collections.Counter()
        self._slots = worker_ids(chance.randint(1, 4))
        self._tasks_per_child = chance.choice((None, None, 1, 3))
        self._trusts_first = chance.random() < 0.5
        self._dispatcher = TaskDispatcher(
            self._slots,
            tasks_per_child=self._tasks_per_child,
            bears_by_need=chance.random() < 0.5,
            trusts_first=self._trusts_first,
        )
        self._ledger = Ledger()
        self._workers: dict[WorkerId, Worker] = {}
        self._given: dict[WorkerId, int] = {}
        self._births: collections.Counter[WorkerId] = collections.Counter()
        self._timers: dict[WorkerId, int] = {}
        self._leaving: set[WorkerId] = set()
        self._next = 0
        self._is_template_gone = self._is_closed = self._is_finished = False
        self._deaths = chance.choice((0.0, 0.0, 0.02, 0.2))
        self._has_faults = chance.random() < 0.15
        self._fruitless = 0
        self._to_submit = chance.choice((0, 3, 30, 300))
        self._allowed = chance.choice((None, None, 1))  # how many workers may be busy

    def run(self) -> None:
        """Live until nothing can come any more."""
        if self._allowed is None:
            self._act(self._dispatcher.start())
        else:
            self._handle(Allowed(self._allowed))
        for _ in range(MOST_STEPS):
            if self._dispatcher.is_over:
                break
            self._step()
        else:
            raise BrokenPromiseError("it goes on for ever")
        self._ledger.end()
        if not self._ledger.is_terminated:
            promise(not self._workers, f"still alive: {list(self._workers)}")

    # --- What may happen ---------------------------------------------------------------------------------------------

    def _step(self) -> None:
        chance = self.chance
        if self._to_submit and chance.random() < 0.3:
            self._submit(chance.randint(1, self._to_submit))
        elif not self._is_closed and not self._to_submit and chance.random() < 0.05:
            self._is_closed = True
            self._handle(CloseRequested())
        elif self._allowed is not None and chance.random() < 0.05:
            self._allowed = chance.randint(1, len(self._slots) + 1)
            self._handle(Allowed(self._allowed))
        elif chance.random() < 0.0005:
            self._ledger.is_terminated = True
            self._handle(TerminateRequested())
        elif self._has_faults and not self._is_template_gone and chance.random() < 0.005:
            self._is_template_gone = self._ledger.is_faulty = True
            self._handle(TemplateGone(Exit(-9)))
        elif self._next and chance.random() < 0.02:
            self._cancel(chance.randrange(self._next))
        elif self._workers:
            self._live(chance.choice(list(self._workers)))

    def _submit(self, count: int) -> None:
        self._to_submit -= count
        tasks = tuple(range(self._next, self._next + count))
        self._next += count
        rules = {}
        for task in tasks:
            rule = TaskRules(self.chance.choice((0, 0, 0, 2)), self.chance.choice((None, None, None, 1.0)))
            self._ledger.submit(task, rule)
            if rule != TaskRules():
                rules[task] = rule
        self._handle(Submitted(tasks, rules))

    def _cancel(self, task: int) -> None:
        if self._dispatcher.try_cancel(task):
            self._ledger.tell(task, "cancelled")
            self.seen["cancelled"] += 1

    def _live(self, slot: WorkerId) -> None:
        """Something happens to a worker, or something of it is heard."""
        worker, chance = self._workers[slot], self.chance
        if worker.is_dead:
            self._bury(slot, worker)
        elif worker.is_killed or chance.random() < self._deaths:
            if worker.is_killed and worker.running is not None and not worker.is_spoiled:
                is_timed = self._ledger.rules[worker.running].timeout_seconds is not None
                promise(is_timed, f"{worker.running} was killed for what another has done")
            worker.die()
        elif worker.events and chance.random() < 0.5:
            count = chance.randint(1, len(worker.events))
            heard, worker.events = worker.events[:count], worker.events[count:]
            self._handle(*[TaskHeard(slot, event) for event in heard])
        elif slot in self._timers and chance.random() < 0.2:
            self._handle(TimeUp(slot, self._timers.pop(slot)))
        elif slot in self._leaving and chance.random() < 0.05:
            self._leaving.remove(slot)
            self._handle(Overdue(slot))
        elif slot in self._dispatcher.holders() and chance.random() < 0.2:
            self._handle(Stalled(slot))
        elif not worker.is_ready and self._has_faults and not self._is_trusted(slot) and chance.random() < 0.1:
            self._ledger.is_faulty = True
            worker.is_ready = worker.is_leaving = True
            worker.events.append(Broken("initializer 'setup'", "Traceback"))
        elif self._deaths and chance.random() < 0.001:
            worker.is_spoiled = True
            worker.events.append(Spoiled("nonsense"))
        else:
            worker.step(chance)

    def _is_trusted(self, slot: WorkerId) -> bool:
        """Whether a worker cannot fail to become ready, but for its death."""
        return self._trusts_first and slot == self._slots[0] and self._births[slot] == 1

    def _bury(self, slot: WorkerId, worker: Worker) -> None:
        del self._workers[slot]
        # Any slot that died so often without a begin may have been the last one.
        self._fruitless = 0 if worker.begun else self._fruitless + 1
        if self._fruitless >= MOST_FRUITLESS:
            self._ledger.is_faulty = True
        exit_ = Exit(-9) if worker.running is not None or worker.is_killed else Exit(0)
        # As ``runtime.ledger.Page.claimed``.
        claimed = worker.claimed if worker.limit == _UNLIMITED else min(worker.claimed, worker.kept)
        gone = WorkerGone(slot, exit_, claimed, 0)
        self._handle(*[TaskHeard(slot, event) for event in worker.events], gone)

    # --- What is asked for -------------------------------------------------------------------------------------------

    def _handle(self, *notices: TaskNotice) -> None:
        for notice in notices:
            self.seen[type(notice.event if isinstance(notice, TaskHeard) else notice).__name__] += 1
        self._act(self._dispatcher.handle(notices))

    def _act(self, actions: list[TaskAction]) -> None:
        back: list[TaskNotice] = []
        for action in actions:
            self.seen[type(action).__name__] += 1
            match action:
                case Spawn(slot, _):
                    promise(slot not in self._workers, f"{slot} is born, and alive")
                    promise(not self._is_template_gone and not self._is_finished, f"{slot} is born of nobody")
                    is_room = self._allowed is None or len(self._workers) < self._allowed
                    promise(is_room, f"{slot} is born, and may do nothing")
                    self._workers[slot] = Worker(self._ledger)
                    self._given[slot] = 0
                    self._births[slot] += 1
                    self._timers.pop(slot, None)
                    self._leaving.discard(slot)
                case Give(slot, tasks, _):
                    promise(len(tasks) > 0, "nothing was given")
                    busy = sum(task is not None for task in self._dispatcher.running().values())
                    promise(self._allowed is None or busy <= self._allowed, f"{busy} are busy, {self._allowed} may be")
                    is_ready = self._workers[slot].is_ready
                    self.seen["Give before Ready"] += not is_ready
                    promise(is_ready or self._is_trusted(slot), f"{slot} was given something before it was ready")
                    self._given[slot] += len(tasks)
                    most = None if self._is_template_gone else self._tasks_per_child
                    promise(most is None or self._given[slot] <= most, f"{slot} was given {self._given[slot]}")
                    self._workers[slot].commands.append(action)
                case Dismiss(slot):
                    self._workers[slot].commands.append(action)
                case Finish():
                    self._is_finished = True
                case TakeBack(slot, begun):
                    back += self._take_back(slot, begun)
                case Kill(slot):
                    if slot in self._workers:
                        self._workers[slot].is_killed = True
                case AwaitExit(slot, _):
                    self._leaving.add(slot)
                case SetTimer(slot, task, _, _):
                    self._timers[slot] = task
                case TellDone(task) | TellCrashed(task) | TellTimedOut(task):
                    self._ledger.tell(task, type(action).__name__)
                case TellCancelled(task) | TellUnstartable(task):
                    self._ledger.tell(task, type(action).__name__)
        if back:
            self._handle(*back)

    def _take_back(self, slot: WorkerId, begun: int) -> list[TaskNotice]:
        worker = self._workers.get(slot)
        if worker is None or worker.limit != _UNLIMITED:
            return []
        worker.limit = begun
        worker.kept = kept = max(begun, worker.claimed)
        worker.commands.append(kept)
        self._given[slot] = min(self._given[slot], kept)
        return [TakenBack(slot, kept)]
