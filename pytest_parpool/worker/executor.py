"""Runs the items a worker is given, one after the other, and says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from pytest_parpool.budget import membership
from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import Asked, Draining, Finished, Started, StopAsked
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.worker.next_item import LateNextItem
from pytest_parpool.worker.reporter import WorkerReporter


class Executor:
    """A worker's loop over its items. Lives in the worker's main thread.

    Args:
        session: Pytest's, with the collected items.
        link: To the controller.
        reporter: Told which item runs.
        clock: Seconds that only go forward. A default argument, because test suites replace the clocks of modules.
    """

    def __init__(
        self,
        session: pytest.Session,
        link: WorkerLink,
        reporter: WorkerReporter,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._session = session
        self._items: Sequence[pytest.Item] = session.items
        self._link = link
        self._reporter = reporter
        self._clock = clock
        self._position = 0  # of the next one among link.items
        self._waits_seen = 0
        self._has_asked_to_stop = False
        self._waited_seconds = 0.0  # of the item that runs, for the controller's answers
        self.last_item: ItemIndex | None = None
        self.running: ItemIndex | None = None

    def item(self, index: ItemIndex) -> pytest.Item:
        """Return pytest's item; with ``--dist each`` the plan holds every item once per worker."""
        return self._items[index % len(self._items)]

    def run(self) -> None:
        """Run items until the controller says that there are no more.

        Raises:
            LinkLostError: If the controller cannot be reached any more.
            BaseException: What pytest lets through: ``KeyboardInterrupt``, ``pytest.exit``, and faults of plugins.
        """
        while (index := self._wait_for_item()) is not None:
            self._run_one(index)

    def _run_one(self, index: ItemIndex) -> None:
        self._position += 1
        item = self.item(index)
        reporter = self._reporter
        reporter.item = self.last_item = self.running = index
        self._link.post(Started(index, item.location))
        self._guarded(self._link.flush)
        nextitem = LateNextItem(item, self._resolve_next, self._is_own_process)
        self._waited_seconds = 0.0
        started = self._clock()
        # Typed as an item in pytest; see next_item.py for why the stand-in will do.
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        if not self._link.is_own_process:
            self._reporter.leave_child()
        self._link.post(Finished(index, self._clock() - started - self._waited_seconds))
        reporter.item = self.running = None
        self._forward_stop()

    def _resolve_next(self) -> pytest.Item | pytest.Session | None:
        """Find out, at a teardown, what comes next; see ``LateNextItem``. The wait is not the item's time."""
        began = self._clock()
        index = self._look_for_item()
        self._waited_seconds += self._clock() - began
        if index is not None:
            following = self.item(index)
            if self.last_item is not None and following.parent is not self.item(self.last_item).parent:
                # Wider fixtures are torn down now; a crash there must not take the reports along.
                self._guarded(self._link.flush)
            return following
        if not self._link.inbox.is_drained:
            return self._session
        # Now session fixtures are torn down; from here on the shutdown timeout runs.
        self._link.post(Draining())
        self._guarded(self._link.flush)
        return None

    def _is_own_process(self) -> bool:
        return self._link.is_own_process

    # --- Finding the next item ---------------------------------------------------------------------------------------

    def _wait_for_item(self) -> ItemIndex | None:
        """Return the next item, however long it takes to come, or None at the end."""
        while True:
            index = self._look_for_item()
            if index is not None or self._link.inbox.is_drained:
                return index
            # Told to wait: all below session scope is torn down, since the last teardown knew it too.
            self._guarded(self._link.flush)
            with membership.resting(self._session.config):
                self._guarded(self._link.receive)

    def _look_for_item(self) -> ItemIndex | None:
        """Return the next item, or None if there is none now; asks if it must, and waits for the answer only.

        What is returned is claimed: the controller can take it back no more.
        """
        link = self._link
        self._guarded(link.receive_nowait)
        while True:
            while not self._is_answered():
                link.post(Asked())
                self._guarded(link.flush)
                recalls = link.inbox.recalls
                # What was given may be taken back before it is claimed; then nobody owes an answer any more.
                while not self._is_answered() and link.inbox.recalls == recalls:
                    self._guarded(link.receive)
            inbox = link.inbox
            if inbox.is_drained or self._position >= inbox.items:
                return None
            if link.claim(self._position + 1):
                self._waits_seen = inbox.waits
                return link.items[self._position]
            while link.inbox.recalls == inbox.recalls and not link.inbox.is_drained:
                self._guarded(link.receive)

    def _is_answered(self) -> bool:
        """Whether it is known what comes next. If the last answer was to wait, the next will come unasked.

        If that next one was taken back, it has come.
        """
        inbox = self._link.inbox
        if inbox.is_drained or self._position < inbox.items:
            return True
        return inbox.waits > max(self._waits_seen, inbox.void_waits)

    def _guarded(self, talk: Callable[[], None]) -> None:
        """Talk to the controller while a test's left-over signal handler may raise; that is not the next test's fault.

        What was cut off is taken up by the next call of the link, so nothing is lost. When this returns everything is
        sent; whether something was received, the caller sees by what came.
        """
        try:
            talk()
        except (KeyboardInterrupt, SystemExit, LinkLostError, pytest.exit.Exception):
            raise
        except BaseException as error:  # noqa: BLE001  -- an alarm may raise anything; it is reported as a warning
            last = self.item(self.last_item).nodeid if self.last_item is not None else "the start of the worker"
            self._reporter.warn(
                f"a signal handler raised {type(error).__name__}: {error} while no test was running; "
                f"it was probably left behind by {last!r}",
                last,
            )
            self._guarded(self._link.flush)

    def _forward_stop(self) -> None:
        """Tell the controller if something here asked the session to stop, and begin nothing more."""
        session = self._session
        if self._has_asked_to_stop or not (session.shouldfail or session.shouldstop):
            return
        self._has_asked_to_stop = True
        self._link.post(StopAsked(str(session.shouldfail or session.shouldstop), bool(session.shouldfail)))
        self._guarded(self._link.flush)
        while not self._link.inbox.is_drained:
            self._guarded(self._link.receive)
