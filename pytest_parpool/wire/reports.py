"""Reports between the two sides, through pytest's own hooks, so that plugins' reports and extras travel too."""

from __future__ import annotations

import marshal
from typing import Any

import pytest

from pytest_parpool.wire import plain

_loads = marshal.loads


def dump_report(config: pytest.Config, report: pytest.TestReport) -> tuple[bytes, tuple[str, ...]]:
    """Return the report as bytes, and the places whose values had to become text (see ``plain.dumps``)."""
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    assert data is not None, f"no plugin can serialize {type(report).__name__}"
    return plain.dumps(data)


def load_report(config: pytest.Config, data: bytes, **extras: Any) -> pytest.TestReport:
    """Return the report that ``dump_report`` saw, with ``extras`` as further attributes.

    The extras are given before plugins rebuild the report, as their own versions of the hook expect it.
    """
    values = _loads(data)
    values.update(extras)
    report: pytest.TestReport = config.hook.pytest_report_from_serializable(config=config, data=values)
    assert report is not None, "no plugin could rebuild a report"
    return report
