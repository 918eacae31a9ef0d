"""The run: wait for what happens, have the dispatcher decide, perform it, then replay what there is to show.

Workers that stand still are answered before reports are replayed, because a reporting hook may take its time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pytest_parpool.budget import membership
from pytest_parpool.compat import pytest_internals
from pytest_parpool.controller.ending import Ending, tell_pytest
from pytest_parpool.controller.nodes import Nodes
from pytest_parpool.controller.replay import Replay
from pytest_parpool.controller.showing import Showing
from pytest_parpool.controller.shown_items import ShownItems
from pytest_parpool.controller.signals import SignalWatch
from pytest_parpool.controller.standstill import Silence
from pytest_parpool.controller.statistics import RunStatistics
from pytest_parpool.controller.terminal import TerminalLines
from pytest_parpool.controller.timers import Timers
from pytest_parpool.model.actions import (
    Action,
    AwaitExit,
    Interrupt,
    Kill,
    ReportCrash,
    ReportLimit,
    ReportLoss,
    Send,
    Spawn,
    TakeBack,
)
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import BaseTemp, BaseTempAsked, Collected, Event, Finished, Started
from pytest_parpool.model.notices import (
    Gone,
    Heard,
    InterruptRequested,
    NotBorn,
    Notice,
    Overdue,
    Stalled,
    StopRequested,
    TakenBack,
)
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.runtime.running_pool import RunningPool

if TYPE_CHECKING:
    from pytest_parpool.controller.matching import CollectionMatch

# Long enough that polling costs nothing, short enough that a worker's question is not left lying behind reports.
_REPLAY_SECONDS = 0.005

# How long the loop looks away at most when every worker has enough in hand; results may be shown so much later.
_REST_SECONDS = 0.02
_LEAST_REST_SECONDS = 0.001  # Below, sleeping costs more than it saves.


class ParallelRun:
    """One run over a started pool.

    Args:
        session: Pytest's.
        pool: With its template alive and no worker yet.
        dispatcher: Decides.
        nodes: What other plugins know of the workers.
        lines: Lines of our own on the terminal.
        items: What is run.
        shutdown_seconds: How long a worker may take to leave: after an interrupt, and else.
        collection_match: Answers workers that have collected by themselves, if they do.
    """

    def __init__(
        self,
        session: pytest.Session,
        pool: RunningPool,
        dispatcher: Dispatcher,
        nodes: Nodes,
        lines: TerminalLines,
        items: ShownItems,
        *,
        shutdown_seconds: tuple[float, float],
        collection_match: CollectionMatch | None,
    ) -> None:
        self._session = session
        self._config = session.config
        self._pool = pool
        self._dispatcher = dispatcher
        self._nodes = nodes
        self._lines = lines
        self._shutdown_seconds = shutdown_seconds
        self._collection_match = collection_match
        self._clock = time.monotonic
        self._sleep = time.sleep
        self._items = items
        self._replay = Replay(session.config, items)
        self._timers = Timers(dispatcher.holds_more)
        self._silence = Silence(session.config, pool, dispatcher, nodes.ids)
        self._ending = Ending()
        self._has_requested_stop = False
        # By a signal to us; a KeyboardInterrupt that a test raised by itself is its worker's alone.
        self._is_interrupted = False
        self.statistics = RunStatistics()
        self._showing = Showing(session, nodes, items, self._replay, lines, self._ending, self.statistics)

    def run(self) -> None:
        """Run until no worker is left, then tell pytest how it ended.

        Raises:
            BaseException: See ``ending.tell_pytest``; and what reporting hooks raise.
        """
        self.statistics.begin(self._clock(), len(self._nodes.ids))
        with SignalWatch(self._pool.queue.wake, self._pool.queue.wake_fd, self._pool.signal_all) as signals:
            self._perform(self._dispatcher.start())
            while not self._dispatcher.is_over or self._showing.is_pending:
                notices = self._pool.wait(self._timeout())
                for notice in notices:
                    self._take(notice)
                if signals.interrupts and not self._is_interrupted:
                    self._is_interrupted = self._ending.is_interrupted = True
                    self._take(InterruptRequested())
                now = self._clock()
                for worker in self._timers.take_overdue(now):
                    self._take(Overdue(worker))
                for worker in self._timers.take_stalled(now):
                    self._take(Stalled(worker))
                if not notices:
                    self._silence.look(now)
                self._show_for(_REPLAY_SECONDS)
                self._rest()
        self.statistics.end(self._clock())
        self._account_for_not_run()
        tell_pytest(self._session, self._ending)

    # --- Deciding and performing -------------------------------------------------------------------------------------

    def _take(self, notice: Notice) -> None:
        """Have the dispatcher decide on a notice, perform that, and keep what is to be shown."""
        if isinstance(notice, Heard):
            self._showing.add(notice.worker, notice)
            self._look_at_event(notice.worker, notice.event)
        elif isinstance(notice, Gone):
            self._showing.add(notice.worker, notice)
            self._timers.worker_gone(notice.worker)
            membership.clear(self._config, notice.worker)
            if self._collection_match is not None:
                self._collection_match.gone(notice.worker)
        actions = self._dispatcher.handle(notice)
        if actions:
            self._perform(actions)

    def _look_at_event(self, worker: WorkerId, event: Event) -> None:
        """Do at once what need not be decided."""
        kind = type(event)
        if kind is Started:
            self._timers.item_began(worker, self._clock())
            if self._is_interrupted:
                self._pool.interrupt(worker)  # It began before it could hear of the end.
        elif kind is Finished:
            self._timers.item_ended(worker)
        elif kind is BaseTempAsked:
            self._send_base_temp(worker)
        elif isinstance(event, Collected):
            assert self._collection_match is not None
            self._collection_match.heard(worker, event)

    def _send_base_temp(self, worker: WorkerId) -> None:
        try:
            path = str(pytest_internals.base_temp(self._config) or "")
        except OSError:
            path = ""  # The worker's own attempt fails in the same way, in the test that wants it.
        self._pool.send(worker, BaseTemp(path))

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(worker, command):
                    self._pool.send(worker, command)
                case Spawn(worker, is_replacement):
                    if is_replacement:
                        # Not before its predecessor's end was told: plugins remove there what they make here.
                        self._showing.add(worker, action)
                    else:
                        self._spawn(worker)
                case TakeBack(worker, begun):
                    kept = self._pool.take_back(worker, begun)
                    if kept is not None:
                        self._take(TakenBack(worker, kept))
                case AwaitExit(worker, is_interrupted):
                    seconds = self._shutdown_seconds[0 if is_interrupted else 1]
                    self._timers.expect_exit(worker, self._clock() + seconds)
                case Interrupt(worker):
                    # One that is being forked, stands still or tears down leaves by itself, its fixtures put away.
                    if self._dispatcher.running(worker) is not None or self._is_collecting(worker):
                        self._pool.interrupt(worker)
                case Kill(worker):
                    self._pool.kill(worker)
                case ReportCrash() | ReportLoss():
                    self._showing.add(action.worker, (action, self._pool.last_output(action.worker)))
                case ReportLimit(worker, limit):
                    self._report_limit(worker, limit)

    def _spawn(self, worker: WorkerId) -> None:
        if self._dispatcher.is_stopping:
            self._take(NotBorn(worker))
            return
        if self._collection_match is not None:
            self._collection_match.asked_for(worker)
        membership.expect(self._config, worker)
        node = self._nodes.configure(worker)
        self._pool.spawn(worker, self._nodes.first_command(node))

    def _is_collecting(self, worker: WorkerId) -> bool:
        return self._collection_match is not None and self._collection_match.is_collecting(worker)

    def _report_limit(self, worker: WorkerId, limit: int) -> None:
        self._ending.failure = (
            f"worker {str(worker)!r} crashed and worker restarting is disabled (--max-worker-restart=0)"
            if limit == 0
            else f"maximum number of crashed workers reached (--max-worker-restart={limit})"
        )

    def _timeout(self) -> float:
        if self._showing.is_pending:
            return 0.0
        return self._silence.limit(self._timers.seconds_left(self._clock()))

    def _rest(self) -> None:
        """Let workers work while none of them needs us: each message would wake us, and cost one of them its CPU."""
        if self._showing.is_pending:
            return
        seconds = min(self._dispatcher.quiet_seconds() / 2, _REST_SECONDS)
        if seconds >= _LEAST_REST_SECONDS:
            self._sleep(seconds)

    # --- Showing -----------------------------------------------------------------------------------------------------

    def _show_for(self, seconds: float) -> None:
        """Replay for so long, or until there is nothing more to show."""
        end = self._clock() + seconds
        while self._showing.is_pending and self._clock() < end:
            follows = self._showing.show_next()
            self._look_for_stop()
            if follows is None:
                continue
            if isinstance(follows, Spawn):
                self._spawn(follows.worker)
            elif not self._has_requested_stop:
                # Nothing asks to stop because of the failure, so the run goes on.
                self._take(follows)

    def _look_for_stop(self) -> None:
        if not self._has_requested_stop and (self._session.shouldfail or self._session.shouldstop):
            self._has_requested_stop = True
            self._take(StopRequested())

    # --- What was not run --------------------------------------------------------------------------------------------

    def _account_for_not_run(self) -> None:
        """Name the tests that nobody ran, where the user did not ask for that."""
        not_run: tuple[ItemIndex, ...] = self._dispatcher.not_run()
        if not not_run or self._ending.is_interrupted or self._has_requested_stop:
            return
        if self._ending.broken is not None or self._ending.exit_asked is not None:
            return
        if self._ending.failure is None:
            self._ending.failure = (
                "the template process died, so that workers could not be replaced"
                if self._dispatcher.is_template_gone
                else "no worker was left to run the remaining tests"
            )
        self._lines.add_not_run([self._items.nodeid(index) for index in not_run])
