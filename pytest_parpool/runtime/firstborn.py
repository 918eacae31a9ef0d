"""The first worker of a pool, forked by the pool's owner itself, just before the template that forks all others.

It has not to wait for the template to be there, which takes as long as its own birth. And what the owner makes for it,
it inherits: files for what it writes, so that it may be given a task before it has said where they are.

Theory of operation: it is the owner's child, so only the owner can say how it ended; the template is told its pidfd,
watches that like those of its own children, and says when it has ended. For whoever reaps children that he does not
know, or ignores their ends (``SIGCHLD``, wait(2)), the end of a child of ours could get lost: there the template forks
this worker, too, as where there are no pidfds.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Callable

from pytest_parpool.model.exits import SIGKILL, Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.records import Record, record
from pytest_parpool.runtime.forking import Child, Fork, open_pidfd
from pytest_parpool.runtime.process_group import ProcessGroup
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.runtime.spawner import Born

# How long a killed process may take to be gone; only a kernel in trouble needs it.
_KILL_SECONDS = 10.0


@record
class FirstBirth(Record):
    """What a first worker is given.

    Attributes:
        worker: Its slot.
        end: Its end of the connection.
        owners_end: The other one, which is not for it.
        files: Descriptors of empty files for what tasks write, and for Python's stacks.
    """

    worker: WorkerId
    end: RawSocket
    owners_end: RawSocket
    files: tuple[int, int]


def is_possible() -> bool:
    """Whether this process would hear how a child of its own ended, and others could see that it did."""
    if sys.platform != "linux" or signal.getsignal(signal.SIGCHLD) is not signal.SIG_DFL:
        return False
    pidfd = open_pidfd(os.getpid())
    if pidfd >= 0:
        os.close(pidfd)
    return pidfd >= 0


class Firstborn:
    """The owner's child.

    Args:
        birth: Of it.
        fork: Forks it.
        live: What it does.

    Attributes:
        birth: As given.
        born: What is to be said of it; whoever says so gives the pidfd away.

    Raises:
        OSError: If the system gives no process, or no descriptor to watch it by.
    """

    def __init__(self, birth: FirstBirth, fork: Fork, live: Callable[[], None]) -> None:
        self.birth = birth
        self._child: Child = fork(live)
        birth.end.close()
        pid = self._child.pid
        self.born = Born(birth.worker, pid, open_pidfd(pid), ProcessGroup(pid))
        if self.born.pidfd < 0:
            self.abandon()
            raise OSError(errno.EMFILE, "no descriptor is left to watch the first worker by")

    def wait_exit(self, timeout_seconds: float) -> Exit:
        """Return how it ended, after waiting for that; its code is None if it has not, or if nobody knows."""
        code = self._child.wait(timeout_seconds)
        if self._child.is_lost:
            return Exit(None, "ended, and this program has waited for it, so that it is not known how")
        return Exit(code)

    def abandon(self) -> None:
        """Have it end, because there is no pool that it could be the first of."""
        os.kill(self.born.pid, SIGKILL)
        self._child.wait(_KILL_SECONDS)
        if self.born.pidfd >= 0:
            os.close(self.born.pidfd)

    def foster(self) -> Foster:
        """In the template: drop what is not for it, and return what there is to be looked after."""
        self.birth.owners_end.close()
        for fd in self.birth.files:
            os.close(fd)
        return Foster(self.born.pid, self.born.pidfd)


class Foster:
    """Somebody else's child, as the template knows it. As much of a ``Child`` as can be.

    Args:
        pid: Its id, which is its own until we have said that it has ended: nobody reaps it before.
        pidfd: Readable once it has ended.
    """

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._poll = select.poll()
        self._poll.register(pidfd, select.POLLIN)

    def poll(self) -> int | None:
        """Return None while it lives; behind its end a number that says nothing."""
        return self.wait(0)

    def wait(self, timeout_seconds: float) -> int | None:
        """Wait for its end, at most so long, and return as ``poll`` does."""
        return 0 if self._poll.poll(timeout_seconds * 1000) else None
