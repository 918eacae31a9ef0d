"""A worker's run loop, in the place of pytest's own."""

from __future__ import annotations

import signal
from collections.abc import Generator
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from pytest_parpool.compat import pytest_internals
from pytest_parpool.model.messages import Draining
from pytest_parpool.runtime.link import WorkerLink
from pytest_parpool.worker.executor import Executor
from pytest_parpool.worker.last_teardown import tear_down_as_report
from pytest_parpool.worker.reporter import WorkerReporter
from pytest_parpool.worker.unused_memory import UnusedMemory

if TYPE_CHECKING:
    from pytest_parpool.runtime.process_memory import ProcessMemory


class WorkerLoop:
    """Runs items, and tears down what stands behind the last one.

    Args:
        session: Pytest's.
        link: To the controller.
        executor: Runs the items.
        reporter: Sends the report of a teardown that failed.
        memory: What is unused of it is given back behind items; None if that is not to be done here.
    """

    def __init__(
        self,
        session: pytest.Session,
        link: WorkerLink,
        executor: Executor,
        reporter: WorkerReporter,
        memory: ProcessMemory | None,
    ) -> None:
        self._session = session
        self._link = link
        self._executor = executor
        self._reporter = reporter
        self._unused_memory = UnusedMemory(memory) if memory is not None else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool:
        """Run this worker's items, and tear down in here: log files are still written, as in a plain run."""
        self._executor.run()
        self.tear_down_rest()
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Give memory back once an item, and all that ends with it, is torn down without an error."""
        result = yield
        if self._unused_memory is not None and self._unused_memory.look():
            # What objects raise when they are freed is this item's, and not that of the next one's setup.
            pytest_internals.raise_unraisable(item)
        return result

    def tear_down_rest(self) -> None:
        """Tear down what stands, if anything does; an error becomes a report."""
        if pytest_internals.has_standing_fixtures(self._session):
            self.say_draining()
            tear_down_as_report(self._session, self._executor, self._reporter)

    def say_draining(self) -> None:
        """Say that this worker is leaving: now the shutdown timeout runs, and Ctrl-C has no effect any more."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _disregard)
        self._link.post(Draining())
        self._link.flush()


def _disregard(number: int, frame: FrameType | None) -> None:
    """Take no notice of Ctrl-C: the worker is leaving already, and what hangs is ended by the controller.

    A function, and not SIG_IGN: what a teardown starts would inherit that.
    """
