"""What workers of contract tests do, whoever has started them: tasks by name, that a fresh interpreter finds, too."""

from __future__ import annotations

import faulthandler
import marshal
import os
import resource
import signal
import subprocess
import sys
import tempfile
from typing import IO

from pytest_parpool.model.exits import CHANNEL_LOST_CODE
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Asked, Event, Finished, Interrupted, Left, Ready, WarningSeen
from pytest_parpool.runtime.launched import allow_interrupts
from pytest_parpool.runtime.link import LinkLostError, WorkerLink

ENTRY = f"{__name__}:serve"


def serve(link: WorkerLink, worker: WorkerId, order: bytes) -> None:
    """Be a worker: item N does the N-th of the tasks that are named in ``order``; leaves when it is drained."""
    del worker
    try:
        _serve(link, marshal.loads(order))
    except LinkLostError:
        os._exit(CHANNEL_LOST_CODE)


def serve_after_interrupt(link: WorkerLink, worker: WorkerId, order: bytes) -> None:
    """Wait for an interrupt first, which may have come already; say that it came, then ``serve``."""
    try:
        allow_interrupts()
        signal.pause()
    except KeyboardInterrupt:
        link.post(Interrupted(None, ""))
    serve(link, worker, order)


def _serve(link: WorkerLink, tasks: list[str]) -> None:
    files: list[IO[bytes]] = [tempfile.TemporaryFile(buffering=0) for _ in range(3)]  # noqa: SIM115  -- they live as long as we do
    while link.inbox.identity is None:
        link.receive()
    out, err, stack = (file.fileno() for file in files)
    tell(link, Ready(os.getpid(), (out, err, stack)))
    position = 0
    while not link.inbox.is_drained:
        if position >= link.inbox.items or not link.claim(position + 1):
            link.receive()
            continue
        item = link.items[position]
        position += 1
        try:
            _do(tasks[item], link, files)
        except KeyboardInterrupt:
            link.post(Interrupted(item, ""))
        tell(link, Finished(item, 0.0))
    tell(link, Left(b""))


def tell(link: WorkerLink, event: Event) -> None:
    """Send one event now."""
    link.post(event)
    link.flush()


def report(link: WorkerLink, value: object) -> None:
    """Send what the test wants to know."""
    tell(link, WarningSeen(repr(value).encode()))


def _do(task: str, link: WorkerLink, files: list[IO[bytes]]) -> None:
    name, _, argument = task.partition(" ")
    match name:
        case "nothing":
            pass
        case "exit":
            os._exit(int(argument))
        case "raise":
            raise ZeroDivisionError
        case "segfault":
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.kill(os.getpid(), signal.SIGSEGV)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "close":
            os.closerange(3, 1000)
            link.flush()
            tell(link, Asked())
        case "write":
            for file, text in zip(files, (b"out", b"err", b"stack"), strict=True):
                file.write(text)
        case "print":
            os.write(1, argument.encode())
        case "wait":
            wait_for_ever(link)
        case "resist":
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
            report(link, child.pid)
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            wait_for_ever(link)
        case "family":
            report(link, (os.getppid(), os.getsid(0) == os.getpid() == os.getpgrp()))
        case "descriptors":
            report(link, descriptors())
        case "of-child":
            report(link, descriptors_of_child())
        case "environment":
            report(link, (os.getcwd(), sys.argv, sys.path, os.environ.get("PYTEST_XDIST_WORKER"), os.read(0, 1)))
        case "variable":
            report(link, os.environ.get(argument))
        case "order":
            report(link, list({f"{argument}{number}" for number in range(100)}))
        case _:
            raise ValueError(task)


def wait_for_ever(link: WorkerLink) -> None:
    """Be busy; says so first."""
    tell(link, Asked())
    while True:
        signal.pause()


def descriptors() -> list[str]:
    """Return the kinds, or the directories, of what is open in this process, without what every process has."""
    kinds = []
    for fd in os.listdir("/proc/self/fd"):
        if int(fd) > 2:
            try:
                kind = os.readlink(f"/proc/self/fd/{fd}").partition(":")[0]
            except FileNotFoundError:  # The directory's own.
                continue
            kinds.append("files" if kind.startswith(tempfile.gettempdir()) else kind)
    return sorted(kinds)


def descriptors_of_child() -> int:
    """Return how many descriptors a program has that is started without closing any."""
    code = "import os; print(len(os.listdir('/proc/self/fd')) - 1)"
    return int(subprocess.check_output([sys.executable, "-c", code], stdin=subprocess.DEVNULL, close_fds=False))
