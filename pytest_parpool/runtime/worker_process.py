"""One worker's process as the pool knows it: its channel, its id and its capture files. Somebody else waits for it."""

from __future__ import annotations

import os
import select
import sys

from pytest_parpool.model.exits import SIGKILL
from pytest_parpool.model.messages import Ready
from pytest_parpool.runtime.channel import Channel
from pytest_parpool.runtime.outputs import LastOutput, OutputFiles
from pytest_parpool.runtime.process_group import WorkerGroup

# How long to wait for a process of which we know no more than its end of the connection.
_UNKNOWN_SECONDS = 1.0


class WorkerProcess:
    """One slot's process, from the request until its end was told. Owns the descriptors that lead to it.

    Args:
        channel: Our end. The process at the other one may not be born yet.
        outputs: Its capture files, if we have made them.

    Attributes:
        pid: Its process id, or None until it is born.
        pidfd: Readable once it has ended, or -1.
    """

    def __init__(self, channel: Channel, outputs: OutputFiles | None = None) -> None:
        self.channel = channel
        self.pid: int | None = None
        self.pidfd = -1
        self._group: WorkerGroup | None = None
        self._outputs = outputs

    def be_born(self, pid: int, pidfd: int, group: WorkerGroup) -> None:
        """Have a process; ``pidfd`` is owned from here on."""
        self.pid, self.pidfd, self._group = pid, pidfd, group

    def open_outputs(self, ready: Ready) -> None:
        """Open its capture files, while it stands still and they are there to be opened; unless they are ours."""
        if self._outputs is None:
            self._outputs = OutputFiles(ready.pid, ready.output_fds)

    def signal(self, number: int) -> None:
        """Send a signal to the process and its group, as a terminal would; to nobody, while it is not born."""
        if self._group is not None:
            self._group.signal(number)

    def kill(self) -> None:
        """Kill the process and what it has started in its group."""
        self.signal(SIGKILL)

    def wait_end(self, timeout_seconds: float) -> None:
        """Wait until it has ended, or, if there is no pidfd to see that by, until nobody holds the other end."""
        if sys.platform == "win32":
            return  # The spawner has waited for it.
        poll = select.poll()
        if self.pidfd >= 0:
            poll.register(self.pidfd, select.POLLIN)
        else:
            # Killed while it was born, before it was known by its id; or it has left a child, for which nobody waits.
            poll.register(self.channel, 0)
            timeout_seconds = min(timeout_seconds, _UNKNOWN_SECONDS)
        poll.poll(timeout_seconds * 1000)

    def close(self) -> LastOutput | None:
        """Close everything. The caller's selector must have forgotten it before.

        Returns:
            What it had written and not sent, or None if it never got so far as to say where.
        """
        self.channel.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
        if self._outputs is None:
            return None
        output = self._outputs.read()
        self._outputs.close()
        return output
