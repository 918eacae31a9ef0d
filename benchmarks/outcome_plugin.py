"""The pytest plugin that records the outcome of every node id, loaded with ``-p`` by ``benchmarks.outcomes``.

It stands alone (it is copied out of the checkout), and writes one JSON object in the controller only: by node id, by
phase, the outcomes in the order of their reports.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

OPTION = "--record-outcomes"


class OutcomeRecorder:
    """Collects what pytest reports in the process that reports it to the user."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a collector that failed or was skipped; its tests have no reports of their own."""
        if not report.passed:
            self._outcomes[report.nodeid]["collect"].append(report.outcome)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a phase of a test."""
        # pytest's own mark on reports of expected failures, whose outcome is "skipped" or "passed".
        expected = " (xfail)" if hasattr(report, "wasxfail") else ""
        self._outcomes[report.nodeid][report.when].append(f"{report.outcome}{expected}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the record, unless this is a copy of the recorder in a worker forked later than it was made."""
        if not hasattr(session.config, "workerinput"):
            self._path.write_text(json.dumps(self._outcomes), encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file."""
    parser.addoption(OPTION, type=Path, metavar="FILE", help="write the outcome of every node id into this file")


def pytest_configure(config: pytest.Config) -> None:
    """Start recording in the controller."""
    path: Path | None = config.getoption(OPTION)
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(OutcomeRecorder(path), "outcome-recorder")
