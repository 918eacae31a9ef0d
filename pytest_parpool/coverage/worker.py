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


class WorkerMeasurement:
    """Measures a worker. Registered as a plugin, to save between tests.

    A slot's processes, one after the other, save to the same part: with ``--maxtasksperchild 1`` there would be as many
    parts as tests otherwise.

    Args:
        config: Pytest's.
        cov: Inherited from the controller.
        directory: Where parts are saved.
        part_bytes: From when on the next part is begun.
        clock: Seconds that only go forward. A default argument, because test suites replace the clocks of modules.
    """

    def __init__(
        self,
        config: pytest.Config,
        cov: Coverage,
        directory: Path,
        *,
        part_bytes: int = PART_BYTES,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._config = config
        self._cov = cov
        self._directory = directory
        self._part_bytes = part_bytes
        self._clock = clock
        self._pid = _getpid()
        self._base = internals.data_of(cov).base_filename()
        self._part_count = 0  # of those begun in this process
        self._number = 0  # of the part, in its slot
        self._worker: WorkerId | None = None
        self._part = self._begin_part()
        self._next_save = clock() + SAVE_SECONDS
        self._has_warned = False
        internals.take_over_after_fork(cov, self._part)
        cov_plugin.become_worker(config, cov)

    def belong_to(self, worker: WorkerId) -> None:
        """Take the place of the slot's last process, if there was one."""
        self._worker = worker
        number = sum(1 for _ in self._directory.glob(f"{worker}-*"))
        last = self._directory / f"{worker}-{number}"
        if number and not self._part.is_begun and last.stat().st_size < self._part_bytes:
            self._part.go_on(last)
            self._number = number
        else:
            self._number = number + 1
        self._aim()

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
        self._part = self._begin_part()
        self._aim()
        internals.record_to(self._cov, self._part)

    def _begin_part(self) -> PartData:
        self._part_count += 1
        return PartData(self._base, self._directory / f"work-{self._pid}-{self._part_count}")

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
