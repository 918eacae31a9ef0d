"""The engine whose workers are processes: the pool that runs tests, for calls.

Processes are forked by the template, which is forked here, in the thread that makes the pool, behind the first worker;
or they are fresh interpreters. Everything after that is the service thread's.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pytest_parpool.model.ids import worker_ids
from pytest_parpool.model.task_messages import Part
from pytest_parpool.runtime.running_pool import RunningPool
from pytest_parpool.workload.engine import Job, Task
from pytest_parpool.workload.fork_gate import fork_gate
from pytest_parpool.workload.pickling import dump_job
from pytest_parpool.workload.service import Service
from pytest_parpool.workload.shares import Share
from pytest_parpool.workload.start_method import choose_start_method
from pytest_parpool.workload.task_channel import TaskChannel
from pytest_parpool.workload.task_worker import TaskWorker

# How long the interpreter's end may wait for killed processes; only a kernel in trouble needs it.
_LAST_SECONDS = 10.0
# How long a callback of another pool may hold up a fork; one that takes longer may wait for us.
_PATIENCE_SECONDS = 1.0


class ProcessEngine:
    """Runs tasks in processes; see ``engine.Engine``. Whoever forgets it without ``terminate`` ends it, too.

    Args:
        processes: How many at most, at least 1. One is started at once; the others when tasks wait for them, but at
            once, too, if they take long to be ready: because of an initializer, or as fresh interpreters.
        initializer: Called in each before it does anything else, or None.
        initargs: Its arguments.
        maxtasksperchild: After how many tasks a process is replaced, or None.
        start_method: ``fork``, ``spawn``, or None to fork if no other thread is here, or does anything.
        share: The pool's part in a CPU budget, or None for no limit. With it only one process is started at once.

    Raises:
        UnpicklableTaskError: If the initializer does not pickle, and workers are spawned.
        OSError: If the system gives no process or no descriptors.
    """

    def __init__(
        self,
        processes: int,
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[Any] = (),
        maxtasksperchild: int | None = None,
        start_method: str | None = None,
        share: Share | None = None,
    ) -> None:
        self.processes = processes
        self.share = share
        environment = share.environment if share is not None else None
        workers = worker_ids(processes)
        pool = None
        has_firstborn = False
        if choose_start_method(start_method) == "fork":
            from pytest_parpool.runtime import firstborn
            from pytest_parpool.runtime.template import Template

            main = TaskWorker(initializer, initargs, environment)
            start = functools.partial(Template, None, main, own_sessions=False)
            # A test may do anything with the children of its process.
            has_firstborn = share is None and firstborn.is_possible()
            with fork_gate.closed(_PATIENCE_SECONDS) as is_quiet:
                if is_quiet or start_method is not None:
                    pool = RunningPool(workers, start, TaskChannel, first=workers[0] if has_firstborn else None)
        is_forked = pool is not None
        # What takes long to be ready is begun at once: an initializer, a fresh interpreter.
        is_by_need = share is not None or (is_forked and initializer is None)
        if pool is None:
            from pytest_parpool.runtime.launchers import start_launcher
            from pytest_parpool.workload.spawned import order_launch

            launch = order_launch(initializer, initargs, environment)
            pool = RunningPool(workers, functools.partial(start_launcher, launch), TaskChannel)
        pool.spawn_ahead(workers[:1] if is_by_need else workers)
        self._service = Service(
            pool,
            workers,
            tasks_per_child=maxtasksperchild,
            has_initializer=initializer is not None,
            bears_by_need=is_by_need,
            trusts_first=has_firstborn and is_forked and initializer is None,
            share=share,
        )
        _note(self._service, self)

    def pack(self, job: Job) -> list[Part]:
        """Return the job as bytes.

        Raises:
            UnpicklableTaskError: If something does not pickle; it names it, and the extra that would help.
        """
        return dump_job(job)

    def size_of(self, packed: Sequence[Part]) -> int:
        """Return how many bytes a packed job has."""
        return sum(map(len, packed))

    def submit(self, tasks: Sequence[Task]) -> None:
        """Take tasks, to be begun in this order. With the first the service thread starts.

        Raises:
            ValueError: If the engine is closed.
        """
        self._service.submit(tasks)

    def cancel(self, task: Task) -> bool:
        """Take a task back, if it has not been given to a worker; its outcome is ``Cancelled``. Return whether."""
        return self._service.try_cancel(task)

    def close(self) -> None:
        """Take nothing more; all workers leave when everything is done."""
        self._service.close()

    def terminate(self) -> None:
        """Take nothing more, kill all workers, and have every task that is not done end as ``Cancelled``."""
        self._service.terminate()

    def join(self) -> None:
        """Wait until no worker and no service thread is left.

        Raises:
            ValueError: If it was neither closed nor terminated.
        """
        self._service.join()


# Those that may not have ended, each with the reference that ends it with its engine. Not weak themselves: each forked
# child looks through them, which would be slow.
_services: dict[Service, weakref.ref[ProcessEngine]] = {}


def _note(service: Service, engine: ProcessEngine) -> None:
    """Have a service end with its engine, or with the interpreter."""
    for other in list(_services):
        if other.is_ended:
            _services.pop(other, None)
    _services[service] = weakref.ref(engine, lambda _: service.abandon())


def _end_all() -> None:
    """End the pools that the interpreter's end finds, and wait for their processes to be gone."""
    for service in list(_services):
        if service.is_own_process:
            service.terminate()
            service.join(_LAST_SECONDS)


def _let_go_in_child() -> None:
    for service in list(_services):
        service.let_go_in_child()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go_in_child)
atexit.register(_end_all)
