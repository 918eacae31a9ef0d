"""The showing: pytest and other plugins are told what happened, one thing after the other, when there is time.

It decides nothing: what must follow when something was shown is said to the caller.
"""

from __future__ import annotations

import collections
import marshal
from typing import TypeAlias

import pytest

from pytest_parpool.compat.xdist_node import WorkerNode
from pytest_parpool.controller.ending import Ending
from pytest_parpool.controller.nodes import Nodes
from pytest_parpool.controller.replay import Replay
from pytest_parpool.controller.shown_items import ShownItems
from pytest_parpool.controller.statistics import RunStatistics
from pytest_parpool.controller.terminal import TerminalLines
from pytest_parpool.model.actions import ReportCrash, ReportLoss, Spawn
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import (
    Broken,
    Event,
    ExitAsked,
    Finished,
    Interrupted,
    Left,
    Ready,
    Reported,
    Started,
    StopAsked,
    WarningSeen,
)
from pytest_parpool.model.notices import Gone, Heard, Judged
from pytest_parpool.runtime.outputs import LastOutput

_Shown: TypeAlias = "Heard | Gone | Spawn | tuple[ReportCrash | ReportLoss, LastOutput]"


class Showing:
    """What is to be shown, in the order in which it happened.

    Args:
        session: Pytest's.
        nodes: What other plugins know of the workers.
        items: What is run.
        replay: Calls the reporting hooks.
        lines: Lines of our own on the terminal.
        ending: Told how the run ends.
        statistics: Told what ran.
    """

    def __init__(
        self,
        session: pytest.Session,
        nodes: Nodes,
        items: ShownItems,
        replay: Replay,
        lines: TerminalLines,
        ending: Ending,
        statistics: RunStatistics,
    ) -> None:
        self._session = session
        self._nodes = nodes
        self._items = items
        self._replay = replay
        self._lines = lines
        self._ending = ending
        self._statistics = statistics
        self._pending: collections.deque[tuple[WorkerNode, _Shown]] = collections.deque()

    @property
    def is_pending(self) -> bool:
        """Whether there is something to show."""
        return bool(self._pending)

    def add(self, worker: WorkerId, shown: _Shown) -> None:
        """Keep what is to be shown, with the node it is about: when its turn comes the slot may have another."""
        self._pending.append((self._nodes.node(worker), shown))

    def show_next(self) -> Judged | Spawn | None:
        """Show what is next.

        Returns:
            What follows: a failure was shown, and the run goes on if nothing asks to stop because of it; or a
            replacement is to be born now. Mostly None.

        Raises:
            BaseException: What reporting hooks raise.
        """
        node, shown = self._pending.popleft()
        match shown:
            case Heard(worker, event):
                self._show_event(worker, node, event)
                is_judged = isinstance(event, Reported) and event.is_awaiting
                return Judged(worker) if is_judged else None
            case Gone(_, exit_):
                self._nodes.down(node, exit_)
                return None
            case Spawn():
                return shown
            case (ReportCrash() as action, output):
                self._show_crash(node, action, output)
                return Judged(action.worker)
            case (ReportLoss() as action, output):
                self._show_loss(node, action, output)
                return None

    def _show_event(self, worker: WorkerId, node: WorkerNode, event: Event) -> None:
        match event:
            case Started(item, location):
                self._replay.start(item, location)
            case Reported(item, data, _):
                self._replay.report(node, item, data)
            case Finished(item, seconds):
                self._replay.finish(item)
                self._statistics.add(worker, self._items.nodeid(item), seconds)
            case WarningSeen(data):
                self._replay.warning(data)
            case Ready():
                self._nodes.ready(node)
            case StopAsked(reason, is_failure):
                if is_failure and not self._session.shouldfail:
                    self._session.shouldfail = reason
                elif not is_failure and not self._session.shouldstop:
                    self._session.shouldstop = reason
            case ExitAsked(reason, returncode):
                self._ending.exit_asked = self._ending.exit_asked or (reason, returncode)
            case Interrupted(item_or_none, where):
                self._ending.is_interrupted = True
                if item_or_none is not None:
                    self._lines.add_interrupted(worker, self._items.nodeid(item_or_none), where)
            case Broken(what, text):
                self._ending.broken = self._ending.broken or (what, text)
            case Left(output):
                node.workeroutput = marshal.loads(output)
            case _:  # Asked, Troubled, Draining: between worker and dispatcher.
                pass

    def _show_crash(self, node: WorkerNode, action: ReportCrash, output: LastOutput) -> None:
        from pytest_parpool.controller.crashes import crash_report, crash_text

        item = self._items.item(action.item)
        report = crash_report(item, crash_text(action, item.nodeid), self._replay.sections(action.item), output)
        self._nodes.crashed(node, report)
        self._replay.show(action.item, report)
        self._replay.finish(action.item)

    def _show_loss(self, node: WorkerNode, action: ReportLoss, output: LastOutput) -> None:
        from pytest_parpool.controller.crashes import loss_report, loss_text

        last = self._items.item(action.last_item) if action.last_item is not None else None
        text = loss_text(action, last.nodeid if last is not None else None)
        self._lines.say(text)
        if action.is_failure and last is not None:
            assert action.last_item is not None
            report = loss_report(last, text, output)
            report.node = node  # type: ignore[attr-defined]
            self._replay.show(action.last_item, report)
