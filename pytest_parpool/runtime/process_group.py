"""A worker and what it has started, as whom signals are sent to: a process group of POSIX; see also ``windows.job``."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod


class WorkerGroup(ABC):
    """A worker that is born, and what it has started."""

    @abstractmethod
    def signal(self, number: int) -> None:
        """Send a signal to all of them, as a terminal would; to nobody, if they have ended."""


class ProcessGroup(WorkerGroup):
    """The process group that a worker leads.

    Args:
        pid: The worker's process id. It is not reaped before we hear of it from its parent, so the id is still its own,
            unless the parent has died.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def signal(self, number: int) -> None:
        """See ``WorkerGroup``."""
        with contextlib.suppress(ProcessLookupError):
            try:
                os.killpg(self._pid, number)
            except ProcessLookupError:  # Born a moment ago, and not yet the leader of its group.
                os.kill(self._pid, number)
