"""Reports between the two sides, through pytest's own hooks, so that plugins' reports and extras travel too.

An item has three reports, and those of passed phases differ in a few fields only. If nobody but pytest itself has a say
in how reports travel, the first of an item travels as its bare fields, and the second and third as what is different
from those: forwarding a short test costs a third then. How a report came cannot be told from it.

On the wire a report is a dictionary, which the hooks have made and take, or a pair: whether it is a difference, and the
fields.
"""

from __future__ import annotations

import contextlib
import marshal
import sys
from typing import Any

import pytest

from pytest_parpool.wire import plain

_dumps = marshal.dumps
_loads = marshal.loads
_intern = sys.intern

# What differs between the phases of an item. All are plain values of pytest's own making.
_PHASE_FIELDS = frozenset({"when", "outcome", "duration", "start", "stop", "sections"})
# What is made anew for each phase, and as a rule equal.
_EQUAL_FIELDS = frozenset({"_id", "nodeid", "location", "keywords"})


class ReportWriter:
    """Turns one worker's reports into bytes.

    Args:
        config: Pytest's, in the worker.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._may_abridge = all(
            _has_core_only(config, name)
            for name in ("pytest_report_to_serializable", "pytest_report_from_serializable")
        )
        self._first: dict[str, Any] | None = None
        self._own_fields = pytest.TestReport("", ("", None, ""), {}, "passed", None, "setup").__dict__.keys()
        # What pytest makes such a report of: the id has been a private object since pytest 9.2, which cannot travel.
        self._arguments = ("nodeid", *(name for name in self._own_fields if name not in ("_id", "nodeid")))

    def dump(self, report: pytest.TestReport) -> tuple[bytes, tuple[str, ...]]:
        """Return the report as bytes, and the places whose values had to become text (see ``plain.dumps``)."""
        if self._first is not None:
            changes = self._changes(report, self._first)
            if changes is not None:
                return _dumps((True, changes)), ()
        # A plugin's object that hangs on the report may be the same in all phases, and have changed nevertheless.
        is_base = (
            self._may_abridge
            and type(report) is pytest.TestReport
            and report.longrepr is None
            and report.__dict__.keys() == self._own_fields
        )
        self._first = dict(report.__dict__) if is_base else None
        if is_base and not report.user_properties:
            # Nothing in it is a user's, so nobody need look through it.
            with contextlib.suppress(ValueError):  # But for a node id or a keyword of a subclass of str.
                return _dumps((False, {name: getattr(report, name) for name in self._arguments})), ()
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        assert data is not None, f"no plugin can serialize {type(report).__name__}"
        encoded, lost_types = plain.dumps(data)
        if lost_types:
            self._first = None
        return encoded, lost_types

    @staticmethod
    def _changes(report: pytest.TestReport, first: dict[str, Any]) -> dict[str, Any] | None:
        """Return what is to be changed in the first report to get this one, or None if it has to travel whole."""
        fields = report.__dict__
        if type(report) is not pytest.TestReport or fields.keys() != first.keys():
            return None
        changes: dict[str, Any] = {}
        for name, value in fields.items():
            other = first[name]
            if value is other:
                continue
            if name in _PHASE_FIELDS:
                changes[name] = value
            elif name == "user_properties":
                if value or other:  # Users' objects: not to be compared.
                    return None
            elif name not in _EQUAL_FIELDS or value != other:
                return None
        return changes


class ReportReader:
    """Turns one worker's bytes into reports again, in the order in which they were made.

    Args:
        config: Pytest's, in the controller.
        extras: Attributes that all its reports get.
    """

    def __init__(self, config: pytest.Config, **extras: Any) -> None:
        self._config = config
        self._extras = extras
        # Of the item under way: the fields of its first report, as it came, and its reports that were given out.
        self._first: dict[str, Any] = {}
        self._shown: list[pytest.TestReport] = []

    def load(self, data: bytes, **extras: Any) -> pytest.TestReport:
        """Return the report that ``ReportWriter.dump`` saw, with all extras as further attributes.

        They are given before plugins rebuild the report, as their own versions of the hook expect it.
        """
        values = _loads(data)
        report: pytest.TestReport
        if isinstance(values, tuple):
            is_difference, fields = values
            if is_difference:
                report = _like(self._first, {**fields, **extras})
                self._shown.append(report)
                return report
            self._settle()
            _share_names(fields)
            self._first = pytest.TestReport(**fields, **self._extras, **extras).__dict__
            report = _like(self._first, {})
            self._shown.append(report)
        else:
            values.update(self._extras, **extras)
            hook = self._config.hook.pytest_report_from_serializable
            report = hook(config=self._config, data=values)
            assert report is not None, "no plugin could rebuild a report"
            report.__dict__.pop("$report_type", None)  # Pytest leaves it there.
            if type(report) is pytest.TestReport:
                self._settle()
                # What reporting hooks change in this one the next one has not.
                self._first = _like(report.__dict__, {}).__dict__
                self._shown.append(report)
        return report

    def _settle(self) -> None:
        """Have the reports of an item that is over share their keywords, as far as no hook has changed them.

        Pytest keeps all reports until the end.
        """
        if not self._shown:
            return
        keywords = self._first["keywords"]
        with contextlib.suppress(Exception):  # A hook may have put in what cannot be compared.
            for report in self._shown:
                if report.keywords == keywords:
                    report.keywords = keywords
        self._shown.clear()


def _like(fields: dict[str, Any], changes: dict[str, Any]) -> pytest.TestReport:
    """Return a report that differs in ``changes`` only, and whose containers are its own."""
    report = pytest.TestReport.__new__(pytest.TestReport)
    own = report.__dict__
    own.update(fields)
    own["keywords"] = dict(fields["keywords"])
    own["user_properties"] = []
    own["sections"] = list(fields["sections"])
    own.update(changes)
    return report


def _share_names(fields: dict[str, Any]) -> None:
    """Have one string for each name, and not one per item: pytest keeps all reports until the end."""
    # A plugin may have put in other keys than names.
    fields["keywords"] = {_intern(key) if type(key) is str else key: value for key, value in fields["keywords"].items()}
    path, *rest = fields["location"]
    fields["location"] = (_intern(path) if type(path) is str else path, *rest)


def _has_core_only(config: pytest.Config, name: str) -> bool:
    """Whether all implementations of a hook are pytest's own."""
    hook: Any = getattr(config.hook, name)
    return all(impl.function.__module__.startswith("_pytest.") for impl in hook.get_hookimpls())
