"""Shared objects as arguments of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import pytest_parpool
from pytest_parpool import AbandonedLockWarning, Pool, WorkerCrashed, register_joblib
from tests import pooling
from tests.contract.test_sync_scripts import no_run
from tests.pooling import Way, open_pool

__all__ = ["no_run"]

pytestmark = pytest.mark.usefixtures("no_run")


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool of one process, which ends with the test."""
    with open_pool("fork", 1) as pool:
        yield pool
    pool.join()


def add(lock: pytest_parpool.Lock, value: pytest_parpool.Value, number: int) -> int:
    """Add to a number that many read and write."""
    with lock:
        value.set(value.get() + number)
    return number


def die_with(lock: pytest_parpool.Lock, text: str) -> None:
    """End the process while it holds a lock."""
    lock.acquire()
    pooling.kill_self()
    raise AssertionError(text)


@pytest.mark.parametrize("way", ["thread", "fork", "spawn"])
def test_tasks_share_what_they_are_given(way: Way) -> None:
    """A lock and a number, which the standard library's cannot be: arguments of any task."""
    lock, value = pytest_parpool.Lock(), pytest_parpool.Value(0)
    with open_pool(way) as pool:
        pool.starmap(add, [(lock, value, number) for number in range(20)], 1)
    assert value.get() == sum(range(20))


def test_joblib_shares_what_it_is_given() -> None:
    """In joblib's batches as well."""
    joblib = pytest.importorskip("joblib")
    register_joblib()
    lock, value = pytest_parpool.Lock(), pytest_parpool.Value(0)
    calls = [joblib.delayed(add)(lock, value, number) for number in range(20)]
    assert joblib.Parallel(n_jobs=2, backend="parpool")(calls) == list(range(20))
    assert value.get() == sum(range(20))


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda pool, lock: pool.apply(die_with, (lock, "first")), id="apply"),
        pytest.param(lambda pool, lock: pool.starmap(die_with, [(lock, "first"), (lock, "second")], 2), id="starmap"),
    ],
)
def test_a_task_that_dies_with_a_lock_is_named(pool: Pool, call: Callable[[Pool, pytest_parpool.Lock], object]) -> None:
    """Whoever has the lock next is told which task it was, not only which process."""
    lock = pytest_parpool.Lock()
    with pytest.raises(WorkerCrashed):
        call(pool, lock)
    with pytest.warns(AbandonedLockWarning, match=r"task 'die_with\(.*'first'\).*'"), lock:
        pass
