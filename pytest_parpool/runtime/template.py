"""The template: a process that forks workers, and nothing else.

It is forked from the controller once, before anything of the run exists, and stays single-threaded, so that each worker,
the first and the tenth replacement, is born from the same clean state by the same path, whatever the controller has
become meanwhile (threads, open files, log handlers). It is the workers' parent: it reaps them and says how they ended.

Both halves are here: ``Template`` is the controller's handle, ``_serve`` what the process does. They talk over one
socket that keeps message borders, each message marshalled, file descriptors attached:

* ``("spawn", worker)`` with the worker's end of its channel; answered by ``("born", worker, pid)`` with a pidfd (if the
  system has them) or ``("unborn", worker, why)``;
* ``("ended", worker, exit code)``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import marshal
import multiprocessing
import multiprocessing.process
import os
import select
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from typing import TypeAlias

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.lifeline import Lifeline, Tie
from pytest_parpool.runtime.link import WorkerLink

WorkerMain: TypeAlias = Callable[[WorkerLink, WorkerId], None]
"""What a worker does: called in it, with its connection and its slot; leaves by returning."""

_MESSAGE_BYTES = 65536
_MESSAGE_FDS = 4
# Without pidfds (before Linux 5.3, elsewhere) the template looks after its children at this pace.
_REAP_SECONDS = 0.02


@dataclasses.dataclass(frozen=True, slots=True)
class Born:
    """A worker was forked. ``pidfd`` is -1 where there is no such thing; the receiver owns it."""

    worker: WorkerId
    pid: int
    pidfd: int


@dataclasses.dataclass(frozen=True, slots=True)
class Unborn:
    """A worker could not be forked."""

    worker: WorkerId
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """A worker was reaped."""

    worker: WorkerId
    exit: Exit


Word: TypeAlias = Born | Unborn | Ended


class Template:
    """The controller's handle of the template process. A context manager: at its end the process is gone.

    Args:
        context: A ``multiprocessing`` context whose start method is ``fork``.
        main: What each worker does.
        lifeline: The workers, and the template, are tied to it.
    """

    def __init__(self, context: multiprocessing.context.ForkContext, main: WorkerMain, lifeline: Lifeline) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        self._process = context.Process(
            target=_serve, args=(theirs, ours, context, main, lifeline), name="parpool-template", daemon=False
        )
        with warnings.catch_warnings():
            # The threads that are known to be here were looked at; see compat/native_threads.py.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        theirs.close()
        ours.setblocking(False)
        self.is_ended = False

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._socket.fileno()

    @property
    def pid(self) -> int:
        """The template's process id."""
        assert self._process.pid is not None
        return self._process.pid

    def spawn(self, worker: WorkerId, end: socket.socket) -> None:
        """Ask for a worker that owns ``end``; the caller's copy is closed.

        Raises:
            OSError: If the template is gone, or does not read what it is sent.
        """
        with end:
            socket.send_fds(self._socket, [marshal.dumps(("spawn", str(worker)))], [end.fileno()])

    def receive(self) -> list[Word]:
        """Return what the template has said. Sets ``is_ended`` when it has gone."""
        words: list[Word] = []
        while not self.is_ended:
            try:
                data, fds, _, _ = socket.recv_fds(self._socket, _MESSAGE_BYTES, _MESSAGE_FDS)
            except BlockingIOError:
                break
            except OSError:
                data, fds = b"", []
            if not data:
                self.is_ended = True
                break
            kind, worker, value = marshal.loads(data)
            if kind == "born":
                words.append(Born(WorkerId(worker), value, fds[0] if fds else -1))
            elif kind == "unborn":
                words.append(Unborn(WorkerId(worker), value))
            else:
                words.append(Ended(WorkerId(worker), Exit(value)))
        return words

    def wait_exit(self, timeout_seconds: float) -> Exit:
        """Return how the template ended, after waiting for it; its code is None if it has not."""
        self._process.join(timeout_seconds)
        return Exit(self._process.exitcode)

    def close(self) -> None:
        """End the template, and wait for its exit. Its workers are not touched."""
        self._socket.close()
        if self._process.is_alive():
            # It holds nothing that would have to be put in order; a stopped one would not see the end of its socket.
            self._process.kill()
        self._process.join()
        self._process.close()


# --- In the template's process ----------------------------------------------------------------------------------------


def _serve(
    control: socket.socket,
    controllers_end: socket.socket,
    context: multiprocessing.context.ForkContext,
    main: WorkerMain,
    lifeline: Lifeline,
) -> None:
    """Fork workers on request until the controller is gone. Runs in the template; leaves with ``os._exit``."""
    controllers_end.close()
    with contextlib.suppress(OSError):  # A session leader already: started as one, which is what is wanted.
        os.setsid()
    children: dict[WorkerId, multiprocessing.process.BaseProcess] = {}
    pidfds: dict[int, WorkerId] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        has_all_pidfds = len(pidfds) == len(children)
        ready = [fd for fd, _ in poll.poll(None if has_all_pidfds else _REAP_SECONDS * 1000)]
        _reap(control, children, pidfds, poll)
        if control.fileno() not in ready:
            continue
        data, fds, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, _MESSAGE_FDS)
        if not data:
            os._exit(0)
        _, name = marshal.loads(data)
        worker = WorkerId(name)
        process = context.Process(
            target=_become_worker,
            args=(main, worker, fds[0], control, lifeline, tuple(pidfds)),
            # Tests compare the current process's name with this one.
            name="MainProcess",
            daemon=False,
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
        except OSError as error:
            os.close(fds[0])
            _say(control, ("unborn", name, f"{type(error).__name__}: {error}"), [])
            continue
        os.close(fds[0])
        children[worker] = process
        assert process.pid is not None
        pidfd = _open_pidfd(process.pid)
        if pidfd >= 0:
            pidfds[pidfd] = worker
            poll.register(pidfd, select.POLLIN)
        _say(control, ("born", name, process.pid), [pidfd] if pidfd >= 0 else [])


def _reap(
    control: socket.socket,
    children: dict[WorkerId, multiprocessing.process.BaseProcess],
    pidfds: dict[int, WorkerId],
    poll: select.poll,
) -> None:
    """Say of each child that has ended how it did, once."""
    for worker, process in list(children.items()):
        code = process.exitcode  # asks waitpid(2)
        if code is None:
            continue
        del children[worker]
        process.close()
        for pidfd in [fd for fd, owner in pidfds.items() if owner == worker]:
            poll.unregister(pidfd)
            os.close(pidfd)
            del pidfds[pidfd]
        _say(control, ("ended", str(worker), code), [])


def _say(control: socket.socket, word: tuple[str, str, int | str], fds: list[int]) -> None:
    try:
        socket.send_fds(control, [marshal.dumps(word)], fds)
    except OSError:
        os._exit(0)  # The controller is gone; the lifeline has ended the workers.


def _open_pidfd(pid: int) -> int:
    if sys.platform != "linux":
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError:  # Before Linux 5.3, or forbidden by a sandbox.
        return -1


# --- In a worker's process ---------------------------------------------------------------------------------------------


def _become_worker(
    main: WorkerMain,
    worker: WorkerId,
    channel_fd: int,
    control: socket.socket,
    lifeline: Lifeline,
    pidfds: tuple[int, ...],
) -> None:
    """Cut what ties the new process to the template, tie it to the controller, and go to work."""
    with contextlib.suppress(OSError):
        os.setsid()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job ignores it, but it is how the controller interrupts a test.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    tie = Tie(lifeline)
    control.close()
    for fd in pidfds:
        os.close(fd)
    link = WorkerLink(channel_fd)
    main(link, worker)
    if link.is_connected():
        # A test that closed our descriptors may have its own under the same numbers.
        with contextlib.suppress(OSError):
            tie.release()
