"""A worker on Windows, and what it has started: a job, which is killed as a whole, and ends with the controller.

Windows has no process groups that can be killed, and no signals. A job is what ``lifeline`` and ``process_group`` are
on POSIX: the only handle is the controller's, so that however the controller ends, the kernel closes it, and kills.
"""

from __future__ import annotations

import signal

from pytest_parpool.model.exits import SIGKILL
from pytest_parpool.runtime.process_group import WorkerGroup
from pytest_parpool.runtime.windows import kernel

# What a process that was killed leaves with; as the task manager has it.
_KILLED_CODE = 1


def interrupt_name(pid: int) -> str:
    """Return the name of the event by which a worker hears of Ctrl-C."""
    return f"Local\\pytest-parpool-interrupt-{pid}"


class Job(WorkerGroup):
    """A worker's job. Owns its handles; ``end`` it.

    Args:
        pid: The worker's process id.
        process: The worker's handle; it has started nothing yet.

    Attributes:
        is_killed: Whether it was ended from here.

    Raises:
        OSError: If there can be no job.
    """

    def __init__(self, pid: int, process: int) -> None:
        self.is_killed = False
        self._job = 0
        self._interrupt = kernel.make_event(interrupt_name(pid))
        try:
            self._job = kernel.make_job()
            kernel.add_to_job(self._job, process)
        except BaseException:
            self.end(is_good=False)
            raise

    def signal(self, number: int) -> None:
        """Interrupt the worker, or kill it with all that it has started; there are no other signals on Windows."""
        if number == SIGKILL and self._job:
            self.is_killed = True
            kernel.kill_job(self._job, _KILLED_CODE)
        elif number == signal.SIGINT and self._interrupt:
            kernel.set_event(self._interrupt)

    def end(self, *, is_good: bool) -> None:
        """Let go, once the worker has ended.

        Args:
            is_good: Whether it ended as it should: then what it has left behind on purpose goes on.
        """
        job, self._job = self._job, 0
        if job:
            if is_good:
                kernel.spare_job(job)
            kernel.close_handle(job)
        event, self._interrupt = self._interrupt, 0
        if event:
            kernel.close_handle(event)
