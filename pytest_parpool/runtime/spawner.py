"""What starts worker processes, reaps them, and says how they ended: the one interface of every start method."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable
from typing import TypeAlias

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.records import Record, record
from pytest_parpool.runtime.link import WorkerLink
from pytest_parpool.runtime.process_group import WorkerGroup
from pytest_parpool.runtime.sockets import RawSocket

WorkerMain: TypeAlias = Callable[[WorkerLink, WorkerId], None]
"""What a worker does: called in it, with its connection and its slot; leaves by returning."""


@record
class Born(Record):
    """A worker was started.

    Attributes:
        worker: Its slot.
        pid: Its process id.
        pidfd: The receiver owns it; -1 where there is no such thing.
        group: Whom signals for it are sent to.
    """

    worker: WorkerId
    pid: int
    pidfd: int
    group: WorkerGroup


@record
class Unborn(Record):
    """A worker could not be started."""

    worker: WorkerId
    why: str


@record
class Ended(Record):
    """A worker was reaped."""

    worker: WorkerId
    exit: Exit


Word: TypeAlias = Born | Unborn | Ended


class Spawner(abc.ABC):
    """What starts workers, and knows of their ends; every start method brings its own, with all that is not given here.

    It never blocks but in ``wait_exit`` and ``close``.

    Attributes:
        is_ended: Whether it is gone, and nobody says any more how a worker ended. Set by ``receive``.
        born: The worker that was there before anybody asked for it, or None.
    """

    is_ended = False
    born: Born | None = None

    @abc.abstractmethod
    def fileno(self) -> int:
        """Return a descriptor that is readable when ``receive`` has something to say, for a selector."""

    @property
    @abc.abstractmethod
    def pid(self) -> int:
        """The id of its process."""

    @abc.abstractmethod
    def spawn(self, worker: WorkerId, end: RawSocket) -> None:
        """Ask for a worker that owns ``end``; the caller's copy is closed.

        Raises:
            OSError: If nobody is there to do it.
        """

    @abc.abstractmethod
    def receive(self) -> list[Word]:
        """Return what was born and what has ended since the last call."""

    @abc.abstractmethod
    def wait_exit(self, timeout_seconds: float) -> Exit:
        """Return how it ended, after waiting for it; its code is None if it has not."""

    @abc.abstractmethod
    def finish(self) -> None:
        """Note that nobody will be born any more: a process of its own may end with the last worker."""

    @abc.abstractmethod
    def close(self) -> None:
        """End it with all its workers, and wait for their exit."""


class OwnProcess(Spawner):
    """This process, as the parent of its workers: it goes on, whatever becomes of them."""

    @property
    def pid(self) -> int:
        """The id of the process that starts workers: this one."""
        return os.getpid()

    def wait_exit(self, timeout_seconds: float) -> Exit:
        """Return how this process ended, which nobody here will see."""
        del timeout_seconds
        return Exit(None)

    def finish(self) -> None:
        """Do nothing: this process goes on when its last worker has ended."""
