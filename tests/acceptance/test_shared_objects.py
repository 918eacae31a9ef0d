"""Objects that all tests of a run share do what their names promise, however the run is made up."""

from __future__ import annotations

import pytest

from tests.acceptance import runs

# However tests are run, the objects are the same.
MODES = pytest.mark.parametrize(
    "mode", [(), ("-n", "0"), ("-n", "1"), ("-n", "3")], ids=lambda mode: " ".join(mode) or "without -n"
)

RECYCLED = ("-n", "2", "--maxtasksperchild", "1")


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can wait for one another, and count."""
    runs.add_happenings(pytester)


@pytest.mark.parametrize(
    "mode",
    [
        (),
        ("-n", "0"),
        ("-n", "1"),
        ("-n", "3"),
        ("-n", "3", "--dist", "worksteal"),
        ("-n", "2", "--dist", "each"),
        ("-n", "2", "-p", "no:cacheprovider"),
        RECYCLED,
    ],
    ids=lambda mode: " ".join(mode) or "without -n",
)
def test_a_lock_is_for_one_at_a_time(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Of many turns that would spoil each other's work, none does."""
    pytester.makepyfile(
        """
        import pathlib
        import threading

        import pytest

        TOTAL = pathlib.Path(__file__).parent / "total"

        def take_turns(lock):
            for _ in range(20):
                with lock:
                    total = int(TOTAL.read_text()) if TOTAL.exists() else 0
                    TOTAL.write_text(str(total + 1))

        @pytest.mark.parametrize("number", range(4))
        def test_turns(parpool_lock, number):
            threads = [threading.Thread(target=take_turns, args=[parpool_lock]) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        """
    )
    tests = 8 if "each" in mode else 4
    runs.run(pytester, *mode).assert_outcomes(passed=tests)
    assert (pytester.path / "total").read_text() == str(tests * 2 * 20)


@MODES
def test_a_counter_gives_each_number_once(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """A counter is a source of ports, names and keys that nobody else has."""
    pytester.makepyfile(
        """
        import happenings
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_numbers(parpool, number):
            counter = parpool.counter("key")
            for _ in range(25):
                happenings.note("numbers", next(counter))
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=6)
    assert sorted(map(int, runs.notes(pytester, "numbers"))) == list(range(150))


@pytest.mark.parametrize("mode", [(), ("-n", "2"), RECYCLED], ids=lambda mode: " ".join(mode) or "without -n")
def test_what_is_kept_outlives_a_test_and_its_worker(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """The plain fixtures' value begins at 0, is the same for all, and is lost with no worker."""
    pytester.makepyfile(
        """
        import happenings
        import pytest

        @pytest.mark.parametrize("number", range(5))
        def test_value(parpool_value, number):
            happenings.note("values", parpool_value.value)
            with parpool_value.get_lock():
                parpool_value.value += 1
            happenings.note("values", parpool_value.add(0))
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=5)
    values = [int(value) for value in runs.notes(pytester, "values")]
    assert min(values) == 0
    assert max(values) == 5


def test_an_event_wakes_another_worker(pytester: pytest.Pytester) -> None:
    """A test in one worker waits for what a test in the other one does."""
    pytester.makepyfile(
        """
        def test_wait(parpool_event, worker_id, parpool):
            assert not parpool_event.is_set()
            parpool.event("waiting").set()
            assert parpool_event.wait(timeout=30)
            parpool.value("waiter", "").set(worker_id)
            parpool.event("done").set()

        def test_set(parpool_event, worker_id, parpool):
            assert parpool.event("waiting").wait(timeout=30)
            parpool_event.set()
            assert parpool.event("done").wait(timeout=30)
            assert {parpool.value("waiter").get(), worker_id} == {"gw0", "gw1"}
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=2)


def test_three_workers_meet_at_a_barrier(pytester: pytest.Pytester) -> None:
    """Each of three tests gets another place, and sees that all have come."""
    pytester.makepyfile(
        """
        import happenings
        import pytest

        @pytest.mark.parametrize("number", range(3))
        def test_meet(parpool, number, worker_id):
            happenings.note("arrivals", worker_id)
            place = parpool.barrier("start", 3).wait(timeout=30)
            assert sorted(happenings.notes("arrivals")) == ["gw0", "gw1", "gw2"]
            happenings.note("places", place)
        """
    )
    runs.run(pytester, "-n", "3").assert_outcomes(passed=3)
    assert sorted(runs.notes(pytester, "places")) == ["0", "1", "2"]


@MODES
def test_once_is_once(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """What is costly is done by the first test that wants it, and all get the same."""
    pytester.makepyfile(
        """
        import os

        import happenings
        import pytest

        def make_database(name):
            happenings.note("made", name)
            return {"name": name, "pid": os.getpid()}

        @pytest.fixture(scope="session")
        def database(parpool):
            return parpool.once("database", make_database, "orders")

        @pytest.mark.parametrize("number", range(8))
        def test_use(database, number):
            happenings.note("seen", sorted(database.items()))
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=8)
    assert runs.notes(pytester, "made") == ["orders"]
    assert len(set(runs.notes(pytester, "seen"))) == 1


def test_a_queue_joins_workers(pytester: pytest.Pytester) -> None:
    """What one test puts, others get, each thing once; and the first learns when all of it is done."""
    pytester.makepyfile(
        """
        import happenings
        import pytest

        def test_put(parpool):
            queue = parpool.queue("jobs", maxsize=2)
            for number in range(20):
                queue.put({"number": number}, timeout=30)
            for _ in range(2):
                queue.put(None, timeout=30)
            queue.join()
            assert sorted(map(int, happenings.notes("got"))) == list(range(20))

        @pytest.mark.parametrize("number", range(2))
        def test_get(parpool, number):
            queue = parpool.queue("jobs", maxsize=2)
            while (job := queue.get(timeout=30)) is not None:
                happenings.note("got", job["number"])
                queue.task_done()
            queue.task_done()
        """
    )
    runs.run(pytester, "-n", "3").assert_outcomes(passed=3)


@MODES
def test_children_share_too(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Proxies can be handed to the threads and child processes of a test, forked or spawned."""
    pytester.makepyfile(
        """
        import multiprocessing

        import pytest

        def count(lock, value, event):
            assert event.wait(timeout=30)
            for _ in range(10):
                with lock:
                    value.value += 1

        @pytest.mark.parametrize("method", ["fork", "spawn"])
        def test_children(parpool, method):
            start = multiprocessing.get_context(method)
            shared = parpool.lock("db"), parpool.value(method), parpool.event("go")
            children = [start.Process(target=count, args=shared) for _ in range(2)]
            for child in children:
                child.start()
            parpool.event("go").set()
            for child in children:
                child.join()
            assert [child.exitcode for child in children] == [0, 0]
            assert parpool.value(method).get() == 20
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=2)


def test_dictionaries_arrays_and_conditions_join_workers(pytester: pytest.Pytester) -> None:
    """What one test enters, another one sees, once it is notified."""
    pytester.makepyfile(
        """
        def test_write(parpool):
            with parpool.condition("filled"):
                parpool.dict("names")["first", 1] = {"name": "Ada"}
                parpool.array("numbers", "d", (2, 3))[1, 2] = 0.5
                parpool.event("written").set()
                parpool.condition("filled").notify_all()
            assert parpool.event("read").wait(timeout=30)
            assert len(parpool.dict("names")) == 0

        def test_read(parpool):
            with parpool.condition("filled"):
                assert parpool.condition("filled").wait_for(parpool.event("written").is_set, timeout=30)
            with parpool.rwlock("both").reading(), parpool.rwlock("other").writing():
                assert dict(parpool.dict("names")) == {("first", 1): {"name": "Ada"}}
                assert parpool.array("numbers", "d", (2, 3)).view.tolist() == [[0, 0, 0], [0, 0, 0.5]]
            parpool.dict("names").clear()
            parpool.event("read").set()
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=2)


@MODES
def test_tasks_share_too(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Tasks of an event loop take turns among each other, and with other tests; the loop goes on meanwhile."""
    pytester.makepyfile(
        """
        import asyncio

        import pytest

        async def count(parpool):
            for _ in range(10):
                async with parpool.lock("total"):
                    total = parpool.value("total").get()
                    await asyncio.sleep(0)
                    parpool.value("total").set(total + 1)

        @pytest.mark.parametrize("number", range(3))
        def test_tasks(parpool, number):
            async def count_in_tasks():
                await asyncio.gather(*[count(parpool) for _ in range(3)])

            asyncio.run(count_in_tasks())
            if parpool.counter("tests").increment() == 3:
                assert parpool.value("total").get() == 90
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=3)


@pytest.mark.parametrize("mode", [(), ("-n", "2")], ids=lambda mode: " ".join(mode) or "without -n")
def test_what_cannot_be_pickled_is_named(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """The call itself fails, and says which value it is and for what."""
    pytester.makepyfile(
        """
        import threading

        def test_value(parpool):
            parpool.value("v").set(lambda: None)

        def test_queue(parpool):
            parpool.queue("jobs").put({"lock": threading.Lock()})
        """
    )
    result = runs.run(pytester, *mode)
    result.assert_outcomes(failed=2)
    assert "UnpicklableError: <function test_value.<locals>.<lambda>" in runs.failure(result, "test_value")
    assert "so that value 'v' cannot hand it to other processes" in runs.failure(result, "test_value")
    assert "UnpicklableError: {'lock': <unlocked _thread.lock" in runs.failure(result, "test_queue")
    assert "so that queue 'jobs' cannot" in runs.failure(result, "test_queue")


@pytest.mark.beside_others  # pytester's own runs hear nothing of how ours is loaded otherwise.
def test_runs_share_nothing(pytester: pytest.Pytester) -> None:
    """A run inside of a run, with the same id and in the same process, has objects of its own; it takes them along."""
    pytester.makeini("[pytest]\naddopts = --testrunuid same")
    pytester.makeconftest('pytest_plugins = ["pytester"]')
    pytester.makepyfile(
        test_outer="""
        import pytest

        INNER = '''
        def test_inner(parpool_value):
            assert parpool_value.add(1) == 1
        '''

        @pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=str)
        def test_outer(parpool_value, pytester, arguments):
            before = parpool_value.add(10)
            assert before in (10, 20)
            pytester.makepyfile(test_inner=INNER)
            for _ in range(2):
                pytester.runpytest_inprocess("--testrunuid", "same", *arguments).assert_outcomes(passed=1)
            assert parpool_value.get() in (10, 20)
        """
    )
    # By name: the first run leaves the inner suites' files.
    runs.run(pytester, "test_outer.py").assert_outcomes(passed=2)
    runs.run(pytester, "test_outer.py", "-n", "2").assert_outcomes(passed=2)


def test_annotations_can_name_the_classes(pytester: pytest.Pytester) -> None:
    """The package itself has the names, loaded when they are asked for."""
    pytester.makepyfile(
        """
        import pytest_parpool

        def test_classes(
            parpool: pytest_parpool.SharedObjects,
            parpool_lock: pytest_parpool.Lock,
            parpool_event: pytest_parpool.Event,
            parpool_value: pytest_parpool.Value,
        ) -> None:
            for given, name in [
                (parpool, "SharedObjects"),
                (parpool_lock, "Lock"),
                (parpool_event, "Event"),
                (parpool_value, "Value"),
            ]:
                assert isinstance(given, getattr(pytest_parpool, name))

        def test_all() -> None:
            assert all(hasattr(pytest_parpool, name) for name in pytest_parpool.__all__)
            assert not hasattr(pytest_parpool, "not_there")
        """
    )
    runs.run(pytester).assert_outcomes(passed=2)
