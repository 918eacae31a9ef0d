"""Replays what workers sent through pytest's own hooks: the terminal, junitxml, ``--lf`` and others just work."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_parpool.compat import pytest_internals
from pytest_parpool.compat.xdist_node import WorkerNode
from pytest_parpool.controller.shown_items import ShownItems
from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.wire.recorded_warnings import load_warning
from pytest_parpool.wire.reports import ReportReader


class Replay:
    """Calls reporting hooks in the controller, each item's in the conftests that hold for it, as a plain run does.

    Args:
        config: Pytest's.
        items: The collected items.
    """

    def __init__(self, config: pytest.Config, items: ShownItems) -> None:
        self._config = config
        self._items = items
        self._hooks: dict[tuple[int, str], Any] = {}
        self._readers: dict[WorkerNode, ReportReader] = {}
        # Captured output up to the last report of the item a worker runs; a crash report shows it.
        self._sections: dict[ItemIndex, list[tuple[str, str]]] = {}
        self._locations: dict[ItemIndex, tuple[str, int | None, str]] = {}
        # With -v it would print a line per start between the lines per result, which say the same.
        self._start_is_shown_by = pytest_internals.core_terminal_reporters(config)

    def start(self, index: ItemIndex, location: tuple[str, int | None, str]) -> None:
        """Say that an item begins."""
        self._locations[index] = location
        self._hook(index, "pytest_runtest_logstart")(nodeid=self._items.nodeid(index), location=location)

    def report(self, node: WorkerNode, index: ItemIndex, data: bytes) -> pytest.TestReport:
        """Show a report, and return it."""
        reader = self._readers.get(node) or self._make_reader(node)
        report = reader.load(data, item_index=index)
        report.node = node  # type: ignore[attr-defined]
        if report.sections:
            self._sections[index] = report.sections
        self.show(index, report)
        return report

    def _make_reader(self, node: WorkerNode) -> ReportReader:
        workerinput = node.workerinput
        ids = {"worker_id": workerinput["workerid"], "testrun_uid": workerinput["testrunuid"]}
        reader = self._readers[node] = ReportReader(self._config, **ids)
        return reader

    def show(self, index: ItemIndex, report: pytest.TestReport) -> None:
        """Show a report that was made here."""
        self._hook(index, "pytest_runtest_logreport")(report=report)

    def finish(self, index: ItemIndex) -> None:
        """Say that an item is over."""
        self._sections.pop(index, None)
        location = self._locations.pop(index)
        self._hook(index, "pytest_runtest_logfinish")(nodeid=self._items.nodeid(index), location=location)

    def sections(self, index: ItemIndex) -> list[tuple[str, str]]:
        """Return the sections of the last report of an item that is not over."""
        return list(self._sections.get(index, ()))

    def warning(self, data: bytes) -> None:
        """Show a warning."""
        recorded = load_warning(data)
        self._config.hook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": recorded.message,
                "when": recorded.when,
                "nodeid": recorded.nodeid,
                "location": recorded.location,
            }
        )

    def _hook(self, index: ItemIndex, name: str) -> Any:
        """Return the caller of a reporting hook for an item: conftests of other directories are left out."""
        path = self._items.path(index)
        found = self._hooks.get((path, name))
        if found is None:
            if name == "pytest_runtest_logstart" and self._start_is_shown_by:
                item = self._items.item(index)
                found = pytest_internals.hook_without(self._config, name, item, self._start_is_shown_by)
            else:
                found = getattr(self._items.relay(path), name)
            self._hooks[path, name] = found
        return found
