"""Coverage in a spawned worker: begins where it begins in a plain run, with what the controller's was told.

That is before anything else if somebody has started coverage and then pytest, and where pytest-cov is told to measure
otherwise. Earlier, and what pytest imports until then would be measured that is not in a plain run; later, and what
only a worker imports were missing.
"""

from __future__ import annotations

import marshal
import os
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
from coverage import Coverage
from coverage.exceptions import CoverageWarning

from pytest_parpool.coverage import cov_plugin, internals
from pytest_parpool.coverage.worker import WorkerMeasurement, begin_part
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.records import Record, record

STARTING_VARIABLES: Final = (
    "COVERAGE_PROCESS_START",
    "COVERAGE_PROCESS_CONFIG",
    # Of pytest-cov before version 7.
    "COV_CORE_SOURCE",
    "COV_CORE_CONFIG",
    "COV_CORE_DATAFILE",
    "COV_CORE_BRANCH",
    "COV_CORE_CONTEXT",
)
"""By these an interpreter starts measuring by itself. A worker starts without them, and has them for its children."""


@record
class MeasurementOrder(Record):
    """How a spawned worker is to measure.

    Attributes:
        settings: What the controller's coverage was told.
        base: The run's data file.
        directory: Where parts are saved.
        is_pytest_cov: Whether it is pytest-cov that measures.
        is_monitored: Whether it is done by ``sys.monitoring``, whatever the settings come to.
        variables: Those of ``STARTING_VARIABLES`` that are set, and their values.
    """

    settings: bytes
    base: str
    directory: str
    is_pytest_cov: bool
    is_monitored: bool
    variables: dict[str, str]

    def dumps(self) -> bytes:
        """Return it as bytes."""
        return marshal.dumps(self._values())

    @classmethod
    def loads(cls, data: bytes) -> MeasurementOrder:
        """Return what was dumped."""
        return cls(*marshal.loads(data))


class SpawnedMeasurement:
    """Measures this process, a spawned worker. A plugin, for pytest to be started with.

    Args:
        order: The controller's.
    """

    def __init__(self, order: MeasurementOrder) -> None:
        os.environ.update(order.variables)
        self._is_pytest_cov = order.is_pytest_cov
        self._is_monitored = order.is_monitored
        self._directory = Path(order.directory)
        self._part = begin_part(order.base, self._directory)
        self._cov = internals.made_alike(order.settings, self._part)
        self._is_begun = False
        self._worker: WorkerMeasurement | None = None  # until pytest is configured
        if not order.is_pytest_cov:
            self._begin()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self) -> Generator[None, object, object]:
        """Get ahead of pytest-cov, which starts here."""
        if self._is_pytest_cov:
            cov_plugin.become_spawned_worker(self._begin, self.finish)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Save from now on: by now it is known who this is."""
        if not self._is_begun:
            return
        worker = WorkerId(config.workerinput["workerid"])  # type: ignore[attr-defined]
        self._worker = WorkerMeasurement(config, self._cov, self._part, worker, self._directory)
        config.pluginmanager.register(self._worker, "parpool-coverage")

    def finish(self) -> None:
        """Measure no more, and save what there is. The second time does nothing."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.finish()

    def _begin(self) -> Coverage:
        if not self._is_begun:
            self._is_begun = True
            with warnings.catch_warnings():
                # What there is to say of the configuration the controller's has said.
                warnings.simplefilter("ignore", CoverageWarning)
                self._cov.start()
            if self._is_monitored:
                internals.monitor(self._cov)
        return self._cov
