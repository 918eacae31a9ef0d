"""The running pool: a spawner, the workers that it starts, and the queue that their reports come through.

It decides nothing: who is born, what a worker is sent, and when one is killed, is said by the caller.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from pytest_parpool.model.exits import CHANNEL_SPOILED_TEXT, SIGKILL, Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Command, Event, Ready, Recalled
from pytest_parpool.model.notices import Gone, Heard, TemplateGone
from pytest_parpool.runtime.channel import Channel
from pytest_parpool.runtime.ledger import Ledger, Page
from pytest_parpool.runtime.lifeline import Lifeline
from pytest_parpool.runtime.outputs import OUTPUT_NAME, STACKS_NAME, LastOutput, OutputFiles, make_file
from pytest_parpool.runtime.report_queue import ReportQueue
from pytest_parpool.runtime.sockets import RawSocket, stream_pair
from pytest_parpool.runtime.spawner import Born, Ended, Spawner, Unborn
from pytest_parpool.runtime.worker_process import WorkerProcess

if TYPE_CHECKING:
    from pytest_parpool.runtime.firstborn import FirstBirth

# How long a killed process may take to be reaped before we stop waiting; only a kernel in trouble needs it.
_REAP_SECONDS = 10.0


class RunningPool:
    """A spawner, its workers and their report queue. A context manager: at its end every process is gone.

    All methods are for one thread.

    Args:
        workers: The slots.
        start_spawner: Starts what starts the workers, which are tied to the lifeline and have a page of the ledger.
        make_channel: Makes our end of a worker's connection from the socket.
        first: The worker that is there from the beginning, forked by this process; the spawner is told of its birth.

    Raises:
        OSError: If the system gives no process or no descriptors.
    """

    def __init__(
        self,
        workers: Sequence[WorkerId],
        start_spawner: Callable[..., Spawner],
        make_channel: Callable[[RawSocket], Channel] = Channel,
        *,
        first: WorkerId | None = None,
    ) -> None:
        self._make_channel = make_channel
        self._processes: dict[WorkerId, WorkerProcess] = {}
        self._lifeline = Lifeline()
        self._ledger = Ledger(workers)
        self._pending_gone: list[Gone] = []
        # Born, or being born, before anybody has asked for them.
        self._ahead: set[WorkerId] = set()
        self._last_outputs: dict[WorkerId, LastOutput] = {}
        with contextlib.ExitStack() as undo:
            undo.callback(self._lifeline.close)
            undo.callback(self._ledger.close)
            births = [] if first is None else [self._prepare_first(first, undo)]
            self._spawner = start_spawner(self._lifeline, self._ledger, *births)
            undo.callback(self._spawner.close)
            if first is not None and (born := self._spawner.born) is not None:
                self._ahead.add(first)
                self._processes[first].be_born(born.pid, born.pidfd, born.group)
                undo.callback(self.kill, first)
            # Only now: what a template has not inherited, no worker has to close.
            self.queue = ReportQueue()
            undo.callback(self.queue.close)
            self.queue.watch(self._spawner, None)
            for worker in self._ahead:
                self.queue.watch(self._processes[worker].channel, worker)
            undo.pop_all()

    def __enter__(self) -> RunningPool:  # noqa: PYI034  -- typing.Self is newer than Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # --- What the caller asks for --------------------------------------------------------------------------------

    def spawn_ahead(self, workers: Iterable[WorkerId]) -> None:
        """Have workers born that will be asked for soon, while the caller still gets ready.

        Nothing is heard of them until ``spawn``; who is never asked for is killed at the end. One may be there already.
        """
        for worker in workers:
            if worker not in self._ahead:
                self._ahead.add(worker)
                self._bear(worker)

    def spawn(self, worker: WorkerId, first: Command) -> None:
        """Have a worker born into a slot that has none, and send it its first command.

        If that is not possible its end comes out of ``wait``, like that of any other.
        """
        if worker in self._ahead:
            self._ahead.remove(worker)
        else:
            self._bear(worker)
        self.send(worker, first)

    def _prepare_first(self, worker: WorkerId, undo: contextlib.ExitStack) -> FirstBirth:
        from pytest_parpool.runtime.firstborn import FirstBirth

        with contextlib.ExitStack() as undo_files:
            output = make_file(OUTPUT_NAME)
            undo_files.callback(os.close, output)
            stacks = make_file(STACKS_NAME)
            undo_files.callback(os.close, stacks)
            ours, theirs = self._connect(worker, OutputFiles.inherited(output, stacks))
            undo_files.pop_all()  # What we know of the worker's process has them now.
        undo.callback(self._processes[worker].close)
        undo.callback(theirs.close)
        return FirstBirth(worker, theirs, ours, (output, stacks))

    def _bear(self, worker: WorkerId) -> None:
        try:
            _, theirs = self._connect(worker)
            self._spawner.spawn(worker, theirs)
        except OSError as error:  # No descriptor is left, or no template.
            self._end(worker, Exit(None, f"it could not be started: {error}"))
            return
        self.queue.watch(self._processes[worker].channel, worker)

    def _connect(self, worker: WorkerId, outputs: OutputFiles | None = None) -> tuple[RawSocket, RawSocket]:
        """Have a process that is not born yet in a slot. Returns our end of its connection, and its own."""
        assert worker not in self._processes, worker
        # First: also of one that cannot be born, nothing must be told that its predecessor has written.
        self._last_outputs.pop(worker, None)
        self._ledger.page(worker).reset()
        ours, theirs = stream_pair()
        self._processes[worker] = WorkerProcess(self._make_channel(ours), outputs)
        return ours, theirs

    def send(self, worker: WorkerId, command: Command) -> None:
        """Send a command; never blocks. To a worker that is gone, nothing is sent."""
        process = self._processes.get(worker)
        if process is not None:
            process.channel.send([command])
            self.queue.update(process.channel, worker)

    def take_back(self, worker: WorkerId, begun: int) -> int | None:
        """Take back what a worker was given and has not claimed.

        Args:
            worker: Its slot.
            begun: How many of all items it was given it has begun, as far as is known.

        Returns:
            How many of all items it keeps; it is told, too. None if nothing was done: it is gone, or has not yet looked
            at what was taken back the last time.
        """
        if worker not in self._processes:
            return None
        kept = self._ledger.page(worker).take_back(begun)
        if kept is not None:
            self.send(worker, Recalled(kept))
        return kept

    def page(self, worker: WorkerId) -> Page:
        """Return a slot's page of the ledger; what the last process has written stays until the next is born."""
        return self._ledger.page(worker)

    def kill(self, worker: WorkerId) -> None:
        """Kill a worker and what it has started in its process group."""
        process = self._processes.get(worker)
        if process is not None:
            process.kill()

    def signal(self, worker: WorkerId, number: int) -> None:
        """Send a signal to a worker and its process group, as a terminal would."""
        process = self._processes.get(worker)
        if process is not None:
            process.signal(number)

    def interrupt(self, worker: WorkerId) -> None:
        """Have KeyboardInterrupt raised in a worker, as Ctrl-C in a terminal would, also in what it has started."""
        self.signal(worker, signal.SIGINT)

    def signal_all(self, number: int) -> None:
        """Send a signal to every worker's process group."""
        for process in self._processes.values():
            process.signal(number)

    def pid(self, worker: WorkerId) -> int | None:
        """Return a worker's process id, or None if it is not born or gone."""
        process = self._processes.get(worker)
        return process.pid if process is not None else None

    @property
    def template_pid(self) -> int:
        """The template's process id."""
        return self._spawner.pid

    def last_output(self, worker: WorkerId) -> LastOutput:
        """Return what the slot's last process had written and not sent when it ended."""
        return self._last_outputs.get(worker, LastOutput())

    # --- What happens --------------------------------------------------------------------------------------------

    def wait(self, timeout_seconds: float | None) -> list[Heard | Gone | TemplateGone]:
        """Wait until something happens, and return it; events of one worker in their order, its end behind them.

        Returns an empty list after ``timeout_seconds``, when a watched wake-up descriptor was written to, or when all
        that happened was the pool's own business.
        """
        if self._pending_gone:
            timeout_seconds = 0.0
        notices: list[Heard | Gone | TemplateGone] = []
        ready = self.queue.select(timeout_seconds)
        for source, worker in ready:
            if isinstance(source, Channel):
                assert worker is not None
                source.send_pending()
                notices += self._hear(worker, source.receive())
                if source.is_spoiled:
                    self.kill(worker)
                self.queue.update(source, worker)
                notices += self._end_of_orphan(worker)
        for source, worker in ready:
            if worker is None:
                notices += self._hear_spawner()
            elif isinstance(source, int):
                # Only without a template are pidfds watched: then nobody can say how the worker ended.
                notices += self._end_all_read(worker, Exit(None))
        notices += self._pending_gone
        self._pending_gone = []
        return notices

    def _hear(self, worker: WorkerId, events: list[Event]) -> list[Heard | Gone | TemplateGone]:
        process = self._processes[worker]
        for event in events:
            if isinstance(event, Ready):
                process.open_outputs(event)  # It stands still until it is answered.
        return [Heard(worker, event) for event in events]

    def _hear_spawner(self) -> list[Heard | Gone | TemplateGone]:
        notices: list[Heard | Gone | TemplateGone] = []
        for word in self._spawner.receive():
            process = self._processes.get(word.worker)
            if process is None:
                if isinstance(word, Born) and word.pidfd >= 0:
                    os.close(word.pidfd)
                continue
            match word:
                case Born(_, pid, pidfd, group):
                    process.be_born(pid, pidfd, group)
                case Unborn(_, why):
                    notices += self._end_all_read(word.worker, Exit(None, f"it could not be forked: {why}"))
                case Ended(_, exit_):
                    notices += self._end_all_read(word.worker, exit_)
        if self._spawner.is_ended:
            self.queue.forget(self._spawner)
            notices.append(TemplateGone(self._spawner.wait_exit(_REAP_SECONDS)))
            for worker, process in list(self._processes.items()):
                if process.pidfd >= 0:
                    self.queue.watch_fd(process.pidfd, worker)
                elif process.pid is None:
                    notices += self._end_all_read(worker, Exit(None))
                else:
                    notices += self._end_of_orphan(worker)
        return notices

    def _end_of_orphan(self, worker: WorkerId) -> list[Heard | Gone | TemplateGone]:
        """Tell of the end of a worker whose channel has ended, where nothing better than that can be had.

        That is without a template and without pidfds. While a child holds the other end the channel does not end, and
        we wait for it.
        """
        process = self._processes.get(worker)
        if process is None or process.pidfd >= 0 or not (self._spawner.is_ended and process.channel.is_ended):
            return []
        return self._end_all_read(worker, Exit(None))

    def _end_all_read(self, worker: WorkerId, exit_: Exit) -> list[Heard | Gone | TemplateGone]:
        """Read a dead worker's channel to its end, then tell of its end."""
        if worker not in self._processes:
            return []
        channel = self._processes[worker].channel
        notices = self._hear(worker, channel.receive_all())
        if channel.is_spoiled:
            exit_ = Exit(None, CHANNEL_SPOILED_TEXT)
        self._end(worker, exit_)
        notices += self._pending_gone
        self._pending_gone = []
        return notices

    def _end(self, worker: WorkerId, exit_: Exit) -> None:
        process = self._processes.pop(worker, None)  # It has none if there was no descriptor for its connection.
        output = None
        if process is not None:
            self.queue.forget(process.channel)
            if process.pidfd >= 0:
                self.queue.forget_fd(process.pidfd)
            output = process.close()
        if output is not None:
            self._last_outputs[worker] = output
        if worker in self._ahead:
            self._ahead.remove(worker)  # Whoever asks for it gets another.
        else:
            self._pending_gone.append(Gone(worker, exit_))

    def finish(self) -> None:
        """Say that nobody will be born any more, so that the spawner ends with the last worker, not behind it."""
        self._spawner.finish()

    def let_go(self) -> None:
        """In a forked copy of this process: let the workers end with the original, whether or not the copy lives."""
        self._lifeline.close_write_end()

    def close(self) -> None:
        """Kill what is alive, and wait for it to be gone. In a run that ended well there is nothing left to kill."""
        for word in self._spawner.receive():
            process = self._processes.get(word.worker)
            if isinstance(word, Born) and process is not None:
                process.be_born(word.pid, word.pidfd, word.group)
        self.signal_all(SIGKILL)
        self._spawner.close()
        self._lifeline.close()
        self._ledger.close()
        for worker, process in list(self._processes.items()):
            process.wait_end(_REAP_SECONDS)
            self._end(worker, Exit(None))
        self.queue.close()
