"""How what workers have saved gets into the run's data."""

from __future__ import annotations

import multiprocessing.process
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData

from pytest_parpool.coverage.internals import data_of
from pytest_parpool.coverage.measurement import Measurement, measured_workers
from pytest_parpool.coverage.own_processes import left_alone
from pytest_parpool.stash import MEASUREMENT

SOURCE = str(Path(__file__).with_name("measured.py"))


@pytest.fixture
def config(pytester: pytest.Pytester) -> pytest.Config:
    """A config of nobody's run."""
    return pytester.parseconfig()


@pytest.fixture
def cov(tmp_path: Path) -> Iterator[Coverage]:
    """A coverage that has one data file, measures, and finds nothing."""
    found = Coverage(data_file=tmp_path / "measured.db", include=[f"{tmp_path}/*"], config_file=False)
    found.start()
    yield found
    found.stop()


def measurement_of(config: pytest.Config, cov: Coverage, directory: Path) -> Measurement:
    """Return one that has nothing to say."""
    return Measurement(config, cov, directory, pytest.fail)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two workers' parts, and what a killed one has left."""
    found = tmp_path / "parts"
    found.mkdir()
    for name, lines in (("gw0-1", [1]), ("gw0-2", [2]), ("gw1-1", [2, 3])):
        data = CoverageData(str(found / name))
        data.add_lines({SOURCE: lines})
    (found / "work-7-1").write_bytes(b"half a")
    return found


def lines_in(data: CoverageData) -> list[int]:
    """Return the lines that some data has of the one file."""
    return sorted(data.lines(SOURCE) or ())


def test_parts_are_merged_into_the_one_data_file(config: pytest.Config, cov: Coverage, directory: Path) -> None:
    """They are there when the owner saves, beside what the controller recorded before and after."""
    data_of(cov).add_lines({SOURCE: [10]})
    measurement_of(config, cov, directory).gather()
    data_of(cov).add_lines({SOURCE: [11]})
    cov.stop()
    cov.save()
    saved = CoverageData(data_of(cov).data_filename())
    saved.read()
    assert lines_in(saved) == [1, 2, 3, 10, 11]


def test_parts_are_put_beside_parallel_files(
    config: pytest.Config, cov: Coverage, directory: Path, tmp_path: Path
) -> None:
    """Under names that whoever combines looks for; what is left of them can be forgotten."""
    cov.set_option("run:parallel", True)
    measurement = measurement_of(config, cov, directory)
    measurement.gather()
    found = sorted(tmp_path.glob("measured.db.*"))
    combined = CoverageData(str(tmp_path / "combined"))
    for path in found:
        data = CoverageData(str(path))
        data.read()
        combined.update(data)
    assert len(found) == 3
    assert lines_in(combined) == [1, 2, 3]
    found[0].unlink()
    measurement.forget()
    assert list(tmp_path.glob("measured.db.*")) == []


def test_gathering_twice_finds_nothing_more(config: pytest.Config, cov: Coverage, directory: Path) -> None:
    """Each part is taken once."""
    measurement = measurement_of(config, cov, directory)
    measurement.gather()
    assert [path.name for path in directory.iterdir()] == ["work-7-1"]
    measurement.gather()
    assert lines_in(data_of(cov)) == [1, 2, 3]


def test_workers_find_the_measurement_while_there_may_be_some(config: pytest.Config, cov: Coverage) -> None:
    """And its directory is gone afterwards."""
    said: list[str] = []
    with measured_workers(config, cov, said.append):
        assert MEASUREMENT in config.stash
    assert MEASUREMENT not in config.stash
    assert said == []


def test_a_coverage_that_lacks_something_is_named(config: pytest.Config) -> None:
    """Workers are not measured then, and the user is told."""
    said: list[str] = []
    with measured_workers(config, Coverage(config_file=False), said.append):
        assert MEASUREMENT not in config.stash
    [line] = said
    assert "has no _clear_data" in line
    assert line.endswith("what workers run will not be measured")


def test_only_our_own_processes_are_left_alone(cov: Coverage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What coverage has put in the place of a process's first method is called for all others."""
    from coverage import multiproc

    process_type = multiprocessing.process.BaseProcess
    begun: list[object] = []
    monkeypatch.setattr(process_type, "_bootstrap", lambda _self: begun.append("measured"))
    monkeypatch.setattr(multiproc, "original_bootstrap", lambda _self: begun.append("plain"))
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Process(target=data_of, args=(cov,)), context.Process(target=os.getpid)
    patched = process_type._bootstrap  # type: ignore[attr-defined]
    with left_alone():
        ours._bootstrap()  # type: ignore[attr-defined]
        theirs._bootstrap()  # type: ignore[attr-defined]
    assert begun == ["plain", "measured"]
    assert process_type._bootstrap is patched  # type: ignore[attr-defined]
