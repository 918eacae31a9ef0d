"""Coverage in the controller: where workers save what they measure, and how that gets into the run's data."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData
from coverage.version import __version__ as version

from pytest_parpool.coverage import cov_plugin, internals
from pytest_parpool.coverage.monitoring import is_monitored
from pytest_parpool.coverage.own_processes import left_alone
from pytest_parpool.coverage.part import PartData
from pytest_parpool.coverage.spawned import STARTING_VARIABLES, MeasurementOrder
from pytest_parpool.coverage.worker import WorkerMeasurement, begin_part
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.stash import MEASUREMENT


@contextlib.contextmanager
def measured_workers(config: pytest.Config, cov: Coverage, say: Callable[[str], None]) -> Iterator[None]:
    """Have workers that are started meanwhile measure what ``cov`` measures here.

    Args:
        config: Pytest's.
        cov: Measures the controller.
        say: Writes a line on the terminal.
    """
    missing = internals.missing_internals(cov)
    if missing:
        say(f"this coverage {version} has no {', '.join(missing)}; what workers run will not be measured")
        yield
        return
    # Not beside the data file: what a killed controller leaves there would be combined into a later run's.
    with left_alone(), tempfile.TemporaryDirectory(prefix="parpool-coverage-") as name:
        is_pytest_cov = cov_plugin.is_in_charge(config, cov)
        measurement = config.stash[MEASUREMENT] = Measurement(config, cov, Path(name), say)
        try:
            yield
        finally:
            del config.stash[MEASUREMENT]
            if is_pytest_cov:
                # A run that was cut short it does not report; the next one would find what is left of this one.
                measurement.forget()


class Measurement:
    """What the controller measures with, and where its workers save.

    Args:
        config: Pytest's.
        cov: Measures the controller.
        directory: For the workers' parts.
        say: Writes a line on the terminal.
    """

    def __init__(self, config: pytest.Config, cov: Coverage, directory: Path, say: Callable[[str], None]) -> None:
        self._config = config
        self._say = say
        self._cov = cov
        self._directory = directory
        self._beside: list[str] = []  # what was put beside the run's data file
        measured = internals.measured_by(cov, has_contexts=cov_plugin.changes_contexts(config))
        self._is_monitored = measured is not None and is_monitored(measured)

    def begin_in_forked_worker(self) -> PartData:
        """Go on measuring in this process, a new worker that does not know yet which one it is."""
        part = begin_part(internals.data_of(self._cov).base_filename(), self._directory)
        internals.take_over_after_fork(self._cov, part)
        if self._is_monitored:
            internals.monitor(self._cov)
        cov_plugin.become_worker(self._config, self._cov)
        return part

    def in_forked_worker(self, worker: WorkerId, part: PartData) -> WorkerMeasurement:
        """Take this slot's place; ``part`` is what was begun."""
        measurement = WorkerMeasurement(self._config, self._cov, part, worker, self._directory)
        self._config.pluginmanager.register(measurement, "parpool-coverage")
        return measurement

    def order_for_spawned(self) -> MeasurementOrder | None:
        """Return what spawned workers are to measure with; or None, which is said, if they cannot be told."""
        try:
            settings = internals.settings_of(self._cov)
        except Exception as error:  # noqa: BLE001  -- whatever pickling a user's object raises; it is said
            self._say(
                "what spawned workers run will not be measured, because coverage was given something that cannot be "
                f"passed to them ({type(error).__name__}: {error}); use --start-method fork"
            )
            return None
        return MeasurementOrder(
            settings=settings,
            base=internals.data_of(self._cov).base_filename(),
            directory=str(self._directory),
            is_pytest_cov=cov_plugin.is_in_charge(self._config, self._cov),
            is_monitored=self._is_monitored,
            variables={name: os.environ[name] for name in STARTING_VARIABLES if name in os.environ},
        )

    def gather(self) -> None:
        """Put what workers have saved where whoever reports will look for it. No worker must be left.

        With one data file for the run (``coverage run``) it goes into the data that the controller records, whose owner
        saves it. With one for each process (``parallel = true``, or pytest-cov) the owner will combine them, and finds
        the workers' beside the controller's. They are not merged into that one: its name says what was *recorded* in
        it, and of two names that say the same only one is combined.
        """
        parts = sorted(self._directory.glob("gw*-*"))
        if not parts:
            return
        internals.expect_unimported_source(self._cov)
        data = internals.data_of(self._cov)
        if self._cov.get_option("run:parallel"):
            for path in parts:
                self._beside.append(CoverageData(data.base_filename(), suffix=True).data_filename())
                shutil.move(path, self._beside[-1])
            return
        internals.flush(self._cov)
        for path in parts:
            part_data = CoverageData(str(path))
            part_data.read()
            data.update(part_data)
            path.unlink()

    def forget(self) -> None:
        """Remove what was put beside the run's data file and was not combined."""
        for name in self._beside:
            Path(name).unlink(missing_ok=True)
