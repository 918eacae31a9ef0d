"""Pools inside of tests share the CPU slots of the run with the tests, and nothing of them is left."""

from __future__ import annotations

import signal

import pytest

from tests.acceptance import runs

MODES = pytest.mark.parametrize(
    "mode", [(), ("-n", "0"), ("-n", "1"), ("-n", "2")], ids=lambda mode: " ".join(mode) or "without -n"
)

METER = '''
"""Counts the tests and tasks that compute at the same time, in a file that all see."""

import fcntl
import pathlib

PLACE = pathlib.Path(__file__).parent


def add(what, number):
    """Add to a count; note the largest sum of all counts that there was."""
    with open(PLACE / "meter.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = PLACE / f"{what}.count"
        path.write_text(str(number + (int(path.read_text()) if path.exists() else 0)))
        total = sum(int(count.read_text()) for count in PLACE.glob("*.count"))
        most = PLACE / "most"
        most.write_text(str(max(total, int(most.read_text()) if most.exists() else 0)))


class computing:
    """Counts as one."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        add(self.what, 1)

    def __exit__(self, *_):
        add(self.what, -1)
'''


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can wait for one another, and be counted."""
    runs.add_happenings(pytester)
    pytester.makepyfile(meter=METER)


def most(pytester: pytest.Pytester) -> int:
    """Return how many tests and tasks computed at the same time."""
    return int((pytester.path / "most").read_text())


@MODES
def test_a_pool_for_a_test(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """It does what a pool does, with and without workers, and its processes end with the test."""
    pytester.makepyfile(
        """
        import os

        import happenings
        import pytest
        import pytest_parpool

        def square(number):
            return number * number

        @pytest.mark.parametrize("number", range(3))
        def test_squares(parpool_pool: pytest_parpool.Pool, number):
            assert parpool_pool.map(square, range(100)) == [number * number for number in range(100)]
            happenings.note("pids", parpool_pool.apply(os.getpid))
            template = parpool_pool.apply(os.getppid)
            assert template != os.getpid(), "it was not forked by a template"
            happenings.note("pids", template)

        def test_nothing_is_left():
            for pid in happenings.notes("pids"):
                happenings.wait_until(lambda: happenings.state(pid) in "ZX")
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=4)


@MODES
def test_pools_for_the_session(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """A fixture makes one for many tests, of the kind it wants; with the session it is gone."""
    pytester.makepyfile(
        """
        import os
        import threading

        import happenings
        import pytest

        STARTED = []

        @pytest.fixture(scope="session")
        def pool(parpool_pool_factory):
            pool = parpool_pool_factory(processes=3, initializer=STARTED.append, initargs=["started"])
            assert pool.processes == 3
            return pool

        @pytest.fixture(scope="module")
        def threads(parpool_pool_factory):
            return parpool_pool_factory(2, kind="thread")

        def look(_):
            return STARTED[:]

        @pytest.mark.parametrize("number", range(4))
        def test_processes(pool, number):
            assert pool.map(look, range(4)) == [["started"]] * 4
            happenings.note("pids", pool.apply(os.getpid))

        @pytest.mark.parametrize("number", range(2))
        def test_threads(threads, number):
            assert threads.apply(os.getpid) == os.getpid()
            assert threads.apply(threading.current_thread) is not threading.current_thread()
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=6)
    assert_gone(pytester)


def assert_gone(pytester: pytest.Pytester) -> None:
    """Wait until no process is left that the inner tests have noted."""
    namespace: dict[str, object] = {"__file__": str(pytester.path / "happenings.py")}
    exec(runs.HAPPENINGS, namespace)
    pids = runs.notes(pytester, "pids")
    assert pids
    for pid in pids:
        namespace["wait_until"](lambda pid=pid: namespace["state"](pid) in "ZX")  # type: ignore[operator]


def test_idle_slots_are_used(pytester: pytest.Pytester) -> None:
    """With one test left for two workers, its pool runs two tasks at once, and the test itself waits."""
    pytester.makepyfile(
        """
        import happenings

        def meet(name, other):
            happenings.tell(name)
            happenings.wait_for(other)

        def test_pair(parpool_pool):
            assert parpool_pool.processes == 2
            parpool_pool.starmap(meet, [("left", "right"), ("right", "left")], 1)

        def test_short():
            pass
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=2)


def test_slots_beside_the_workers_are_used(pytester: pytest.Pytester) -> None:
    """With more slots than workers, a pool uses those beside the tests that compute."""
    pytester.makepyfile(
        """
        import happenings

        def meet(number):
            happenings.tell(number)
            for other in range(3):
                happenings.wait_for(other)

        def test_three(parpool_pool):
            assert parpool_pool.processes == 4
            result = parpool_pool.map_async(meet, range(3), 1)
            for number in range(3):
                happenings.wait_for(number)
            result.get()
        """
    )
    runs.run(pytester, "-n", "1", "--parpool-cpus", "4").assert_outcomes(passed=1)


def test_tests_and_tasks_stay_within_the_slots(pytester: pytest.Pytester) -> None:
    """Of tests that map, and tests that only compute, there are never more at work than slots."""
    pytester.makepyfile(
        """
        import happenings
        import meter
        import pytest

        def task(number):
            with meter.computing("tasks"):
                happenings.note("tasks", number)
                return number

        @pytest.mark.parametrize("number", range(8))
        def test_map(parpool_pool, number):
            assert parpool_pool.map(task, range(12), 1) == list(range(12))

        @pytest.mark.parametrize("number", range(4))
        def test_compute(number):
            with meter.computing("tests"):
                happenings.note("tests", number)
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=12)
    assert len(runs.notes(pytester, "tasks")) == 96
    assert most(pytester) == 2


def test_nested_pools_do_not_wait_for_each_other(pytester: pytest.Pytester) -> None:
    """A task that uses a pool uses it in its own slot, however deep and however few slots there are."""
    pytester.makepyfile(
        """
        import pytest
        from pytest_parpool import Pool, PoolExecutor

        def sink(depth):
            if not depth:
                return 0
            with Pool() as pool:
                assert pool.processes == 1
                return 1 + max(pool.map(sink, [depth - 1] * 2))

        def gather(depth):
            with PoolExecutor() as executor:
                return executor.submit(sink, depth).result()

        @pytest.mark.parametrize("number", range(3))
        def test_nested(parpool_pool, number):
            assert parpool_pool.map(sink, [2] * 3, 1) == [2] * 3
            with Pool() as pool:
                assert pool.map(gather, [1] * 2, 1) == [1] * 2
        """
    )
    runs.run(pytester, "-n", "2", "--parpool-cpus", "1").assert_outcomes(passed=3)


def test_tasks_that_are_left_are_ended(pytester: pytest.Pytester) -> None:
    """A test does not wait for what it has not waited for itself."""
    pytester.makepyfile(
        """
        import os
        import time

        import happenings

        def stay(name):
            happenings.note("pids", os.getpid())
            happenings.tell(name)
            time.sleep(1000)

        def test_leaves(parpool_pool):
            parpool_pool.apply_async(stay, ["here"])
            happenings.wait_for("here")

        def test_leaves_more(parpool_pool_factory):
            parpool_pool_factory().apply_async(stay, ["there"])
            happenings.wait_for("there")
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=2)
    assert_gone(pytester)


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os._exit(3)"])
def test_a_crash_leaves_no_process(pytester: pytest.Pytester, how: str) -> None:
    """The processes of a pool end with their worker, and its slots are the others' again."""
    pytester.makepyfile(
        f"""
        import os
        import time

        import happenings

        def stay():
            happenings.note("pids", os.getpid())
            happenings.note("pids", os.getppid())
            happenings.tell("here")
            time.sleep(1000)

        def meet(name, other):
            happenings.tell(name)
            happenings.wait_for(other)

        def test_crash(parpool_pool):
            parpool_pool.apply_async(stay)
            happenings.wait_for("here")
            {how}

        def test_others(parpool_pool):
            happenings.wait_for("here")
            parpool_pool.starmap(meet, [("left", "right"), ("right", "left")], 1)
        """
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(passed=1, failed=1)
    assert_gone(pytester)


def test_an_interrupt_leaves_no_process(pytester: pytest.Pytester) -> None:
    """Ctrl-C while a test waits for its pool ends the test, and everything that the pool has started."""
    pytester.makepyfile(
        f"""
        import os
        import time

        import happenings

        def stay(path):
            happenings.note("pids", os.getpid())
            happenings.note("pids", os.getppid())
            os.kill(int(path), {int(signal.SIGINT)})
            time.sleep(1000)

        def test_waits(parpool_pool):
            parpool_pool.apply(stay, [os.environ["CONTROLLER"]])
        """
    )
    pytester.makeconftest(
        """
        import os

        def pytest_configure(config):
            if not hasattr(config, "workerinput"):
                os.environ["CONTROLLER"] = str(os.getpid())
        """
    )
    result = runs.run(pytester, "-n", "1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert_gone(pytester)


def test_a_suite_without_pools_loads_none(pytester: pytest.Pytester) -> None:
    """Who uses no pool pays for none: neither for modules nor for threads."""
    pytester.makepyfile(
        """
        import sys
        import threading

        def test_it():
            assert not [name for name in sys.modules if name.startswith("pytest_parpool.workload")]
            assert "pytest_parpool.budget.account" not in sys.modules
            assert threading.active_count() == 1
        """
    )
    runs.run(pytester, "-n", "1").assert_outcomes(passed=1)
    runs.run(pytester).assert_outcomes(passed=1)
