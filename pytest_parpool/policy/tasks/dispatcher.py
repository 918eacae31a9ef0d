"""The dispatcher of tasks: notices in, actions out.

Theory of operation:

* A task waits (the queue has it), is held (sent to a worker), or is over, which is told once. A worker does what it
  holds in order. It notes in shared memory how many tasks it has begun, and the outcome of one has left it before it
  notes the next: so after a death it is known what the worker died of, which is tried again or told; what lay behind
  that was never begun, and waits again, uncounted.
* A worker is killed for a task that takes longer than it may when it cannot begin another one any more: what it holds
  behind that is taken back before.
* Hands are filled by ``pace``. What lies behind a task that takes longer than was thought is taken back (``Stalled``),
  and its worker is given nothing more until it is over.
* If only some workers may be busy (``Allowed``), no more than these are born, and while there are more, nobody is given
  anything. What a worker holds stays its own.
* A slot whose processes die one after the other without beginning a task is given up; when all are, or when a worker
  says that it can never start (``Broken``), everything that waits, and that comes, ends so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_parpool.model.actions import AwaitExit, Kill, Spawn, TakeBack
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
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
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.policy.tasks.pace import Pace
from pytest_parpool.policy.tasks.queue import TaskQueue
from pytest_parpool.policy.tasks.task_slot import TaskSlot

MOST_FRUITLESS = 10  # births in a row; nobody is unlucky so often, and ten of them take milliseconds

_FREE = frozenset({WorkerState.STARTING, WorkerState.ASKING})

_NO_RULES = TaskRules()


class TaskDispatcher:
    """Turns what happens into what is to be done. Pure; see the module's docstring.

    Args:
        workers: The slots, in order.
        tasks_per_child: After how many tasks a worker is replaced, or None.
        bears_by_need: Whether only one worker is born at once, and others when tasks wait for them.
        trusts_first: Whether the first of all processes may be given tasks before it has said that it is ready.
    """

    def __init__(
        self,
        workers: Sequence[WorkerId],
        *,
        tasks_per_child: int | None,
        bears_by_need: bool = False,
        trusts_first: bool = False,
    ) -> None:
        self._slots: Mapping[WorkerId, TaskSlot] = {worker: TaskSlot(worker) for worker in workers}
        self._tasks_per_child = tasks_per_child
        self._queue = TaskQueue()
        self._pace = Pace()
        self._most_busy = len(workers)
        self._bears_by_need = bears_by_need
        self._trusts_first = trusts_first
        self._rules: dict[int, TaskRules] = {}
        self._tries: dict[int, int] = {}
        self._heard: set[TaskSlot] = set()
        self._fault: Broken | None = None
        self._is_template_gone = False
        self._is_closing = self._is_finished = False
        self._is_terminated = False

    # --- What others may ask -----------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done, and nothing can come; after a termination processes may be alive."""
        if self._is_terminated:
            return True
        return self._is_closing and not self._queue and not any(slot.is_alive for slot in self._slots.values())

    def running(self) -> dict[WorkerId, int | None]:
        """Return the task that each worker runs, or is about to."""
        return {worker: slot.running for worker, slot in self._slots.items()}

    @property
    def is_held_back(self) -> bool:
        """Whether tasks wait that somebody could do if more workers were allowed."""
        return self._most_busy < len(self._slots) and bool(self._queue)

    @property
    def busy_count(self) -> int:
        """How many workers hold tasks."""
        return sum([bool(slot.held) for slot in self._slots.values()])

    def holders(self) -> list[WorkerId]:
        """Return the workers that hold tasks behind the one that they run, which another could do."""
        return [worker for worker, slot in self._slots.items() if len(slot.held) > 1] if len(self._slots) > 1 else []

    def accept(self, submission: Submitted) -> None:
        """Take note of tasks; what follows is asked with the next ``handle``."""
        self._queue.append(submission.tasks)
        self._rules.update(submission.rules)

    def try_cancel(self, task: int) -> bool:
        """Forget a task that waits, and return whether it did; nothing is told of it then."""
        if not self._queue.try_remove(task):
            return False
        self._forget(task)
        return True

    # --- The way in --------------------------------------------------------------------------------------------------

    def start(self) -> list[TaskAction]:
        """Ask for the first workers: for one, if they are born by need."""
        return self._bear(next(iter(self._slots.values()))) if self._bears_by_need else self._reconsider()

    def handle(self, notices: Iterable[TaskNotice]) -> list[TaskAction]:
        """Take note of what happened, in that order, and return what is to be done, in that order.

        Raises:
            DispatchError: If a notice contradicts what is known.
        """
        actions: list[TaskAction] = []
        for notice in notices:
            if self._is_terminated:
                return actions
            match notice:
                case TaskHeard(worker, event):
                    actions += self._hear(self._slots[worker], event)
                case Submitted():
                    self.accept(notice)
                case WorkerGone(worker, exit_, claimed, step):
                    actions += self._lose(self._slots[worker], exit_, claimed, step)
                case TimeUp(worker, task):
                    actions += self._end_time(self._slots[worker], task)
                case Stalled(worker):
                    actions += self._relieve(self._slots[worker])
                case TakenBack(worker, kept):
                    actions += self._take_back(self._slots[worker], kept)
                case Overdue(worker):
                    if self._slots[worker].state is WorkerState.DRAINING:
                        actions.append(Kill(worker))
                case TemplateGone(exit_):
                    self._is_template_gone = True
                    if not self._is_finished:
                        self._lose_template(exit_)
                case Allowed(count):
                    self._most_busy = min(count, len(self._slots))
                    self._bears_by_need = True
                case CloseRequested():
                    self._is_closing = True
                case TerminateRequested():  # pragma: no branch - the last one there is
                    actions += self._terminate()
        return actions + self._reconsider()

    def _hear(self, slot: TaskSlot, event: TaskEvent) -> list[TaskAction]:
        match event:
            case Done(task, seconds, parts):
                slot.finish(task)
                self._pace.observe(seconds)
                self._heard.add(slot)
                self._forget(task)
                if not slot.held:
                    if slot.state is WorkerState.DRAINING:
                        return [TellDone(task, parts), AwaitExit(slot.id, is_interrupted=False)]
                    slot.move(WorkerState.ASKING)
                return [TellDone(task, parts)]
            case Begun(task, at):
                seconds_allowed = self._rules.get(task, _NO_RULES).timeout_seconds
                if slot.running != task or seconds_allowed is None:
                    return []
                return [SetTimer(slot.id, task, at, seconds_allowed)]
            case Ready():
                if slot.state is WorkerState.STARTING:
                    slot.move(WorkerState.BUSY if slot.held else WorkerState.ASKING)
                    return []
                # It was told to leave before it was born; behind what it was given, if it was.
                return [] if slot.held else [AwaitExit(slot.id, is_interrupted=False)]
            case Spoiled():
                return self._kill(slot)
            case Broken():  # pragma: no branch - the last one there is
                self._fault = self._fault or event
                if slot.state is not WorkerState.DRAINING:
                    slot.move(WorkerState.DRAINING)
                return [AwaitExit(slot.id, is_interrupted=False)]

    def _forget(self, task: int) -> None:
        if self._rules:
            self._rules.pop(task, None)
            self._tries.pop(task, None)

    # --- What follows ------------------------------------------------------------------------------------------------

    def _reconsider(self) -> list[TaskAction]:
        """Fill the hands of whoever may be given something, and have workers born, leave, or everything end."""
        if self._is_terminated:
            return []
        actions = [] if self._fault is None else self._tell_all_unstartable(self._fault)
        waiting = len(self._queue)
        is_at_end = self._fault is not None or (self._is_closing and not waiting and not self._is_any_held())
        busy = self.busy_count
        for slot in self._slots.values():
            state = slot.state
            if state is WorkerState.BUSY:
                if waiting and slot in self._heard and busy <= self._most_busy:
                    actions += self._fill(slot)
            elif is_at_end:
                if state in (WorkerState.ASKING, WorkerState.STARTING):
                    actions += self._dismiss(slot)
            elif state is WorkerState.ASKING or (state is WorkerState.STARTING and self._is_trusted(slot)):
                if waiting and busy < self._most_busy:
                    actions += self._fill(slot)
                    busy += bool(slot.held)
            elif state is WorkerState.VACANT and self._is_birth_wanted():
                actions += self._bear(slot)
        self._heard.clear()
        if is_at_end and self._is_closing and not self._is_finished:
            self._is_finished = True
            actions.append(Finish())
        return actions if self._queue else actions + self._share()

    def _bear(self, slot: TaskSlot) -> list[TaskAction]:
        slot.move(WorkerState.STARTING)
        slot.births += 1
        return [Spawn(slot.id, is_replacement=slot.births > 1)]

    def _share(self) -> list[TaskAction]:
        """Have somebody who has nothing to do take what another holds, if that is much."""
        if not any(slot.state is WorkerState.ASKING for slot in self._slots.values()):
            return []
        if self.busy_count >= self._most_busy:
            return []
        fullest = max(self._slots.values(), key=lambda slot: len(slot.held))
        return self._relieve(fullest) if self._pace.is_worth_taking(len(fullest.held) - 1) else []

    def _is_birth_wanted(self) -> bool:
        """Whether a vacant slot is to have a process: always while tasks may come, or only for those that are there."""
        if not self._bears_by_need:
            return bool(self._queue) or not self._is_closing
        is_room = sum([slot.is_alive for slot in self._slots.values()]) < self._most_busy
        free = [slot.state in _FREE and not slot.held for slot in self._slots.values()]
        return is_room and sum(free) < len(self._queue)

    def _is_trusted(self, slot: TaskSlot) -> bool:
        """Whether a process that is not ready yet may be given tasks: nobody else is there to begin them sooner."""
        return self._trusts_first and slot.births == 1 and slot is next(iter(self._slots.values())) and not slot.held

    def _is_any_held(self) -> bool:
        return any(slot.held for slot in self._slots.values())

    def _fill(self, slot: TaskSlot) -> list[TaskAction]:
        size = self._pace.hand_size(len(self._queue), self._most_busy)
        if (slot.held and len(slot.held) > size // 2) or slot.done < slot.kept:
            return []
        count = size - len(slot.held)
        if self._tasks_per_child is not None:
            count = min(count, self._tasks_per_child - slot.given)
        tasks = self._queue.take(count)
        if not tasks:
            return []
        if slot.state is WorkerState.ASKING:
            slot.move(WorkerState.BUSY)
        slot.held.extend(tasks)
        slot.given += len(tasks)
        announced = {task for task in tasks if self._is_timed(task)} if self._rules else ()
        actions: list[TaskAction] = [Give(slot.id, tasks, announced)]
        if slot.given == self._tasks_per_child:
            slot.move(WorkerState.DRAINING)
            actions.append(Dismiss(slot.id))
        return actions

    def _is_timed(self, task: int) -> bool:
        return self._rules.get(task, _NO_RULES).timeout_seconds is not None

    def _dismiss(self, slot: TaskSlot) -> list[TaskAction]:
        is_started = slot.state is not WorkerState.STARTING
        slot.move(WorkerState.DRAINING)
        # An initializer may take as long as it takes.
        return [Dismiss(slot.id), *([AwaitExit(slot.id, is_interrupted=False)] if is_started else [])]

    def _relieve(self, slot: TaskSlot) -> list[TaskAction]:
        return self._recall(slot) if len(slot.held) > 1 and slot.done >= slot.kept else []

    def _recall(self, slot: TaskSlot) -> list[TaskAction]:
        if slot.is_recalling:
            return []
        slot.is_recalling = True
        return [TakeBack(slot.id, slot.done + 1)]

    def _take_back(self, slot: TaskSlot, kept: int) -> list[TaskAction]:
        slot.is_recalling = False
        slot.kept = kept
        taken: list[int] = []
        while slot.held and slot.done + len(slot.held) > kept:
            taken.append(slot.held.pop())
        slot.given -= len(taken)
        self._queue.put_back(taken)
        return self._end_time(slot, slot.timed_out) if slot.timed_out is not None else []

    def _end_time(self, slot: TaskSlot, task: int) -> list[TaskAction]:
        slot.timed_out = None
        if slot.running != task:
            return []  # It was over in that moment.
        if len(slot.held) > 1 and slot.done < slot.kept:
            return []  # It is over: of what could not be taken back the worker had begun the last one.
        slot.timed_out = task
        return self._kill(slot) if len(slot.held) == 1 else self._recall(slot)

    def _kill(self, slot: TaskSlot) -> list[TaskAction]:
        """End a process now, and give it nothing more in the moment that it has left."""
        if slot.state is not WorkerState.DRAINING:
            slot.move(WorkerState.DRAINING)
        # Again after a while, should it not be known yet by which id to kill it.
        return [Kill(slot.id), AwaitExit(slot.id, is_interrupted=False)]

    # --- Ends --------------------------------------------------------------------------------------------------------

    def _lose(self, slot: TaskSlot, exit_: Exit, claimed: int, step: int) -> list[TaskAction]:
        actions: list[TaskAction] = []
        has_begun = bool(slot.held) and claimed > slot.done
        if has_begun:
            actions += self._judge(slot, slot.held.popleft(), exit_, step)
            slot.fruitless = 0
        elif slot.is_new and (slot.held or slot.state is WorkerState.STARTING):
            slot.fruitless += 1
        self._queue.put_back(slot.held)
        slot.forget_process()
        slot.move(WorkerState.VACANT)
        if self._is_template_gone:
            self._give_up(slot, "the process that starts them has ended")
        elif slot.fruitless >= MOST_FRUITLESS:
            died = f"{MOST_FRUITLESS} in a row died before they began a task; the last one: {exit_.describe()}"
            self._give_up(slot, died)
        return actions

    def _give_up(self, slot: TaskSlot, why: str) -> None:
        """Have nobody born into a vacant slot any more. Without any slot nothing can be done."""
        slot.move(WorkerState.RETIRED)
        if self._fault is None and all(slot.state is WorkerState.RETIRED for slot in self._slots.values()):
            self._fault = Broken("worker", why)

    def _judge(self, slot: TaskSlot, task: int, exit_: Exit, step: int) -> list[TaskAction]:
        """Say what becomes of the task that a worker died in."""
        if slot.timed_out == task and exit_.may_be_kill:
            self._forget(task)
            return [TellTimedOut(task)]
        tried = self._tries.get(task, 0)
        if tried < self._rules.get(task, _NO_RULES).retries:
            self._tries[task] = tried + 1
            self._queue.put_back([task])
            return []
        self._forget(task)
        return [TellCrashed(task, exit_, slot.id, step)]

    def _lose_template(self, exit_: Exit) -> None:
        """Nobody can be born any more; whoever is alive goes on, and is not replaced for what it has done."""
        self._tasks_per_child = None
        for slot in self._slots.values():
            if slot.state is WorkerState.VACANT:
                self._give_up(slot, f"the process that starts them has ended: {exit_.describe()}")

    def _tell_all_unstartable(self, fault: Broken) -> list[TaskAction]:
        tasks = self._queue.clear()
        for task in tasks:
            self._forget(task)
        return [TellUnstartable(task, fault.what, fault.text) for task in tasks]

    def _terminate(self) -> list[TaskAction]:
        self._is_terminated = True
        held = [task for slot in self._slots.values() for task in slot.held]
        return [TellCancelled(task) for task in [*held, *self._queue.clear()]]
