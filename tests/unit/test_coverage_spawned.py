"""What a spawned worker measures with is what the controller was told, wherever that came from."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData

from pytest_parpool.coverage.measurement import Measurement
from pytest_parpool.coverage.spawned import MeasurementOrder, SpawnedMeasurement

SOURCE = """
def one():
    return 1
"""


@pytest.fixture
def config(pytester: pytest.Pytester) -> pytest.Config:
    """The config of worker gw0."""
    found = pytester.parseconfig()
    found.workerinput = {"workerid": "gw0"}  # type: ignore[attr-defined]
    found.workeroutput = {}  # type: ignore[attr-defined]
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where parts are saved."""
    found = tmp_path / "parts"
    found.mkdir()
    return found


@pytest.fixture
def cov(tmp_path: Path) -> Iterator[Coverage]:
    """The controller's: it was told things that are in no configuration file."""
    found = Coverage(
        data_file=tmp_path / "measured.db",
        include=[f"{tmp_path}/*"],
        branch=True,
        context="nightly",
        config_file=False,
    )
    found.set_option("report:exclude_lines", ["never"])
    found.start()
    yield found
    found.stop()


def order_of(config: pytest.Config, cov: Coverage, directory: Path) -> MeasurementOrder:
    """Return what the controller writes for its workers, as they read it."""
    order = Measurement(config, cov, directory, pytest.fail).order_for_spawned()
    assert order is not None
    return MeasurementOrder.loads(order.dumps())


def test_a_worker_measures_with_what_the_controller_was_told(
    config: pytest.Config, cov: Coverage, directory: Path, tmp_path: Path
) -> None:
    """Branches, the context and what to include are as there; the data becomes the slot's part."""
    order = order_of(config, cov, directory)
    cov.stop()
    measurement = SpawnedMeasurement(order)
    current = Coverage.current()
    assert current is not None
    assert current.get_option("report:exclude_lines") == ["never"]
    measurement.pytest_configure(config)
    (tmp_path / "measured.py").write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("measured", tmp_path / "measured.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.one()
    measurement.finish()
    measurement.finish()  # Does nothing.
    data = CoverageData(str(directory / "gw0-1"))
    data.read()
    assert data.measured_contexts() == {"nightly"}
    assert (-2, 3) in (data.arcs(str(tmp_path / "measured.py")) or ())
    assert sorted(path.name for path in directory.iterdir()) == ["gw0-1"]
    cov.start()


def test_variables_that_start_coverage_come_back_in_the_worker(
    config: pytest.Config, cov: Coverage, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's interpreter starts without them, and its children are measured all the same."""
    monkeypatch.setenv("COVERAGE_PROCESS_START", "somewhere.ini")
    monkeypatch.setenv("COVERAGE_OTHER", "1")
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    order = order_of(config, cov, directory).replace(is_pytest_cov=True)
    assert order.variables == {"COVERAGE_PROCESS_START": "somewhere.ini"}
    monkeypatch.delenv("COVERAGE_PROCESS_START")
    SpawnedMeasurement(order)
    assert os.environ["COVERAGE_PROCESS_START"] == "somewhere.ini"


def test_a_measurement_of_pytest_cov_waits_for_it(config: pytest.Config, cov: Coverage, directory: Path) -> None:
    """If pytest-cov does not start in the worker, nothing is measured and nothing saved."""
    measurement = SpawnedMeasurement(order_of(config, cov, directory).replace(is_pytest_cov=True))
    assert Coverage.current() is cov
    measurement.pytest_configure(config)
    measurement.finish()
    assert list(directory.iterdir()) == []


def test_what_cannot_be_passed_is_said(config: pytest.Config, cov: Coverage, directory: Path) -> None:
    """The workers are then not measured."""
    cov.config.plugin_options = {"own": {"function": lambda: None}}  # type: ignore[dict-item]
    said: list[str] = []
    assert Measurement(config, cov, directory, said.append).order_for_spawned() is None
    [line] = said
    assert line.startswith("what spawned workers run will not be measured")
    assert line.endswith("use --start-method fork")
