"""Coverage in a worker: what runs here is recorded and saved, so that little is lost when the worker dies."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import pytest
from coverage import Coverage
from coverage.exceptions import CoverageException

from pytest_parpool.coverage import cov_plugin, internals
from pytest_parpool.coverage.part import PartData
from pytest_parpool.model.ids import WorkerId

# How much may be lost when a worker dies; and no more than every so many seconds' work is spent on saving.
SAVE_SECONDS: Final = 1.0
SAVE_SHARE: Final = 20.0

# To save is to copy. What has grown beyond this is left as it is, and the next part begun.
PART_BYTES: Final = 8 * 2**20

_getpid = os.getpid


def begin_part(base: str, directory: Path, count: int = 1) -> PartData:
    """Return what this process can record to.

    Args:
        base: The run's data file.
        directory: Where parts are saved.
        count: Of those begun in this process, with this one.
    """
    return PartData(base, directory / f"work-{_getpid()}-{count}")


class WorkerMeasurement:
    """Measures a worker. A plugin, to save between tests.

    A slot's processes, one after the other, save to the same part: with ``--maxtasksperchild 1`` there would be as many
    parts as tests otherwise. So it is made when the slot's last process, if there was one, is gone.

    Args:
        config: Pytest's.
        cov: Measures this process already, and records to ``part``.
        part: The first that was begun here.
        worker: The slot.
        directory: Where parts are saved.
        part_bytes: From when on the next part is begun.
        clock: Seconds that only go forward. A default argument, because test suites replace the clocks of modules.
    """

    def __init__(
        self,
        config: pytest.Config,
        cov: Coverage,
        part: PartData,
        worker: WorkerId,
        directory: Path,
        *,
        part_bytes: int = PART_BYTES,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._config = config
        self._cov = cov
        self._part = part
        self._worker = worker
        self._directory = directory
        self._part_bytes = part_bytes
        self._clock = clock
        self._pid = _getpid()
        self._part_count = 1  # of those begun in this process
        self._has_warned = False
        self._number = self._take_place()
        self._aim()
        self._next_save = clock() + SAVE_SECONDS

    def _take_place(self) -> int:
        """Go on with what the slot's last process has saved, if that is not large; return its number."""
        number = sum(1 for _ in self._directory.glob(f"{self._worker}-*"))
        last = self._directory / f"{self._worker}-{number}"
        if number and not self._part.is_begun and last.stat().st_size < self._part_bytes:
            self._part.go_on(last)
            return number
        return number + 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Save after a test, if the last time was long ago."""
        result = yield
        if self._clock() >= self._next_save and _getpid() == self._pid:
            self._save()
        return result

    def finish(self) -> None:
        """Measure no more, and save what there is."""
        self._cov.stop()
        self._save()
        self._part.retire()
        cov_plugin.finish_worker(self._config, self._cov)

    def _save(self) -> None:
        started = self._clock()
        try:
            internals.flush(self._cov)
            self._part.write()
        except (CoverageException, OSError) as error:
            self._warn(error)
        else:
            if self._part.size_bytes >= self._part_bytes:
                self._begin_next_part()
        ended = self._clock()
        self._next_save = ended + max(SAVE_SECONDS, (ended - started) * SAVE_SHARE)

    def _begin_next_part(self) -> None:
        self._part.retire()
        self._number += 1
        self._part_count += 1
        self._part = begin_part(self._part.base_filename(), self._directory, self._part_count)
        self._aim()
        internals.record_to(self._cov, self._part)

    def _aim(self) -> None:
        self._part.target = self._directory / f"{self._worker}-{self._number}"

    def _warn(self, error: Exception) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        text = (
            f"worker {str(self._worker)!r} could not save what coverage measured in it; the totals will lack it "
            f"({type(error).__name__}: {error})"
        )
        message = warnings.WarningMessage(
            pytest.PytestWarning(text), category=pytest.PytestWarning, filename="pytest-parpool", lineno=0
        )
        self._config.hook.pytest_warning_recorded.call_historic(
            kwargs={"warning_message": message, "when": "runtest", "nodeid": "", "location": None}
        )
