"""The service thread of a pool of processes: the only one that speaks to the workers, and that tells outcomes.

Other threads leave what they want in an inbox, and wake it if it sleeps: a wake-up is a system call, and a busy thread
needs none. Nothing of the pool is touched by them, so that a Ctrl-C in the main thread interrupts nothing half-way.

Nothing here knows the engine, so that a pool that nobody knows any more can be collected, which ends it.
"""

from __future__ import annotations

import itertools
import os
import threading
import traceback
from collections.abc import Sequence

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.records import Record
from pytest_parpool.model.task_notices import (
    Allowed,
    CloseRequested,
    Submitted,
    TaskNotice,
    TaskRules,
    TerminateRequested,
)
from pytest_parpool.policy.tasks.dispatcher import TaskDispatcher
from pytest_parpool.runtime.running_pool import RunningPool
from pytest_parpool.workload.engine import Cancelled, Outcome, Task, Unstartable
from pytest_parpool.workload.fork_gate import fork_gate
from pytest_parpool.workload.pickling import load_outcome
from pytest_parpool.workload.service_threads import THREAD_NAME, note_end
from pytest_parpool.workload.shares import Share
from pytest_parpool.workload.task_pool import TaskPool, Told

# How often it is looked whether tasks that wait may run on slots that others have left.
_LOOK_SECONDS = 0.02


class Service:
    """Runs a pool's tasks, from the first submission until the pool is closed and all is done, or terminated.

    Args:
        pool: Started, its workers asked for ahead; owned from here on.
        workers: The slots.
        tasks_per_child: After how many tasks a worker is replaced, or None.
        has_initializer: Whether workers do something before their first task.
        bears_by_need: Whether only one worker is born at once, and others when tasks wait for them.
        trusts_first: Whether the first worker may be given tasks before it has said that it is ready.
        share: The pool's part in a CPU budget, or None for no limit; owned from here on.

    Attributes:
        is_ended: Whether it has no process any more.
    """

    def __init__(
        self,
        pool: RunningPool,
        workers: Sequence[WorkerId],
        *,
        tasks_per_child: int | None,
        has_initializer: bool,
        bears_by_need: bool,
        trusts_first: bool,
        share: Share | None,
    ) -> None:
        self._pool = pool
        self._share = share
        self._processes = len(workers)
        self._has_initializer = has_initializer
        self._dispatcher = TaskDispatcher(
            workers, tasks_per_child=tasks_per_child, bears_by_need=bears_by_need, trusts_first=trusts_first
        )
        self._pid = os.getpid()
        self._numbers = itertools.count()
        self._tasks: dict[int, Task] = {}  # that are not over
        self._task_pool = TaskPool(pool, self._tasks)
        # Guards what is below, and the dispatcher. Taken for moments only, never while something is waited for. It can
        # be taken twice by one thread: the garbage collector may end a forgotten pool at any line.
        self._lock = threading.RLock()
        self._inbox: list[TaskNotice] = []
        self._cancelled: list[Told] = []
        self._is_closed = self._is_terminated = False
        self._is_asleep = False
        # Held while the service thread is woken, apart from the lock, which this thread wants next.
        self._waking = threading.RLock()
        self.is_ended = False
        self._thread: threading.Thread | None = None

    # --- For any thread ----------------------------------------------------------------------------------------------

    @property
    def is_own_process(self) -> bool:
        """Whether this is the process that has the workers, not a forked copy of it."""
        return os.getpid() == self._pid

    def submit(self, tasks: Sequence[Task]) -> None:
        """Take tasks, to be begun in this order.

        Raises:
            ValueError: If the pool is closed.
        """
        with self._lock:
            if self._is_closed:
                raise ValueError("Pool not running")
            numbered = dict(zip(self._numbers, tasks, strict=False))
            rules = {}
            for number, task in numbered.items():
                task.number = number
                if task.retries or task.timeout_seconds is not None:
                    rules[number] = TaskRules(task.retries, task.timeout_seconds)
            self._tasks.update(numbered)
            if self._share is not None:
                # Before the caller can lend its slot, which others would else take for free.
                self._note_share(self._share)
            self._inbox.append(Submitted(tuple(numbered), rules))
            is_wanted = self._is_service_wanted()
        if is_wanted:
            self._start_or_wake()

    def try_cancel(self, task: Task) -> bool:
        """Take a task back, if it has not been given to a worker. Return whether it was."""
        with self._lock:
            if self._tasks.get(task.number) is not task:
                return False
            self._read_submissions()
            if not self._dispatcher.try_cancel(task.number):
                return False
            self._cancelled.append((task.number, Cancelled()))
            is_wanted = self._is_service_wanted()
        if is_wanted:
            self._start_or_wake()
        return True

    def close(self) -> None:
        """Take nothing more; workers leave when everything is done."""
        with self._lock:
            if self._is_closed:
                return
            if self._thread is None and not self._tasks and not self._has_initializer:
                self._end()  # There is nothing that a worker could have to tear down.
                return
            self._is_closed = True
            self._inbox.append(CloseRequested())
            is_wanted = self._is_service_wanted()
        if is_wanted:
            self._start_or_wake()

    def terminate(self) -> None:
        """Take nothing more, kill all workers, and let every task that is not done end as cancelled."""
        with self._lock:
            if self._is_terminated or self.is_ended:
                return
            self._is_closed = self._is_terminated = True
            if self._thread is None and not self._tasks:
                self._end()
                return
            self._inbox.append(TerminateRequested())
            is_wanted = self._is_service_wanted()
        if is_wanted:
            self._start_or_wake()

    def abandon(self) -> None:
        """Terminate, because nobody knows this pool any more, or the interpreter ends. Nothing in a forked copy."""
        if self.is_own_process:
            self.terminate()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait until no worker and no service thread is left.

        Raises:
            ValueError: If nobody has closed or terminated.
        """
        if not self._is_closed:
            raise ValueError("Pool is still running")
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def let_go_in_child(self) -> None:
        """In a forked copy of this process: let the workers end with the original, not with the copy."""
        self._pool.let_go()

    def _is_service_wanted(self) -> bool:
        """Return whether the caller has to start or wake the service thread, once it has let go of the lock."""
        is_wanted = self._is_asleep or self._thread is None
        self._is_asleep = False
        return is_wanted

    def _start_or_wake(self) -> None:
        with self._waking:
            if self.is_ended:
                return
            if self._thread is not None:
                self._pool.queue.wake()
                return
            self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # At the interpreter's end, or beyond what the system allows, there are none.
                self._thread = None
                self._end()
                raise

    def _end(self) -> None:
        """End everything here, as there is no service thread to do it."""
        self._is_closed = self.is_ended = True
        self._pool.close()
        if self._share is not None:
            self._share.close()

    def _read_submissions(self) -> None:
        """Have the dispatcher know of all tasks, so that it can cancel them."""
        inbox, self._inbox = self._inbox, []
        for notice in inbox:
            if isinstance(notice, Submitted):
                self._dispatcher.accept(notice)
        rest = [notice for notice in inbox if not isinstance(notice, Submitted)]
        # The empty one has the service look at the queue, if it is about to fall asleep.
        self._inbox[:0] = [Submitted((), {}), *rest] if inbox else []

    # --- In the service thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        rest: Outcome = Cancelled()  # for who was interrupted while submitting
        fork_gate.go_on()
        try:
            self._live()
        # A fault of ours: nobody may wait for a thread that is not there.
        except BaseException:  # noqa: BLE001
            rest = Unstartable("the pool's service thread", traceback.format_exc())
        finally:
            with self._lock:
                self._is_closed = True
            with self._waking:  # From now on nobody may wake us by a descriptor that is closed.
                self.is_ended = True
            self._pool.close()
            if self._share is not None:
                self._share.close()
            self._tell([(number, rest) for number in list(self._tasks)])
            fork_gate.rest()
            note_end()

    def _live(self) -> None:
        """Do what comes, until nothing can come any more."""
        notices: list[TaskNotice] = []
        share = self._share
        actions = self._dispatcher.start()
        while True:
            with self._lock:
                # Whole lists change hands: the garbage collector may put something into one at any line.
                inbox, self._inbox = self._inbox, []
                told, self._cancelled = self._cancelled, []
                if share is not None:
                    notices.append(Allowed(share.claim(self._wanted())))
                actions += self._dispatcher.handle([*notices, *inbox])
                if share is not None:
                    self._note_share(share)
                is_over = self._dispatcher.is_over
                holders = self._dispatcher.holders()
                running = self._dispatcher.running()
            more, notices = self._task_pool.perform(actions)
            self._tell(told + more)
            if is_over:
                return
            self._task_pool.note_running(running)
            actions, told, more, inbox = [], [], [], []
            with self._lock:
                if share is not None:
                    self._note_share(share)  # What has been told is wanted no more.
                pace_seconds = _LOOK_SECONDS if self._dispatcher.is_held_back else None
                may_wait = not (notices or self._inbox or self._cancelled)
                self._is_asleep = may_wait
            fork_gate.rest()
            while True:
                notices += self._task_pool.wait(may_wait=may_wait, holders=holders, most_seconds=pace_seconds)
                # What was the pool's own business, as a birth, changes nothing; and who wants something has woken us.
                if notices or pace_seconds is not None or not self._is_asleep:
                    break
            self._is_asleep = False
            fork_gate.go_on()

    def _wanted(self) -> int:
        """Return how many tasks would run at once if they could."""
        return min(len(self._tasks), self._processes)

    def _note_share(self, share: Share) -> None:
        share.note(self._dispatcher.busy_count, self._wanted())

    def _tell(self, told: Sequence[Told]) -> None:
        """Tell outcomes. In a function, so that the last one's objects are let go while the thread waits."""
        for number, said in told:
            task = self._tasks.pop(number)
            outcome = said if task.failure is None else task.failure
            task.on_outcome(outcome if isinstance(outcome, Record) else load_outcome(outcome))
