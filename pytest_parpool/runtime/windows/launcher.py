"""Starts workers as fresh interpreters, on Windows: see ``launcher`` for what they are elsewhere.

A child inherits nothing here but its standard streams. It reads from its standard input what belongs to it alone: its
end of the channel, duplicated for it (``socket.share``), and its place in the ledger, which is memory that has a name.
Until it has read that it starts nothing, and by then it is in its job. A thread for each waits for its end.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque

from pytest_parpool.model.exits import SIGKILL, Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.launch import Launch, LaunchSheet, interpreter_options
from pytest_parpool.runtime.ledger import Ledger
from pytest_parpool.runtime.sockets import RawSocket, stream_pair
from pytest_parpool.runtime.spawner import Born, Ended, OwnProcess, Word
from pytest_parpool.runtime.windows.job import Job
from pytest_parpool.runtime.windows.launched import LAUNCHER_VARIABLE

# Nothing can be imported before the path is what it is here.
_BOOTSTRAP = """\
import marshal, sys
own = marshal.load(sys.stdin.buffer)
with open(own["sheet"], "rb") as sheet: launch = marshal.load(sheet)
sys.path[:] = launch["path"]
from pytest_parpool.runtime.windows.launched import live
live(launch, own)
"""

# How long a killed worker may take to be gone; only a kernel in trouble needs it.
_REAP_SECONDS = 10.0


class _Child:
    """A worker that was started.

    Attributes:
        worker: Its slot.
        process: Its process.
        job: Its job.
        end: Its end of the channel. Ours is kept, because nobody says when it has taken its own.
    """

    def __init__(self, worker: WorkerId, process: subprocess.Popen[bytes], job: Job, end: RawSocket) -> None:
        self.worker = worker
        self.process = process
        self.job = job
        self.end = end

    def close(self) -> Exit:
        """Let go of it, and return how it has ended."""
        code = self.process.wait(_REAP_SECONDS)
        self.job.end(is_good=code == 0)
        self.end.close()
        return Exit(-SIGKILL if self.job.is_killed else code)


class JobLauncher(OwnProcess):
    """This process, as the parent of its workers; see ``spawner.Spawner``.

    Args:
        launch: What workers are to do.
        ledger: With a page for each. Made to be shared here, so nobody must have used it.

    Raises:
        OSError: If the system has no handles left.
    """

    def __init__(self, launch: Launch, ledger: Ledger) -> None:
        self._launch = launch
        self._ledger = ledger
        self._ledger_name = f"pytest-parpool-ledger-{os.getpid()}-{os.urandom(8).hex()}"
        ledger.share_as(self._ledger_name)
        self._births: list[Born] = []
        self._children: dict[int, _Child] = {}
        # Of those who have ended; written by threads.
        self._ended: deque[int] = deque()
        self._told, self._tell = stream_pair()
        self._told.setblocking(False)
        self._sheet = LaunchSheet(launch)
        fd, self._sheet_path = tempfile.mkstemp(prefix="parpool-launch-")
        with open(fd, "wb") as file:
            file.write(self._sheet.data)

    def fileno(self) -> int:
        """Return what is readable when ``receive`` has something to say, for a selector."""
        return self._told.fileno()

    def spawn(self, worker: WorkerId, end: RawSocket) -> None:
        """Start a worker that owns ``end``.

        Raises:
            OSError: If the system gives no process.
        """
        executable, environment = _interpreter(self._sheet.environment(worker))
        process: subprocess.Popen[bytes] | None = None
        job: Job | None = None
        try:
            process = subprocess.Popen(
                [executable, *interpreter_options(), "-c", _BOOTSTRAP],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL if self._launch.is_silent else None,
                cwd=self._launch.directory,
                env=environment,
                # Ctrl-C reaches us alone.
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            )
            job = Job(process.pid, int(process._handle))  # type: ignore[attr-defined]  # noqa: SLF001  -- as multiprocessing's
            self._write_own(process, worker, end)
        except BaseException:
            end.close()
            if process is not None:
                process.kill()
                process.wait(_REAP_SECONDS)
            if job is not None:
                job.end(is_good=False)
            raise
        self._children[process.pid] = _Child(worker, process, job, end)
        self._births.append(Born(worker, process.pid, -1, job))
        threading.Thread(
            target=self._wait_for, args=(process,), name=f"parpool-{worker}-{process.pid}", daemon=True
        ).start()
        self._wake()

    def _write_own(self, process: subprocess.Popen[bytes], worker: WorkerId, end: RawSocket) -> None:
        own = {
            "worker": worker,
            "sheet": self._sheet_path,
            "channel": end.share(process.pid),
            "ledger": self._ledger_name,
            "ledger_bytes": self._ledger.size_bytes,
            "place": self._ledger.place(worker),
        }
        assert process.stdin is not None
        # It is small enough for the pipe. One that has ended already is told of as such.
        with contextlib.suppress(OSError), process.stdin as stdin:
            stdin.write(marshal.dumps(own))

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        """Say when a worker has ended; in a thread of its own."""
        process.wait()
        self._ended.append(process.pid)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # We are being closed.
            self._tell.send(b"!")

    def receive(self) -> list[Word]:
        """Return what was born and what has ended since the last call."""
        with contextlib.suppress(BlockingIOError):
            self._told.recv(4096)
        words: list[Word] = [*self._births]
        self._births.clear()
        while self._ended:
            child = self._children.pop(self._ended.popleft())
            words.append(Ended(child.worker, child.close()))
        return words

    def close(self) -> None:
        """Kill what is left, and wait for it to be gone."""
        for child in self._children.values():
            if child.process.poll() is None:
                child.job.signal(SIGKILL)
            child.close()
        self._children.clear()
        self._told.close()
        self._tell.close()
        with contextlib.suppress(OSError):  # Somebody looks at it, a virus scanner say.
            os.unlink(self._sheet_path)


def _interpreter(environment: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return what starts a worker, and the variables for it.

    In a virtual environment ``sys.executable`` is a program that starts another one, which would be the worker, and
    whose id nobody knows; so it is started itself, and told where it is, as ``multiprocessing.popen_spawn_win32`` does.
    """
    base = getattr(sys, "_base_executable", sys.executable)
    if os.path.normcase(base) == os.path.normcase(sys.executable):
        return sys.executable, environment
    return base, {**environment, LAUNCHER_VARIABLE: sys.executable}
