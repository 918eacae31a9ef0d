"""A run never hangs because all of its tests wait for each other; and nobody is refused whom somebody could help."""

from __future__ import annotations

import sys

import pytest

from tests.acceptance import runs

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing is certain")

MODES = pytest.mark.parametrize(
    "mode", [(), ("-n", "0"), ("-n", "1"), ("-n", "2")], ids=lambda mode: " ".join(mode) or "without -n"
)
WITH_ONE_PROCESS = pytest.mark.parametrize(
    "mode", [(), ("-n", "0"), ("-n", "1")], ids=lambda mode: " ".join(mode) or "without -n"
)
HEADING = "DeadlockError: nobody is left who could end these waits:"


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can wait for one another."""
    runs.add_happenings(pytester)


# --- Nobody is left ---------------------------------------------------------------------------------------------------


@MODES
def test_an_event_that_nobody_sets(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """The test that waits fails, and the others are run."""
    pytester.makepyfile(
        test_a="""
        def test_wait(parpool):
            parpool.event("never").wait()

        def test_other(parpool):
            assert not parpool.event("never").is_set()
        """
    )
    result = runs.run(pytester, *mode)
    result.assert_outcomes(passed=1, failed=1)
    report = runs.failure(result, "test_wait")
    assert HEADING in report
    assert "in test_a.py::test_wait (call) at test_a.py:2, waits: event 'never' was never set" in report


@WITH_ONE_PROCESS
def test_a_test_that_waits_for_the_next_one(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """In one process the next one only comes when this one is over."""
    pytester.makepyfile(
        """
        def test_wait(parpool):
            parpool.event("ready").wait()

        def test_set(parpool):
            parpool.event("ready").set()
        """
    )
    result = runs.run(pytester, *mode)
    result.assert_outcomes(passed=1, failed=1)
    assert HEADING in runs.failure(result, "test_wait")


def test_a_barrier_for_more_than_there_are_workers(pytester: pytest.Pytester) -> None:
    """Both who have come are told of each other."""
    pytester.makepyfile(
        test_a="""
        import pytest

        @pytest.mark.parametrize("part", "ab")
        def test_meet(parpool, part):
            parpool.barrier("all", 3).wait()
        """
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(failed=2)
    for heading in ("test_meet[a]", "test_meet[b]"):
        report = runs.failure(result, heading)
        for part in "ab":
            assert f"in test_a.py::test_meet[{part}] (call) at test_a.py:5, waits at barrier 'all' (2 of 3 " in report


@MODES
def test_a_queue_that_nobody_fills(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Whoever waits for it, in whatever test."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("n", range(2))
        def test_get(parpool, n):
            parpool.queue("jobs").get()
        """
    )
    result = runs.run(pytester, *mode)
    result.assert_outcomes(failed=2)
    assert f"{HEADING}\n" in result.stdout.str()


@MODES
def test_a_condition_that_nobody_notifies(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Its lock is had again when the wait fails, as with any other exception, and let go by the ``with``."""
    pytester.makepyfile(
        """
        import pytest
        import pytest_parpool

        def test_wait(parpool):
            condition = parpool.condition("c")
            with condition:
                with pytest.raises(pytest_parpool.DeadlockError):
                    condition.wait()
                assert condition.locked()
            assert not condition.locked()
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=1)


def test_who_waits_for_a_lock_behind_it_gets_it(pytester: pytest.Pytester) -> None:
    """One test waits with a lock held that the one needs that would have helped: only the first one fails."""
    pytester.makepyfile(
        test_a="""
        def test_wait(parpool):
            with parpool.lock("db"):
                parpool.event("held").set()
                parpool.event("ready").wait()

        def test_set(parpool):
            parpool.event("held").wait()
            with parpool.lock("db"):
                parpool.event("ready").set()
        """
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(passed=1, failed=1)
    report = runs.failure(result, "test_wait")
    assert "waits: event 'ready' was never set" in report
    assert "in test_a.py::test_set (call) at test_a.py:8, waits: lock 'db' is held by gw" in report


@WITH_ONE_PROCESS
def test_a_lock_of_a_thread_that_has_ended(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Its process holds it, and nobody in it will release it."""
    pytester.makepyfile(
        """
        import threading

        def test_wait(parpool):
            lock = parpool.lock("db")
            thread = threading.Thread(target=lock.acquire)
            thread.start()
            thread.join()
            lock.acquire()
        """
    )
    result = runs.run(pytester, *mode)
    assert HEADING in runs.failure(result, "test_wait")


def test_a_child_that_waits_as_well(pytester: pytest.Pytester) -> None:
    """A test and its child that wait for different things are both told."""
    pytester.makepyfile(
        """
        import multiprocessing

        import pytest
        import pytest_parpool

        def wait_in_vain(parpool, name):
            with pytest.raises(pytest_parpool.DeadlockError):
                parpool.event(name).wait()

        def test_wait(parpool):
            child = multiprocessing.get_context("fork").Process(target=wait_in_vain, args=[parpool, "childs"])
            child.start()
            wait_in_vain(parpool, "parents")
            child.join(30)
            assert child.exitcode == 0
        """
    )
    for mode in ("0", "1"):
        runs.run(pytester, "-n", mode).assert_outcomes(passed=1)


def test_a_child_that_dies_later(pytester: pytest.Pytester) -> None:
    """As long as it lives it might help."""
    pytester.makepyfile(
        """
        import os
        import signal

        import happenings
        import pytest
        import pytest_parpool

        def test_wait(parpool):
            parent = os.getpid()
            if not (child := os.fork()):
                happenings.wait_until(lambda: happenings.state(parent) == "S")
                os._exit(0)
            with pytest.raises(pytest_parpool.DeadlockError):
                parpool.event("never").wait()
            assert happenings.state(child) == "Z"
            os.waitpid(child, 0)
        """
    )
    for mode in ("0", "1"):
        runs.run(pytester, "-n", mode).assert_outcomes(passed=1)


# --- Somebody can still help ------------------------------------------------------------------------------------------

# Long enough that a standstill would have been seen, with and without workers.
SEEN = """
def outlast(claim, seconds=0.4):
    '''Wait until something has been so for a while.'''
    import time

    happenings.wait_until(claim)
    end = time.monotonic() + seconds
    happenings.wait_until(lambda: claim() and time.monotonic() > end)
"""


@pytest.fixture
def outlast(pytester: pytest.Pytester) -> None:
    """The inner suite's ``happenings`` can also wait until something has been so for longer than a look takes."""
    pytester.makepyfile(happenings=runs.HAPPENINGS + SEEN.replace("happenings.", ""))


@pytest.mark.usefixtures("outlast")
@pytest.mark.parametrize("mode", [("-n", "0"), ("-n", "2")], ids=" ".join)
def test_a_child_sets_it(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Whether it has used shared objects before, or not."""
    pytester.makepyfile(
        """
        import os

        import happenings
        import pytest

        @pytest.mark.parametrize("is_known", [True, False])
        def test_wait(parpool, is_known):
            event = parpool.event(f"{is_known}")
            parent = os.getpid()
            if not (child := os.fork()):
                try:
                    if is_known:
                        assert not event.is_set()
                    happenings.outlast(lambda: happenings.state(parent) == "S")
                    event.set()
                finally:
                    os._exit(0)
            try:
                assert event.wait()
            finally:
                os.waitpid(child, 0)
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=2)


@pytest.mark.usefixtures("outlast")
@pytest.mark.parametrize("mode", [("-n", "0"), ("-n", "2")], ids=" ".join)
def test_a_thread_sets_it(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """A thread that waits for something else may go on."""
    pytester.makepyfile(
        """
        import threading

        import happenings

        def test_wait(parpool):
            event = parpool.event("e")
            main = threading.get_native_id()

            def set_it():
                happenings.outlast(lambda: happenings.state(f"self/task/{main}") == "S")
                event.set()

            thread = threading.Thread(target=set_it)
            thread.start()
            assert event.wait()
            thread.join()
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=1)


@pytest.mark.parametrize("mode", [("-n", "0"), ("-n", "2")], ids=" ".join)
def test_a_signal_handler_sets_it(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """A timer goes on while its process waits."""
    pytester.makepyfile(
        """
        import signal

        def test_wait(parpool):
            event = parpool.event("e")
            old = signal.signal(signal.SIGALRM, lambda *_: event.set())
            signal.setitimer(signal.ITIMER_REAL, 0.4)
            try:
                assert event.wait()
            finally:
                signal.signal(signal.SIGALRM, old)
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=1)


def test_one_who_waits_with_a_timeout(pytester: pytest.Pytester) -> None:
    """It goes on when its time is over."""
    pytester.makepyfile(
        """
        def test_wait(parpool):
            assert parpool.event("e").wait()

        def test_set(parpool):
            assert not parpool.event("never").wait(timeout=0.4)
            parpool.event("e").set()
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=2)


@pytest.mark.usefixtures("outlast")
def test_a_test_that_is_still_to_come(pytester: pytest.Pytester) -> None:
    """A worker that gets through with another test comes to the one that sets it."""
    pytester.makepyfile(
        """
        import os

        import happenings

        def test_wait(parpool):
            happenings.tell("waiter", os.getpid())
            assert parpool.event("e").wait()

        def test_between():
            waiter = happenings.wait_for("waiter")
            happenings.outlast(lambda: happenings.state(waiter) == "S")

        def test_set(parpool):
            parpool.event("e").set()
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=3)


@pytest.mark.usefixtures("outlast")
def test_a_fixture_that_is_torn_down(pytester: pytest.Pytester) -> None:
    """A worker that has nothing more to run, and leaves, may still set it."""
    pytester.makepyfile(
        """
        import os

        import happenings
        import pytest

        @pytest.fixture(scope="session")
        def setting(parpool):
            yield
            waiter = happenings.wait_for("waiter")
            happenings.outlast(lambda: happenings.state(waiter) == "S")
            parpool.event("e").set()

        def test_wait(parpool):
            happenings.tell("waiter", os.getpid())
            assert parpool.event("e").wait()

        def test_other(setting):
            happenings.wait_for("waiter")
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=2)


@pytest.mark.usefixtures("outlast")
def test_a_worker_that_replaces_a_dead_one(pytester: pytest.Pytester) -> None:
    """It comes to the test that sets it."""
    pytester.makepyfile(
        """
        import os

        import happenings

        def test_wait(parpool):
            happenings.tell("waiter", os.getpid())
            assert parpool.event("e").wait()

        def test_die(parpool):
            waiter = happenings.wait_for("waiter")
            happenings.wait_until(lambda: happenings.state(waiter) == "S")
            os._exit(1)

        def test_set(parpool):
            waiter = happenings.wait_for("waiter")
            happenings.outlast(lambda: happenings.state(waiter) == "S")
            parpool.event("e").set()
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=2, failed=1)
