"""A pool that shares the CPU slots of a run with its tests, with real processes."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed, wait
from pathlib import Path

import pytest

from pytest_parpool import Pool, PoolExecutor, WorkerCrashed, register_joblib, runs
from pytest_parpool.budget.account import Account
from pytest_parpool.budget.sheet import Sheet, size_bytes
from pytest_parpool.workload.pool import BudgetedPool
from tests.pooling import identity, kill_self, square, wait_for
from tests.sharing import Child, until

SLOTS = 2
ENVIRONMENT = {"PYTHON_CPU_COUNT": "1", "PARPOOL_TEST": "set"}


class Run:
    """A run with two workers, of which this process is one, and does what the test says for the other one."""

    def __init__(self) -> None:
        self.sheet = Sheet.make(bytearray(size_bytes(2)), SLOTS, 2)
        self.sheet.row(0).go_on()
        self.other = self.sheet.row(1)
        self.account = Account(self.sheet, 0, ENVIRONMENT, pid=os.getpid())

    @property
    def own(self) -> tuple[bool, int, int]:
        """What this process has noted."""
        return self.sheet.read()[0]

    @property
    def is_lending(self) -> bool:
        """Whether the test waits for a pool."""
        return not self.own[0]

    @property
    def running(self) -> int:
        """How many tasks its pools run."""
        return self.own[1]


@pytest.fixture
def run() -> Iterator[Run]:
    """A run that this test is in."""
    run = Run()

    def find_account() -> Account:
        return run.account

    runs.enter_budget(find_account)
    yield run
    runs.leave_budget(find_account)
    until(lambda: run.own == (True, 0, 0), f"something is noted of pools that have ended: {run.own}")


@contextlib.contextmanager
def ended(pool: Pool) -> Iterator[Pool]:
    """End a pool, and wait for it."""
    try:
        yield pool
    finally:
        pool.terminate()
        pool.join()


class Steps:
    """Tasks that wait until the test says that they go on."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def path(self, name: object) -> str:
        """Return what to call ``wait_for`` with."""
        return str(self._place / str(name))

    def has_begun(self, name: object) -> bool:
        """Whether a worker does it."""
        return Path(f"{self.path(name)}.awaited").exists()

    def await_begin(self, name: object) -> None:
        """Wait until a worker does it."""
        until(lambda: self.has_begun(name), f"{name} was not begun")

    def end(self, name: object) -> None:
        """Let it end."""
        Path(self.path(name)).touch()


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    """Such tasks."""
    return Steps(tmp_path)


# --- Slots ------------------------------------------------------------------------------------------------------------


def test_all_free_slots_are_used(run: Run, steps: Steps) -> None:
    """While this test waits and no other runs, as many tasks run as there are slots."""
    del run
    with ended(Pool()) as pool:
        assert pool.processes == SLOTS
        result = pool.map_async(wait_for, [steps.path(number) for number in range(3)], 1)

        def look() -> None:
            for number in (0, 1):
                steps.await_begin(number)
            for number in range(3):
                steps.end(number)

        thread = threading.Thread(target=look)
        thread.start()
        assert len(result.get()) == 3
        thread.join()


def test_a_test_that_computes_has_its_slot(run: Run, steps: Steps) -> None:
    """Beside it a pool has what is left."""
    with ended(Pool()) as pool:
        results = [pool.apply_async(wait_for, [steps.path(number)]) for number in range(2)]
        steps.await_begin(0)
        assert run.own == (True, 1, 2)
        steps.end(0)
        assert results[0].get() == steps.path(0)
        steps.await_begin(1)
        assert run.running == 1
        steps.end(1)


def test_one_task_runs_whatever_others_do(run: Run, steps: Steps) -> None:
    """Also if no slot is free; what others leave later is used then."""
    run.other.go_on()
    with ended(Pool()) as pool, run.account.lending():
        result = pool.map_async(wait_for, [steps.path(number) for number in range(2)], 1)
        steps.await_begin(0)
        assert (run.running, steps.has_begun(1)) == (1, False)
        run.other.rest()
        steps.await_begin(1)
        assert run.running == 2
        for number in range(2):
            steps.end(number)
        assert len(result.get()) == 2


def test_slots_are_given_back(run: Run, steps: Steps) -> None:
    """When another test begins, what runs goes on, and in the place of what ends first nothing is begun."""
    with ended(Pool()) as pool, run.account.lending():
        results = [pool.apply_async(wait_for, [steps.path(number)]) for number in range(3)]
        for number in range(2):
            steps.await_begin(number)
        run.other.go_on()
        steps.end(1)
        assert results[1].get() == steps.path(1)
        # Who tells a result has decided before who goes on.
        assert (run.running, steps.has_begun(2)) == (1, False)
        steps.end(0)
        steps.await_begin(2)
        assert run.running == 1
        steps.end(2)


def test_pools_of_one_test_share(run: Run, steps: Steps) -> None:
    """Each has a task that runs, so that one may wait for the other."""
    run.other.go_on()
    with ended(Pool()) as first, ended(Pool()) as second:
        results = [pool.map_async(wait_for, [steps.path(name)] * 3, 1) for name, pool in (("a", first), ("b", second))]
        for name in ("a", "b"):
            steps.await_begin(name)
        assert run.running == 2
        for name in ("a", "b"):
            steps.end(name)
        assert [len(result.get()) for result in results] == [3, 3]


def test_a_crash_gives_its_slot_back(run: Run) -> None:
    """A replacement takes its place, and nothing more."""
    with ended(Pool()) as pool:
        results = pool.map_async(square, range(20), 1), pool.apply_async(kill_self)
        with pytest.raises(WorkerCrashed):
            results[1].get()
        assert results[0].get() == [number * number for number in range(20)]
        until(lambda: run.own == (True, 0, 0), "the slot of the dead worker is kept")


def test_no_process_is_started_for_nothing(run: Run) -> None:
    """A pool with one task has one process."""
    del run
    with ended(Pool()) as pool:
        pids = {pool.apply(os.getpid) for _ in range(20)}
    assert len(pids) == 1


# --- Who lends --------------------------------------------------------------------------------------------------------


def in_pool(use: Callable[[Pool, Callable[[str], str], str], object]) -> Callable[..., object]:
    """Return what waits in a pool, and calls something when that is there: beside a thread it would be spawned."""

    def act(begin: Callable[[], None], task: Callable[[str], str], path: str) -> object:
        with ended(Pool()) as pool:
            begin()
            return use(pool, task, path)

    return act


def in_executor(use: Callable[[PoolExecutor, Callable[[str], str], str], object]) -> Callable[..., object]:
    """Return what waits in an executor; as ``in_pool``."""

    def act(begin: Callable[[], None], task: Callable[[str], str], path: str) -> object:
        with PoolExecutor() as executor:
            begin()
            return use(executor, task, path)

    return act


def close_and_join(pool: Pool, task: Callable[[str], str], path: str) -> None:
    """Wait for the end."""
    pool.apply_async(task, [path])
    pool.close()
    pool.join()


def shut_down(executor: PoolExecutor, task: Callable[[str], str], path: str) -> None:
    """Wait for the end."""
    executor.submit(task, path)
    executor.shutdown()


def use_joblib(begin: Callable[[], None], task: Callable[[str], str], path: str) -> None:
    """Wait for a list."""
    joblib = pytest.importorskip("joblib")
    register_joblib()
    begin()
    with joblib.parallel_config(backend="parpool", n_jobs=-1):
        joblib.Parallel()([joblib.delayed(task)(path)])


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(use_joblib, id="joblib"),
        pytest.param(in_pool(lambda pool, task, path: pool.apply(task, [path])), id="apply"),
        pytest.param(in_pool(lambda pool, task, path: pool.map(task, [path])), id="map"),
        pytest.param(in_pool(lambda pool, task, path: pool.starmap(task, [[path]])), id="starmap"),
        pytest.param(in_pool(lambda pool, task, path: pool.apply_async(task, [path]).wait()), id="wait"),
        pytest.param(in_pool(lambda pool, task, path: pool.apply_async(task, [path]).get(60)), id="get with a timeout"),
        pytest.param(in_pool(lambda pool, task, path: next(pool.imap(task, [path]))), id="imap"),
        pytest.param(in_pool(lambda pool, task, path: pool.imap_unordered(task, [path]).next(60)), id="next"),
        pytest.param(in_pool(lambda pool, task, path: list(pool.completed(task, [path]))), id="completed"),
        pytest.param(in_pool(close_and_join), id="join"),
        pytest.param(in_executor(lambda executor, task, path: executor.submit(task, path).result()), id="result"),
        pytest.param(in_executor(lambda executor, task, path: executor.submit(task, path).exception()), id="exception"),
        pytest.param(in_executor(lambda executor, task, path: list(executor.map(task, [path]))), id="executor's map"),
        pytest.param(in_executor(lambda executor, task, path: wait([executor.submit(task, path)])), id="futures.wait"),
        pytest.param(
            in_executor(lambda executor, task, path: list(as_completed([executor.submit(task, path)], 60))),
            id="as_completed",
        ),
        pytest.param(in_executor(shut_down), id="shutdown"),
    ],
)
def test_who_waits_lends(run: Run, steps: Steps, act: Callable[..., object]) -> None:
    """The slot of the test is free while it waits, in whatever way, and its own again afterwards."""
    seen = []

    def look() -> None:
        steps.await_begin("task")
        until(lambda: run.is_lending, "it waits, and lends nothing")
        seen.append(run.running)
        steps.end("task")

    thread = threading.Thread(target=look)
    act(thread.start, wait_for, steps.path("task"))
    assert not run.is_lending
    thread.join()
    assert seen == [1]


def test_who_has_its_result_lends_nothing(run: Run) -> None:
    """To take what is there is not to wait."""
    with ended(Pool()) as pool:
        assert pool.apply(square, [3]) == 9
        results = pool.imap(square, [1, 2])
        assert [next(results), next(results)] == [1, 4]
        assert not run.is_lending


# --- Who takes part ---------------------------------------------------------------------------------------------------


def call_pool(_: object) -> tuple[int, list[int], str | None]:
    """Use a pool in a task."""
    with Pool() as pool:
        return pool.processes, pool.map(square, range(3)), os.environ.get("PARPOOL_TEST")


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_pool_in_a_task_has_one_process(run: Run, context: str) -> None:
    """It has the slot of its task, so it waits for nobody; what it starts is told so by the environment."""
    del run
    with ended(Pool(context=context)) as pool:
        assert pool.map(call_pool, range(2), 1) == [(1, [0, 1, 4], "set")] * 2


def test_who_says_a_number_gets_it(run: Run, steps: Steps) -> None:
    """Such a pool has nothing to do with the run, as in a script, and its environment is the test's."""
    run.other.go_on()
    with ended(Pool(3)) as pool:
        results = [pool.apply_async(wait_for, [steps.path(number)]) for number in range(3)]
        for number in range(3):
            steps.await_begin(number)
        assert run.own == (True, 0, 0)
        for number in range(3):
            steps.end(number)
        assert [result.get() for result in results] == [steps.path(number) for number in range(3)]
        assert pool.apply(os.environ.get, ["PARPOOL_TEST"]) is None


def test_the_fixtures_pool_takes_part_with_a_number(run: Run, steps: Steps) -> None:
    """It is the most it may have, however many slots are free."""
    with ended(BudgetedPool(1)) as pool, run.account.lending():
        assert pool.processes == 1
        results = [pool.apply_async(wait_for, [steps.path(number)]) for number in range(2)]
        steps.await_begin(0)
        assert run.own == (False, 1, 1)
        for number in range(2):
            steps.end(number)
        assert results[1].get() == steps.path(1)


def test_threads_do_not_take_part(run: Run, steps: Steps) -> None:
    """They share the interpreter of the test, or wait."""
    with ended(Pool(kind="thread")) as pool:
        assert pool.processes == SLOTS
        results = [pool.apply_async(wait_for, [steps.path(number)]) for number in range(2)]
        for number in range(2):
            steps.await_begin(number)
        assert run.own == (True, 0, 0)
        for number in range(2):
            steps.end(number)
        assert results[0].get() == steps.path(0)


def test_a_child_of_a_test_has_a_fixed_number(run: Run) -> None:
    """It cannot take part, so its pools have what the slots are for each worker."""
    del run

    def call() -> object:
        with Pool() as pool:
            return pool.processes, pool.map(identity, [1, 2])

    assert Child(call).result() == (SLOTS // 2, [1, 2])


@pytest.mark.skipif(importlib.util.find_spec("joblib") is None, reason="joblib is an extra")
def test_joblib_takes_part(run: Run, steps: Steps) -> None:
    """All CPUs are all slots of the run there; a number is that number."""
    import joblib  # type: ignore[import-untyped]

    from pytest_parpool import register_joblib

    register_joblib()
    for count, processes, shares in ((-1, SLOTS, 1), (3, 3, 0)):
        with joblib.parallel_config(backend="parpool", n_jobs=count):
            assert joblib.effective_n_jobs(None) == processes
            calls = joblib.delayed(identity)(0), joblib.delayed(wait_for)(steps.path(count))
            results = joblib.Parallel(return_as="generator")(calls)
            assert next(results) == 0
            assert len(run.account._shares) == shares
            steps.end(count)
            assert list(results) == [steps.path(count)]


# --- Ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_used", [True, False])
@pytest.mark.parametrize("end", ["close", "terminate", "forget"])
def test_nothing_is_noted_of_a_pool_that_has_ended(run: Run, end: str, *, is_used: bool) -> None:
    """However it ends, its part is free; see the fixture."""
    pool = Pool()
    if is_used:
        pool.apply(square, [2])
    if end == "forget":
        forgotten = weakref.ref(pool)
        with pytest.warns(ResourceWarning):  # noqa: PT031  -- what warns is the end of the last reference
            del pool
            gc.collect()
        assert forgotten() is None
        return
    getattr(pool, end)()
    pool.join()
    assert run.account._shares == ()


def test_a_pool_that_cannot_be_made_leaves_nothing(run: Run) -> None:
    """Its part is closed."""
    with pytest.raises(TypeError):
        Pool(initializer=threading.Lock().acquire, context="spawn")
    assert run.account._shares == ()
