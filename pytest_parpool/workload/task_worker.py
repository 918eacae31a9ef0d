"""What a worker of a pool does: become itself, call the initializer, do tasks, leave.

A task may do to its process what it likes. What it raises is its outcome, but for ``SystemExit``, which ends the
process, as it does everywhere. A child that a task forks, and that comes back from the call, ends there.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_parpool import runs
from pytest_parpool.model.exits import CHANNEL_LOST_CODE
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Broken, Ready
from pytest_parpool.model.records import prepare
from pytest_parpool.model.task_messages import Assignment, Begun, Do, Done, Leave, Part
from pytest_parpool.runtime.interrupts import raise_interrupts
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.runtime.outputs import OUTPUT_NAME, STACKS_NAME, make_file, tell_fds
from pytest_parpool.workload.calls import OneArgumentCalls
from pytest_parpool.workload.descriptions import describe_job
from pytest_parpool.workload.engine import Job, Raised, Returned
from pytest_parpool.workload.output_copy import OutputCopy
from pytest_parpool.workload.pickling import dump_outcome, load_job
from pytest_parpool.workload.task_link import TaskLink

_exit = os._exit
_clock = time.perf_counter


class TaskWorker:
    """A worker's main function. Made in the owner; it is inherited, or pickled.

    Args:
        initializer: Called once in each worker before it does anything else, or None.
        initargs: Its arguments.
        environment: Variables that are set at the beginning, if it has a slot of a CPU budget, and else None.
    """

    def __init__(
        self,
        initializer: Callable[..., object] | None,
        initargs: Sequence[Any],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        # What the first task makes instances of, in each worker, and then in the owner, too.
        prepare(Assignment, Do, Done, Job, Leave, Ready, Returned)
        WorkerLink.prepare()
        self._initializer = initializer
        self._initargs = initargs
        self._environment = environment

    def __call__(self, link: WorkerLink, worker: WorkerId) -> None:
        """Live. Returns when the worker is to leave, and everything is told."""
        tasks = TaskLink(link)
        output_fd, fault_fd = link.files or (make_file(OUTPUT_NAME), make_file(STACKS_NAME))
        _leave_owner(worker, fault_fd)
        output = OutputCopy(output_fd)
        output.install()
        if self._environment is not None:
            # What a task starts shares its slot, and never waits for another one.
            runs.forget_budgets()
            os.environ.update(self._environment)
        try:
            if self._is_initialized(tasks):
                tasks.send(Ready(os.getpid(), tell_fds((output_fd, -1, fault_fd))))
                _serve(tasks, output)
        except LinkLostError:
            # A task closed our descriptors, or the owner is gone. Nothing more can be told; the code says it.
            _exit(CHANNEL_LOST_CODE)
        atexit._run_exitfuncs()  # noqa: SLF001  -- what tasks have registered; there is no public word for it

    def _is_initialized(self, tasks: TaskLink) -> bool:
        if self._initializer is None:
            return True
        try:
            self._initializer(*self._initargs)
        # Handed over: it ends the pool, with its traceback.
        except BaseException as error:  # noqa: BLE001
            _end_if_child(tasks, error)
            name = getattr(self._initializer, "__qualname__", None) or repr(self._initializer)
            tasks.send(Broken(f"initializer '{name}'", traceback.format_exc()))
            return False
        _end_if_child(tasks, None)
        return True


def _leave_owner(worker: WorkerId, fault_fd: int) -> None:
    """Drop what a forked child must not keep of its parent; Python's stacks will be in the file."""
    raise_interrupts()
    signal.set_wakeup_fd(-1)  # An event loop of the owner's would be woken by our signals.
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        current = process.current_process()
        current.name = f"PoolWorker-{worker.removeprefix('gw')}"
        if current.daemon:  # As the owner is; but tasks may start processes of their own.
            current.daemon = False
    if fault_fd >= 0:
        faulthandler.enable(fault_fd)


def _serve(tasks: TaskLink, output: OutputCopy) -> None:
    """Do tasks until there is nothing more to do."""
    while (assignment := tasks.next_task()) is not None:
        output.begin()
        begun_at = _clock()
        if assignment.is_announced:
            tasks.send(Begun(assignment.task, time.monotonic()))
        parts = _do(tasks, assignment)
        tasks.send(Done(assignment.task, _clock() - begun_at, parts))
        tasks.forget(assignment)
        # While we wait for the next task, nobody should find the last one's objects alive.
        del assignment, parts


def _do(tasks: TaskLink, assignment: Assignment) -> Sequence[Part]:
    """Do a task, and return its outcome, to be sent."""
    outcome: Returned | Raised
    try:
        outcome = Returned(_call(tasks.step, assignment.parts))
    except SystemExit as error:
        _end_if_child(tasks, error)
        _flush_streams()
        raise
    # Handed over: it is raised where somebody waits for the result.
    except BaseException as error:  # noqa: BLE001
        _end_if_child(tasks, error)
        outcome = Raised(error)
    _end_if_child(tasks, None)
    _flush_streams()  # What a task has written is there when its result is.
    try:
        return dump_outcome(outcome)
    except (MemoryError, RecursionError) as error:
        return dump_outcome(Raised(error))


def _call(step: memoryview, parts: Sequence[Part]) -> Any:
    job = load_job(parts)
    party = sys.modules.get("pytest_parpool.sync.party")
    if party is not None:  # Else nobody here has an object that others could be told of.
        party.name_work(f"task '{describe_job(job)}'")
    function = job.function
    # There may be many, each of them short; of all loops that note which call they are in, this is the fastest.
    if type(job.calls) is OneArgumentCalls:
        results = [function(item) for step[0], item in enumerate(job.calls.items)]
    else:
        results = [function(*args, **kwargs) for step[0], (args, kwargs) in enumerate(job.calls)]
    return results if job.is_chunk else results[0]


def _end_if_child(tasks: TaskLink, error: BaseException | None) -> None:
    """End this process, if it is a child that a task has forked; else a second worker would speak for the first."""
    if tasks.is_own_process:
        return
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(type(error), error, error.__traceback__)
        code = 1
    _flush_streams()
    _exit(code)


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):  # noqa: PERF203  -- twice; None, closed, or nobody reads
            pass
