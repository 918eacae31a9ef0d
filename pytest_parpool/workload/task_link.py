"""The worker's end of its connection to the pool's owner: the tasks in its hand, and what it says of them.

Blocking, for the worker's main thread only. What tasks may do to a process is told in ``runtime.link``, whose checks
are used here. One thing is simpler: a signal handler that raises in here, where no task runs, ends the process, which
is then replaced; so nothing need be consistent behind it.
"""

from __future__ import annotations

import collections

from pytest_parpool.model.messages import Recalled
from pytest_parpool.model.task_messages import Assignment, Do, Leave, TaskEvent
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.runtime.parts import Buffer, PartReader
from pytest_parpool.runtime.sockets import SO_SNDBUF, SOL_SOCKET, RawSocket
from pytest_parpool.workload.task_codec import decode_command, encode_event

_BULK_BYTES = 1 << 15
_SOCKET_BYTES = 1 << 20  # A large result leaves in one go, if the kernel allows it.


class TaskLink:
    """What a worker has to do, and where it says what came of it.

    Args:
        link: As the worker was given it; nobody else may use it any more.

    Attributes:
        is_leaving: Whether the worker is to leave when it holds nothing more.
    """

    def __init__(self, link: WorkerLink) -> None:
        self._link = link
        self._page = link.page
        self._step = link.page.step
        self._reader = PartReader(_BULK_BYTES)
        self._held: collections.deque[Assignment] = collections.deque()
        self._begun = 0
        self.is_leaving = False
        sock = RawSocket(fileno=link.fd)
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, _SOCKET_BYTES)
        sock.detach()

    @property
    def is_own_process(self) -> bool:
        """Whether this process is the worker, not a child that a task forked."""
        return self._link.is_own_process

    @property
    def step(self) -> memoryview:
        """One number: which call of its task the worker is in, or -1. It survives the process."""
        return self._step

    def next_task(self) -> Assignment | None:
        """Wait for the next task, and return it; from here on it counts as begun. None if the worker is to leave.

        Raises:
            LinkLostError: If the connection is gone.
        """
        while True:
            if self._held:
                count = self._begun + 1
                self._step[0] = -1  # Of the last task's calls; before it is known whose it would be.
                self._page.claim(count)
                if self._page.is_open(count):
                    self._begun = count
                    return self._held.popleft()
                # What is behind has been taken back, and perhaps this one; the message that says so is under way.
            elif self.is_leaving:
                return None
            self._receive()

    def forget(self, task: Assignment) -> None:
        """Say that a task's pickle is not needed any more; what was made of it, is."""
        self._reader.reuse(task.parts[0])

    def _receive(self) -> None:
        if not self._link.is_connected():
            raise LinkLostError
        try:
            count = self._link.end.read_into(self._reader.space())
        except OSError as error:
            raise LinkLostError from error
        if not count:
            raise LinkLostError
        self._reader.fill(count)
        for body, parts in self._reader.frames():
            match decode_command(body, parts):
                case Do(tasks):
                    self._held += tasks
                case Recalled(kept):
                    while self._held and self._begun + len(self._held) > kept:
                        self._held.pop()
                    self._page.claim(self._begun)  # What was claimed last may have been taken back.
                    self._page.reopen()
                case Leave():  # pragma: no branch - the last one there is
                    self.is_leaving = True

    def send(self, event: TaskEvent) -> None:
        """Say something; when this returns, it has left the process, and survives it.

        Raises:
            LinkLostError: If the connection is gone.
        """
        buffers = encode_event(event)
        while buffers:
            if not self._link.is_connected():
                raise LinkLostError
            try:
                count = self._link.end.write_some(buffers)
            except OSError as error:
                raise LinkLostError from error
            buffers = _without(buffers, count)


def _without(buffers: list[Buffer], count: int) -> list[Buffer]:
    """Return what is left when so many bytes of it are written."""
    for place, buffer in enumerate(buffers):
        if count < len(buffer):
            return [memoryview(buffer)[count:], *buffers[place + 1 :]]
        count -= len(buffer)
    return []
