"""The engine whose workers are threads of this process: for tasks that wait. Nothing is pickled, and nothing crashes.

Theory of operation: tasks lie in one queue, from which threads take them; their outcomes lie in another one, from which
the service thread tells them, so that all callbacks come one after another, as they do with processes. A thread cannot
be killed: ``terminate`` ends the waiting for what still runs, ``join`` waits for it nevertheless.
"""

from __future__ import annotations

import enum
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from pytest_parpool.workload.descriptions import name_of
from pytest_parpool.workload.engine import Cancelled, Job, Outcome, Raised, Returned, Task, Unstartable
from pytest_parpool.workload.shares import Share


class _State(enum.Enum):
    RUNNING = enum.auto()
    CLOSED = enum.auto()
    TERMINATED = enum.auto()


class ThreadEngine:
    """Runs tasks in daemon threads, which are started when there is work for them.

    Args:
        processes: How many threads there are at most.
        initializer: Called in each thread before its first task, or None.
        initargs: For it.
        maxtasksperchild: After how many tasks a thread is replaced, or None.
    """

    # They wait, or share the interpreter, and so the slot, of whoever has made them.
    share: Share | None = None

    def __init__(
        self,
        processes: int,
        initializer: Callable[..., object] | None,
        initargs: Sequence[Any],
        maxtasksperchild: int | None,
    ) -> None:
        self.processes = processes
        self._initializer = initializer
        self._initargs = initargs
        self._tasks_per_thread = maxtasksperchild
        self._state = _State.RUNNING
        # Its lock can be taken again by the same thread: the garbage collector may close a pool at any line.
        self._changed = threading.Condition()
        self._waiting: deque[Task] = deque()
        self._running: set[Task] = set()
        self._threads: set[threading.Thread] = set()
        self._idle_count = 0
        self._started_count = 0
        self._failure: Unstartable | None = None
        self._outcomes: SimpleQueue[tuple[Task, Outcome] | None] = SimpleQueue()
        self._service: threading.Thread | None = None

    def pack(self, job: Job) -> Job:
        """Return the job itself: threads see the caller's own objects."""
        return job

    def size_of(self, packed: Job) -> int:
        """Return that it takes nothing."""
        del packed
        return 0

    def submit(self, tasks: Sequence[Task]) -> None:
        """Take tasks, to be begun in this order.

        Raises:
            ValueError: If the engine is closed.
        """
        with self._changed:
            if self._state is not _State.RUNNING:
                raise ValueError("Pool not running")
            if self._service is None:
                self._service = threading.Thread(target=self._tell_outcomes, name="parpool-pool", daemon=True)
                self._service.start()
            if self._failure is not None:
                for task in tasks:
                    self._outcomes.put((task, self._failure))
                return
            self._waiting.extend(tasks)
            missing = min(len(self._waiting) - self._idle_count, self.processes - len(self._threads))
            for _ in range(missing):
                self._start_thread()
            self._changed.notify(len(tasks))

    def cancel(self, task: Task) -> bool:
        """Take a task back, if it has not been begun. Return whether it was."""
        with self._changed:
            try:
                self._waiting.remove(task)
            except ValueError:
                return False
            self._outcomes.put((task, Cancelled()))
            return True

    def close(self) -> None:
        """Take nothing more; all threads leave when everything is done."""
        with self._changed:
            if self._state is _State.RUNNING:
                self._end_as(_State.CLOSED)

    def terminate(self) -> None:
        """Take nothing more, and have every task that is not done end as ``Cancelled``."""
        with self._changed:
            if self._state is _State.TERMINATED:
                return
            for task in (*self._running, *self._waiting):
                self._outcomes.put((task, Cancelled()))
            self._running.clear()
            self._waiting.clear()
            self._end_as(_State.TERMINATED)

    def join(self) -> None:
        """Wait until no thread is left; those that run something cannot be stopped.

        Raises:
            ValueError: If it was neither closed nor terminated.
        """
        if self._state is _State.RUNNING:
            raise ValueError("Pool is still running")
        while True:
            with self._changed:
                thread = next(iter(self._threads), None)
            if thread is None:
                break
            thread.join()
        if self._service is not None:
            self._service.join()

    def _end_as(self, state: _State) -> None:
        self._state = state
        self._changed.notify_all()
        if not self._threads:
            self._outcomes.put(None)

    def _start_thread(self) -> None:
        self._started_count += 1
        thread = threading.Thread(target=self._work, name=f"parpool-pool-{self._started_count}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        if self._is_initialized():
            done_count = 0
            task: Task | None = self._take()
            while task is not None:
                outcome = _run(task.packed)
                self._put_outcome(task, outcome)
                # What they refer to may be large, and the next task may be long in coming.
                del task, outcome
                done_count += 1
                task = None if done_count == self._tasks_per_thread else self._take()
        self._leave()

    def _is_initialized(self) -> bool:
        """Call the initializer. If it fails, nothing will ever run: every task gets to know that."""
        if self._initializer is None:
            return True
        try:
            self._initializer(*self._initargs)
        except BaseException:  # noqa: BLE001  -- handed over: every task that waits gets its text
            failure = Unstartable(f"initializer '{name_of(self._initializer)}'", traceback.format_exc())
            with self._changed:
                self._failure = failure
                for task in self._waiting:
                    self._outcomes.put((task, failure))
                self._waiting.clear()
            return False
        return True

    def _take(self) -> Task | None:
        """Wait for a task; return None if there will be no more."""
        with self._changed:
            while not self._waiting:
                if self._state is not _State.RUNNING:
                    return None
                self._idle_count += 1
                self._changed.wait()
                self._idle_count -= 1
            task = self._waiting.popleft()
            self._running.add(task)
            task.begun_at = time.monotonic()
            return task

    def _put_outcome(self, task: Task, outcome: Outcome) -> None:
        with self._changed:
            if task in self._running:  # Else it was terminated meanwhile, and has its outcome.
                self._running.remove(task)
                self._outcomes.put((task, outcome))

    def _leave(self) -> None:
        with self._changed:
            self._threads.discard(threading.current_thread())
            if self._waiting and len(self._threads) < self.processes:
                self._start_thread()
            elif self._state is not _State.RUNNING and not self._threads:
                self._outcomes.put(None)

    def _tell_outcomes(self) -> None:
        while (entry := self._outcomes.get()) is not None:
            task, outcome = entry
            task.on_outcome(outcome)
            del task, outcome, entry


def _run(job: Job) -> Outcome:
    function = job.function
    try:
        values = [function(*args, **kwargs) for args, kwargs in job.calls]
    except BaseException as error:  # noqa: BLE001  -- handed over to whoever asked for the result
        return Raised(error)
    return Returned(values if job.is_chunk else values[0])
