"""Starts workers as fresh interpreters: the spawner of start method ``spawn`` on POSIX; see ``windows.launcher``.

A subprocess, not a process of ``multiprocessing``, whose ``spawn`` imports the user's main module once more. The child
is started by fork and exec in C, where no lock of another thread is needed, so this is safe whatever the controller has
become. It gets by inheritance: its end of the channel, the ledger, the lifeline, and a file that says what to do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.exit_watch import ExitWatch
from pytest_parpool.runtime.launch import Launch, LaunchSheet, interpreter_options
from pytest_parpool.runtime.ledger import Ledger
from pytest_parpool.runtime.lifeline import Lifeline
from pytest_parpool.runtime.process_group import ProcessGroup
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.runtime.spawner import Born, Ended, OwnProcess, Word

# Nothing can be imported before the path is what it is here. What it calls is in ``launched.py``.
_BOOTSTRAP = """\
import marshal, os, sys
fd, size = map(int, sys.argv[1:3])
order = marshal.loads(os.pread(fd, size, 0))
sys.path[:] = order["path"]
from pytest_parpool.runtime.launched import live
live(order, sys.argv[3:])
"""

# How long a killed worker may take to be gone; only a kernel in trouble needs it.
_REAP_SECONDS = 10.0


class Launcher(OwnProcess):
    """This process, as the parent of its workers; see ``spawner.Spawner``.

    Args:
        launch: What workers are to do.
        lifeline: They are tied to it.
        ledger: With a page for each. Made to be shared here, so nobody must have used it.

    Raises:
        OSError: If the system has no descriptors left, or none that tell of a process's end.
    """

    def __init__(self, launch: Launch, lifeline: Lifeline, ledger: Ledger) -> None:
        self._launch = launch
        self._lifeline = lifeline
        self._ledger = ledger
        self._ledger_fd = ledger.share()
        self._watch = ExitWatch()
        self._births: list[Born] = []
        self._sheet = LaunchSheet(launch)
        self._children: dict[int, tuple[WorkerId, subprocess.Popen[bytes]]] = {}
        self._order = tempfile.TemporaryFile()  # noqa: SIM115  -- closed by ``close``
        self._order_bytes = self._order.write(self._sheet.data)
        self._order.flush()

    def fileno(self) -> int:
        """Return a descriptor that is readable when ``receive`` has something to say, for a selector."""
        return self._watch.fileno()

    def spawn(self, worker: WorkerId, end: RawSocket) -> None:
        """Start a worker that owns ``end``; the caller's copy is closed.

        Raises:
            OSError: If the system gives no process.
        """
        fds = (self._order.fileno(), end.fileno(), self._ledger_fd, self._lifeline.read_fd)
        order_fd, channel_fd, ledger_fd, lifeline_fd = map(str, fds)
        place = str(self._ledger.place(worker))
        try:
            with _interrupts_blocked():
                process = subprocess.Popen(
                    [
                        *(sys.executable, *interpreter_options(), "-c", _BOOTSTRAP),
                        *(order_fd, str(self._order_bytes), worker, channel_fd, ledger_fd, place, lifeline_fd),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL if self._launch.is_silent else None,
                    cwd=self._launch.directory,
                    env=self._sheet.environment(worker),
                    pass_fds=fds,
                    # The leader of its own process group, which can be killed as a whole; Ctrl-C reaches us alone.
                    start_new_session=True,
                )
        finally:
            end.close()
        pidfd = -1
        try:
            if sys.platform == "linux":
                pidfd = os.pidfd_open(process.pid)
            self._watch.watch(process.pid)
        except OSError:  # No descriptor is left. Nobody would hear of its end, so it must not begin.
            if pidfd >= 0:
                os.close(pidfd)
            process.kill()
            process.wait(_REAP_SECONDS)
            raise
        self._children[process.pid] = (worker, process)
        self._births.append(Born(worker, process.pid, pidfd, ProcessGroup(process.pid)))
        self._watch.wake()

    def receive(self) -> list[Word]:
        """Return what was born and what has ended since the last call."""
        words: list[Word] = [*self._births]
        self._births.clear()
        for pid in self._watch.ended():
            worker, process = self._children.pop(pid)
            words.append(Ended(worker, Exit(process.wait())))
        return words

    def close(self) -> None:
        """Kill what is left, and wait for it to be gone."""
        for _, process in self._children.values():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # It has ended.
                process.kill()
            process.wait(_REAP_SECONDS)
        self._children.clear()
        for birth in self._births:  # Nobody has taken their descriptors.
            if birth.pidfd >= 0:
                os.close(birth.pidfd)
        self._watch.close()
        self._order.close()


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Have whoever is started meanwhile begin with SIGINT blocked: a young interpreter would simply be killed by it.

    One for us comes a moment later.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
