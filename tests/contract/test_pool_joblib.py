"""joblib runs on the pool, if it is told to."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]

from pytest_parpool import WorkerCrashed, register_joblib
from pytest_parpool.cpus import usable_cpus
from tests import pooling
from tests.pooling import fail_if_odd, square


@pytest.fixture(autouse=True, scope="module")
def _registered() -> None:
    register_joblib()
    register_joblib()


def _pid(_: int) -> int:
    return os.getpid()


def test_parallel() -> None:
    """Batches run in other processes, and results come in order."""
    with parallel_config(backend="parpool", n_jobs=2):
        assert Parallel()(delayed(square)(number) for number in range(50)) == [number**2 for number in range(50)]
        pids = set(Parallel()(delayed(_pid)(number) for number in range(50)))
    assert os.getpid() not in pids
    assert len(pids) <= 2


def test_functions_of_functions() -> None:
    """Closures are sent, as joblib's users are used to."""
    offset = 3
    assert Parallel(n_jobs=2, backend="parpool")(delayed(lambda n: n + offset)(number) for number in range(3)) == [
        3,
        4,
        5,
    ]


def test_generators() -> None:
    """Results can be taken one by one."""
    results = Parallel(n_jobs=2, backend="parpool", return_as="generator")(delayed(square)(n) for n in range(10))
    assert list(results) == [number**2 for number in range(10)]


def test_errors() -> None:
    """A call's error is raised, also where the pool is kept for several calls, and the backend can be used again."""
    with parallel_config(backend="parpool", n_jobs=2):
        with Parallel() as parallel, pytest.raises(ValueError, match=r"\d is odd"):
            parallel(delayed(fail_if_odd)(number) for number in range(20))
        assert Parallel()(delayed(square)(number) for number in range(5)) == [0, 1, 4, 9, 16]


def test_crashes() -> None:
    """They are told, and settings of the executor can be given."""
    with pytest.raises(WorkerCrashed, match="killed by SIGKILL"):
        Parallel(n_jobs=2, backend="parpool")(delayed(pooling.kill_self)() for _ in range(3))


def test_settings_of_the_executor(tmp_path: Any) -> None:
    """What joblib does not know goes to the executor."""
    with parallel_config(backend="parpool", n_jobs=2, retries=1):
        path = str(tmp_path / "crashed")
        assert Parallel()([delayed(pooling.crash_once)(path)]) == ["survived"]


@pytest.mark.parametrize(("given", "count"), [(None, 1), (1, 1), (3, 3), (-1, usable_cpus()), (-1000, 1)])
def test_numbers_of_jobs(given: int | None, count: int) -> None:
    """They are counted as joblib counts."""
    from pytest_parpool.workload.joblib_backend import ParpoolBackend

    backend = ParpoolBackend(nesting_level=0)
    assert backend.effective_n_jobs(given) == count
    with pytest.raises(ValueError, match="n_jobs == 0"):
        backend.effective_n_jobs(0)


def test_one_job() -> None:
    """It runs here."""
    assert Parallel(n_jobs=1, backend="parpool")(delayed(_pid)(number) for number in range(3)) == [os.getpid()] * 3


def test_without_joblib(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what to install."""
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ImportError, match=r'pip install "pytest-parpool\[joblib\]"'):
        register_joblib()
