"""Coverage in the controller: where workers save what they measure, and how that gets into the run's data."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData
from coverage.version import __version__ as version

from pytest_parpool.coverage import cov_plugin, internals
from pytest_parpool.coverage.own_processes import left_alone
from pytest_parpool.coverage.worker import WorkerMeasurement
from pytest_parpool.stash import MEASUREMENT


@contextlib.contextmanager
def measured_workers(config: pytest.Config, cov: Coverage, say: Callable[[str], None]) -> Iterator[None]:
    """Have workers that are forked meanwhile go on measuring what ``cov`` measures here.

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
        measurement = config.stash[MEASUREMENT] = Measurement(config, cov, Path(name))
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
    """

    def __init__(self, config: pytest.Config, cov: Coverage, directory: Path) -> None:
        self._config = config
        self._cov = cov
        self._directory = directory
        self._beside: list[str] = []  # what was put beside the run's data file

    def in_worker(self) -> WorkerMeasurement:
        """Go on measuring in this process, a new worker."""
        measurement = WorkerMeasurement(self._config, self._cov, self._directory)
        self._config.pluginmanager.register(measurement, "parpool-coverage")
        return measurement

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
