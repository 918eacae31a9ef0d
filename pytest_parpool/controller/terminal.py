"""Lines of our own on the terminal: the header, what happened to workers, the closing line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_parpool.compat import pytest_internals
from pytest_parpool.model.ids import WorkerId

_MOST_NAMES = 20  # of tests that were not run; the count says how many there are


class TerminalLines:
    """Collects what is to be said, and says it when pytest's reporter lets us."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._interrupted: list[str] = []
        self._not_run: list[str] = []

    def say(self, text: str) -> None:
        """Write a line now, between the results."""
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            pytest_internals.begin_line(reporter)
            reporter.write_line(f"parpool: {text}", yellow=True)

    def add_interrupted(self, worker: WorkerId, nodeid: str, where: str) -> None:
        """Note which test was interrupted."""
        place = f", at {where}" if where else ""
        self._interrupted.append(f"interrupted: {nodeid} ({worker}{place})")

    def add_not_run(self, nodeids: Sequence[str]) -> None:
        """Note which tests were not run."""
        self._not_run.extend(nodeids)

    def summarize(self, reporter: Any, closing_line: str | None) -> None:
        """Write everything at the end of the summary."""
        for line in self._interrupted:
            reporter.write_line(line, yellow=True)
        if self._not_run:
            count = len(self._not_run)
            reporter.write_line(f"parpool: {count} test{'s were' if count != 1 else ' was'} not run:", red=True)
            for nodeid in self._not_run[:_MOST_NAMES]:
                reporter.write_line(f"  not run: {nodeid}")
            if count > _MOST_NAMES:
                reporter.write_line(f"  ... and {count - _MOST_NAMES} more")
        if closing_line is not None:
            reporter.write_line(f"parpool: {closing_line}")
