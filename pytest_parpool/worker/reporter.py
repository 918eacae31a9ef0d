"""Sends what pytest reports in a worker: reports, warnings, and that a failure is coming."""

from __future__ import annotations

import os
import warnings
from typing import Any, NoReturn

import pytest

from pytest_parpool.compat import pytest_internals
from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import Reported, Troubled, WarningSeen
from pytest_parpool.runtime.link import WorkerLink
from pytest_parpool.wire.recorded_warnings import RecordedWarning, dump_warning
from pytest_parpool.wire.reports import ReportWriter

_exit = os._exit


class WorkerReporter:
    """The plugin that stands behind all others in a worker, and sees reports as they left them.

    Reports of passed phases travel with the next thing that is sent; that is soon. A failure goes at once, and so does
    a phase with output; and the executor sends everything before wider fixtures are torn down.

    Args:
        config: Pytest's, in this worker.
        link: To the controller.
        is_stop_watched: Whether a failure may stop the run; then the worker waits to hear it.
    """

    def __init__(self, config: pytest.Config, link: WorkerLink, *, is_stop_watched: bool) -> None:
        self._link = link
        self._is_stop_watched = is_stop_watched
        self._config = config
        self._writer = ReportWriter(config)
        self._failed_subtests = pytest_internals.failed_subtests(config)
        self._last_text_warning = ""
        self.item: ItemIndex | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send a report."""
        if not self._link.is_own_process:
            self.leave_child(code=1 if report.failed else 0)
        if self._failed_subtests and report.when == "call" and report.passed:
            # Where that was counted it is known whether the test has failed by it.
            self._config.hook.pytest_report_teststatus(report=report, config=self._config)
        data, lost_types = self._writer.dump(report)
        if lost_types:
            self._warn_of_text(report, lost_types)
        item = self.item
        assert item is not None, f"a report of {report.nodeid!r} came while no test was running"
        is_awaiting = self._is_stop_watched and report.failed
        self._link.post(Reported(item, data, is_awaiting))
        if is_awaiting:
            self._await_verdict()
        elif report.failed or self._is_wanted_at_once(report):
            self._link.flush()

    def leave_child(self, code: int = 0) -> NoReturn:
        """End a child that the test forked and that fell through to us: it must not run the rest of the suite."""
        _exit(code)

    def _is_wanted_at_once(self, report: pytest.TestReport) -> bool:
        if report.when == "teardown":
            return False
        # What it printed belongs into the report of a crash in a later phase.
        return bool(report.sections)

    def _await_verdict(self) -> None:
        link = self._link
        proceeds = link.inbox.proceeds
        link.flush()
        while link.inbox.proceeds == proceeds and not link.inbox.is_drained:
            link.receive()

    @pytest.hookimpl(trylast=True)
    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: Any,
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        """Send a warning."""
        if self._link.is_own_process:
            self._link.post(WarningSeen(dump_warning(RecordedWarning(warning_message, when, nodeid, location))))

    def warn(self, text: str, nodeid: str) -> None:
        """Report a warning of our own about a test."""
        message = warnings.WarningMessage(
            pytest.PytestWarning(text), category=pytest.PytestWarning, filename="pytest-parpool", lineno=0
        )
        self._link.post(WarningSeen(dump_warning(RecordedWarning(message, "runtest", nodeid, None))))

    def _warn_of_text(self, report: pytest.TestReport, places: tuple[str, ...]) -> None:
        text = (
            f"the report of {report.nodeid!r} holds values that cannot travel between processes; they arrive as text: "
            + ", ".join(places)
        )
        if text != self._last_text_warning:  # A test's properties are in the reports of its later phases too.
            self._last_text_warning = text
            self.warn(text, report.nodeid)


class TroubleTeller:
    """Says that a phase has failed before its traceback is formatted, so that under ``-x`` no other test begins.

    Args:
        link: To the controller.
        reporter: Knows which item runs.
    """

    def __init__(self, link: WorkerLink, reporter: WorkerReporter) -> None:
        self._link = link
        self._reporter = reporter

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Look at a phase that has just ended."""
        if call.excinfo is None or call.excinfo.errisinstance(pytest.skip.Exception):
            return
        if self._link.is_own_process and self._reporter.item is not None:
            self._link.post(Troubled(self._reporter.item))
            self._link.flush()
