"""Tears down what still stands when a worker leaves, where no test is running any more."""

from __future__ import annotations

import pytest

from pytest_parpool.compat import pytest_internals
from pytest_parpool.worker.executor import Executor
from pytest_parpool.worker.reporter import WorkerReporter


def tear_down_as_report(session: pytest.Session, executor: Executor, reporter: WorkerReporter) -> None:
    """Tear everything down; an error is a teardown report of the last item this worker ran.

    Plain pytest reports it there too: its last item's teardown is the session's. Here the worker learned only later
    that this item was its last.
    """
    if executor.last_item is None:
        pytest_internals.tear_down_all(session, None)
        return
    item = executor.item(executor.last_item)
    call = pytest.CallInfo.from_call(
        lambda: pytest_internals.tear_down_all(session, item),
        when="teardown",
        reraise=(pytest.exit.Exception,),
    )
    if call.excinfo is None:
        return
    report = item.ihook.pytest_runtest_makereport(item=item, call=call)
    reporter.item = executor.last_item
    item.ihook.pytest_runtest_logreport(report=report)
    reporter.item = None
