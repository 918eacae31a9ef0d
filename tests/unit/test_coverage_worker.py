"""When a worker saves what it measures, and where to."""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from coverage import Coverage, CoverageData

from pytest_parpool.coverage.internals import take_over_after_fork
from pytest_parpool.coverage.worker import PART_BYTES, SAVE_SECONDS, SAVE_SHARE, WorkerMeasurement, begin_part
from pytest_parpool.model.ids import WorkerId

SOURCE = """
def one():
    return 1

def two():
    return 2
"""

GW0 = WorkerId("gw0")


class Clock:
    """Shows what it is set to, and how often it was looked at."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.per_look = 0.0

    def __call__(self) -> float:
        """Return the time."""
        self.seconds += self.per_look
        return self.seconds


@pytest.fixture
def config(pytester: pytest.Pytester) -> pytest.Config:
    """A config of nobody's run."""
    return pytester.parseconfig()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where parts are saved."""
    found = tmp_path / "parts"
    found.mkdir()
    return found


@pytest.fixture
def cov(tmp_path: Path) -> Iterator[Coverage]:
    """A coverage that measures what is in the test's directory, in this process, as a worker inherits it."""
    found = Coverage(data_file=tmp_path / ".coverage", include=[f"{tmp_path}/*"], config_file=False)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def measured(tmp_path: Path, cov: Coverage) -> ModuleType:
    """A module that is measured, and was before there were workers."""
    path = tmp_path / "measured.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("measured", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def begin(
    config: pytest.Config,
    cov: Coverage,
    directory: Path,
    *,
    part_bytes: int = PART_BYTES,
    clock: Callable[[], float] = time.perf_counter,
) -> WorkerMeasurement:
    """Begin to measure as a worker of slot gw0 that was forked just now."""
    part = begin_part(str(directory.parent / ".coverage"), directory)
    take_over_after_fork(cov, part)
    return WorkerMeasurement(config, cov, part, GW0, directory, part_bytes=part_bytes, clock=clock)


def run_test(worker: WorkerMeasurement, test: Callable[[], object]) -> None:
    """Run a test, as pytest's hook does."""
    protocol = worker.pytest_runtest_protocol()
    next(protocol)
    test()
    with pytest.raises(StopIteration):
        next(protocol)


def lines_in(path: Path) -> list[int]:
    """Return the lines of the measured module that a data file knows."""
    data = CoverageData(str(path))
    data.read()
    return sorted(line for name in data.measured_files() for line in data.lines(name) or ())


def names_in(directory: Path) -> list[str]:
    """Return the names of the parts."""
    return sorted(path.name for path in directory.glob("gw*"))


def test_saves_behind_a_test_when_the_last_time_is_long_ago(
    config: pytest.Config, cov: Coverage, measured: ModuleType, directory: Path
) -> None:
    """Not behind each test; and what the controller measured is not in it."""
    clock = Clock()
    worker = begin(config, cov, directory, clock=clock)
    run_test(worker, measured.one)
    assert names_in(directory) == []
    clock.seconds += SAVE_SECONDS
    run_test(worker, measured.one)
    assert lines_in(directory / "gw0-1") == [3]
    run_test(worker, measured.two)
    assert lines_in(directory / "gw0-1") == [3]
    worker.finish()
    assert lines_in(directory / "gw0-1") == [3, 6]


def test_saving_takes_a_small_share_of_the_time(
    config: pytest.Config, cov: Coverage, measured: ModuleType, directory: Path
) -> None:
    """After one that took long, the next is later than usual."""
    clock = Clock()
    worker = begin(config, cov, directory, clock=clock)
    clock.per_look = 2 * SAVE_SECONDS
    run_test(worker, measured.one)
    clock.per_look = 0.0
    clock.seconds += SAVE_SHARE * SAVE_SECONDS
    run_test(worker, measured.two)
    assert lines_in(directory / "gw0-1") == [3]
    clock.seconds += SAVE_SHARE * SAVE_SECONDS
    run_test(worker, measured.two)
    assert lines_in(directory / "gw0-1") == [3, 6]


def test_a_large_part_is_followed_by_another(
    config: pytest.Config, cov: Coverage, measured: ModuleType, directory: Path
) -> None:
    """So that a save never copies much; together they hold everything, under the same context."""
    clock = Clock()
    worker = begin(config, cov, directory, part_bytes=1, clock=clock)
    cov.switch_context("long")
    for function in (measured.one, measured.two):
        clock.seconds += SAVE_SECONDS
        run_test(worker, function)
    assert lines_in(directory / "gw0-1") == [3]
    assert lines_in(directory / "gw0-2") == [6]
    data = CoverageData(str(directory / "gw0-2"))
    data.read()
    assert data.measured_contexts() == {"long"}


def test_a_slots_processes_share_a_part(
    config: pytest.Config, cov: Coverage, measured: ModuleType, directory: Path
) -> None:
    """With one process per test there is still one part per slot."""
    for function in (measured.one, measured.two):
        worker = begin(config, cov, directory)
        run_test(worker, function)
        worker.finish()
        cov.start()
    assert names_in(directory) == ["gw0-1"]
    assert lines_in(directory / "gw0-1") == [3, 6]


def test_what_cannot_be_saved_is_warned_of_once(
    config: pytest.Config, cov: Coverage, measured: ModuleType, directory: Path
) -> None:
    """The tests go on."""
    seen: list[str] = []

    class Watcher:
        def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
            seen.append(str(warning_message.message))

    clock = Clock()
    worker = begin(config, cov, directory, clock=clock)
    directory.rmdir()
    config.pluginmanager.register(Watcher())
    seen.clear()
    for _ in range(2):
        clock.seconds += SAVE_SECONDS
        run_test(worker, measured.one)
    [text] = seen
    assert text.startswith("worker 'gw0' could not save what coverage measured in it")
