"""The template: a process that forks workers, and nothing else.

It is forked from the controller once, before anything of the run exists, and stays single-threaded, so that each
worker, the first and the tenth replacement, is born from the same clean state by the same path, whatever the controller
has become meanwhile (threads, open files, log handlers). It is the workers' parent: it reaps them and says how they
ended. Only the first worker of a pool for calls may be another's child, see ``firstborn``.

Both halves are here: ``Template`` is the controller's handle, ``_serve`` what the process does. They talk over one
socket that keeps message borders, each message marshalled, file descriptors attached:

* ``("spawn", worker)`` with the worker's end of its channel; answered by ``("born", worker, pid)`` with a pidfd (if the
  system has them) or ``("unborn", worker, why)``;
* ``("ended", worker, exit code)``; of the first worker, if the owner has forked that (``firstborn``), only
  ``("gone", worker, 0)``;
* ``("finish",)``: nobody is born any more; end when the last worker has ended and that was said;
* ``("leave",)``: kill the workers that are left, reap them, and end.
"""

from __future__ import annotations

import contextlib
import functools
import marshal
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_parpool.model.exits import SIGKILL, Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.apart import find_way_out, lead_group, lead_session
from pytest_parpool.runtime.brood import Brood
from pytest_parpool.runtime.firstborn import FirstBirth, Firstborn
from pytest_parpool.runtime.forking import Fork, fork_bare, prepare_forks
from pytest_parpool.runtime.interrupts import unignore_interrupts
from pytest_parpool.runtime.ledger import Ledger, Page
from pytest_parpool.runtime.lifeline import Lifeline, Tie
from pytest_parpool.runtime.link import WorkerLink
from pytest_parpool.runtime.link_ends import FdEnd
from pytest_parpool.runtime.process_group import ProcessGroup
from pytest_parpool.runtime.quiet_forks import QuietForks
from pytest_parpool.runtime.sockets import RawSocket, packet_pair, receive_with_fds, send_with_fds
from pytest_parpool.runtime.spawner import Born, Ended, Spawner, Unborn, Word, WorkerMain

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext

_MESSAGE_BYTES = 4096  # each is a few words; memory for more would be made anew in each process
_MESSAGE_FDS = 4
# How long it may take to end with its workers.
_LEAVE_SECONDS = 1.0
# How long a killed template may take to be gone; only a kernel in trouble needs it.
_KILL_SECONDS = 10.0


class Template(Spawner):
    """The controller's handle of the template process. A context manager: at its end the process is gone.

    Args:
        context: As in ``forking.prepare_forks``, for the workers.
        main: What each worker does.
        lifeline: The workers, and the template, are tied to it.
        ledger: With a page for each worker.
        birth: Of the worker that is forked by this process itself, or None.
        own_sessions: Whether each worker leads a session, as one that runs tests does, or only a process group. Neither
            has a terminal.
    """

    def __init__(
        self,
        context: ForkContext | None,
        main: WorkerMain,
        lifeline: Lifeline,
        ledger: Ledger,
        birth: FirstBirth | None = None,
        *,
        own_sessions: bool = True,
    ) -> None:
        fork = prepare_forks(context)
        ours, theirs = packet_pair()
        self._socket = ours
        quiet = QuietForks()
        lead = lead_session if own_sessions else lead_group
        become = functools.partial(_become_worker, quiet, lead, main, theirs, lifeline)
        leave = lead_session if own_sessions else find_way_out()
        self._firstborn: Firstborn | None = None
        with quiet, contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            undo.callback(theirs.close)
            if birth is not None:
                page = ledger.page(birth.worker)
                live = functools.partial(_become_first, quiet, leave, main, (ours, theirs), lifeline, birth, page)
                self._firstborn = Firstborn(birth, fork, live)
                undo.callback(self._firstborn.abandon)
                self.born = self._firstborn.born
            serve = functools.partial(_serve, theirs, ours, leave, fork, become, lifeline, ledger, self._firstborn)
            # Not a process of multiprocessing, if that is there: the workers are.
            self._child = fork_bare(serve)
            undo.pop_all()
        theirs.close()
        ours.setblocking(False)
        self.is_ended = False

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._socket.fileno()

    @property
    def pid(self) -> int:
        """The template's process id."""
        return self._child.pid

    def spawn(self, worker: WorkerId, end: RawSocket) -> None:
        """Ask for a worker that owns ``end``; the caller's copy is closed.

        Raises:
            OSError: If the template is gone, or does not read what it is sent.
        """
        try:
            send_with_fds(self._socket, marshal.dumps(("spawn", str(worker))), [end.fileno()])
        except OSError as error:
            raise OSError(error.errno, f"the template process is gone: {error.strerror}") from error
        finally:
            end.close()

    def receive(self) -> list[Word]:
        """Return what the template has said. Sets ``is_ended`` when it has gone."""
        words: list[Word] = []
        while not self.is_ended:
            try:
                data, fds = receive_with_fds(self._socket, _MESSAGE_BYTES, _MESSAGE_FDS)
            except BlockingIOError:
                break
            except OSError:
                data, fds = b"", []
            if not data:
                self.is_ended = True
                break
            kind, worker, value = marshal.loads(data)
            if kind == "born":
                words.append(Born(WorkerId(worker), value, fds[0] if fds else -1, ProcessGroup(value)))
            elif kind == "unborn":
                words.append(Unborn(WorkerId(worker), value))
            elif kind == "gone":
                assert self._firstborn is not None
                words.append(Ended(WorkerId(worker), self._firstborn.wait_exit(_KILL_SECONDS)))
            else:
                words.append(Ended(WorkerId(worker), Exit(value)))
        return words

    def wait_exit(self, timeout_seconds: float) -> Exit:
        """Return how the template ended, after waiting for it; its code is None if it has not."""
        # The end of the socket comes a moment before that of the process.
        return Exit(self._child.wait(timeout_seconds))

    def finish(self) -> None:
        """Have the template end by itself when the last worker has ended. Nobody can be born any more."""
        with contextlib.suppress(OSError):  # It has gone already, which is told by ``receive``.
            send_with_fds(self._socket, marshal.dumps(("finish",)), [])

    def close(self) -> None:
        """End the template with all its workers, also those of which nobody knows yet, and wait for its exit."""
        if self._child.poll() is None:
            # It reaps them: else they would be left to process 1, which in a container may reap nobody.
            with contextlib.suppress(OSError):
                send_with_fds(self._socket, marshal.dumps(("leave",)), [])
            self.wait_exit(_LEAVE_SECONDS)
        if self._child.poll() is None:
            os.kill(self.pid, SIGKILL)  # It is stopped, or has a worker that does not end.
            self.wait_exit(_KILL_SECONDS)
        if self._firstborn is not None:
            self._firstborn.wait_exit(_KILL_SECONDS)
        self._socket.close()


# --- In the template's process ----------------------------------------------------------------------------------------


def _serve(
    control: RawSocket,
    controllers_end: RawSocket,
    stand_apart: Callable[[], None],
    fork: Fork,
    become_worker: Callable[[WorkerId, int, Page, tuple[int, ...]], None],
    lifeline: Lifeline,
    ledger: Ledger,
    firstborn: Firstborn | None,
) -> None:
    """Fork workers on request until the controller is gone. Runs in the template, and does not return."""
    controllers_end.close()
    lifeline.close_write_end()
    stand_apart()
    brood = Brood(control, fork)
    if firstborn is not None:
        brood.watch(firstborn.birth.worker, firstborn.foster(), firstborn.born.pidfd)
    is_finishing = False
    while brood or not is_finishing:
        if not brood.wait():
            continue
        try:
            data, fds = receive_with_fds(control, _MESSAGE_BYTES, _MESSAGE_FDS)
        except ConnectionResetError:  # The controller has gone without having read all that we said.
            data, fds = b"", []
        if not data:
            os._exit(0)
        kind, *names = marshal.loads(data)
        if kind == "leave":
            break
        if kind == "finish":
            is_finishing = True
            continue
        (worker,) = map(WorkerId, names)
        brood.bear(worker, functools.partial(become_worker, worker, fds[0], ledger.page(worker)))
        os.close(fds[0])
    brood.end()
    # There is nothing here to be put in order, and what others have put in the place of ``os._exit`` (coverage does) is
    # not for the template to run.
    os.kill(os.getpid(), SIGKILL)


# --- In a worker's process --------------------------------------------------------------------------------------------


def _become_first(
    quiet: QuietForks,
    stand_apart: Callable[[], None],
    main: WorkerMain,
    control: tuple[RawSocket, RawSocket],
    lifeline: Lifeline,
    birth: FirstBirth,
    page: Page,
) -> None:
    """As ``_become_worker``, in a child of the owner."""
    owners_end, templates_end = control
    owners_end.close()
    birth.owners_end.close()
    channel_fd = birth.end.detach()
    _become_worker(quiet, stand_apart, main, templates_end, lifeline, birth.worker, channel_fd, page, (), birth.files)


def _become_worker(
    quiet: QuietForks,
    stand_apart: Callable[[], None],
    main: WorkerMain,
    control: RawSocket,
    lifeline: Lifeline,
    worker: WorkerId,
    channel_fd: int,
    page: Page,
    siblings: tuple[int, ...],
    files: tuple[int, int] | None = None,
) -> None:
    """Cut what ties the new process to the template, tie it to the controller, and go to work."""
    quiet.lift()
    stand_apart()
    unignore_interrupts()  # It is how the controller interrupts a test.
    tie = Tie(lifeline)
    control.close()
    for fd in siblings:  # What the template has open for them.
        os.close(fd)
    link = WorkerLink(FdEnd(channel_fd), page, files)
    link.keep_from_children()
    leave = os._exit
    try:
        main(link, worker)
    finally:
        # What is around us leaves by it; if a test has left a mock there, this process would become a second template.
        setattr(os, "_exit", leave)  # noqa: B010  -- an assignment is refused by the type checker
    if link.is_connected():
        # A test that closed our descriptors may have its own under the same numbers.
        with contextlib.suppress(OSError):
            tie.release()
