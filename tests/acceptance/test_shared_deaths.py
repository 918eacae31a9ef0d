"""Who dies with a lock leaves it free; the next one gets it, and is warned. No run hangs on its locks."""

from __future__ import annotations

import pytest

from tests.acceptance import runs


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can wait for one another, and count."""
    runs.add_happenings(pytester)


def test_a_killed_worker_frees_its_locks(pytester: pytest.Pytester) -> None:
    """The test that waits gets the lock, with a warning that names the dead test and stands in the summary."""
    pytester.makepyfile(
        test_a="""
        import os
        import signal

        def test_dies(parpool):
            parpool.lock("db").acquire()
            parpool.event("held").set()
            assert parpool.event("waits").wait(timeout=30)
            os.kill(os.getpid(), signal.SIGKILL)

        def test_inherits(parpool):
            assert parpool.event("held").wait(timeout=30)
            parpool.event("waits").set()
            with parpool.lock("db"):
                pass
        """
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(passed=1, failed=1, warnings=1)
    warning = (
        r"  .*test_a\.py:13: AbandonedLockWarning: gw\d died .*while it held lock 'db', "
        r"taken in test_a\.py::test_dies \(call\) at test_a\.py:5; what the lock protects may be half done"
    )
    result.stdout.re_match_lines([r"test_a\.py::test_inherits", warning])


def test_the_replacement_is_warned_too(pytester: pytest.Pytester) -> None:
    """Nobody waited when the worker died: who comes next, whenever that is, learns it; who comes then, does not."""
    pytester.makepyfile(
        test_a="""
        import os
        import signal

        import pytest

        import pytest_parpool

        def test_dies(parpool_lock):
            parpool_lock.acquire()
            os.kill(os.getpid(), signal.SIGKILL)

        def test_inherits(parpool_lock):
            with pytest.warns(pytest_parpool.AbandonedLockWarning, match=r"in test_a.py::test_dies [(]call[)] at"):
                parpool_lock.acquire()
            parpool_lock.release()

        def test_comes_later(parpool_lock):
            with parpool_lock.within(0):
                pass
        """
    )
    runs.run(pytester, "-n", "1").assert_outcomes(passed=2, failed=1)


@pytest.mark.parametrize("mode", [(), ("-n", "0"), ("-n", "1")], ids=lambda mode: " ".join(mode) or "without -n")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_killed_child_frees_its_locks(pytester: pytest.Pytester, method: str, mode: tuple[str, ...]) -> None:
    """A child process that a test has started is a party of its own, named after who started it."""
    pytester.makepyfile(
        test_a=f"""
        import multiprocessing
        import os
        import signal

        import pytest

        import pytest_parpool

        def die(lock):
            lock.acquire()
            os.kill(os.getpid(), signal.SIGKILL)

        def test_child(parpool, worker_id):
            lock = parpool.lock("db")
            child = multiprocessing.get_context({method!r}).Process(target=die, args=[lock])
            child.start()
            child.join()
            starter = "pytest" if worker_id == "master" else worker_id
            text = f"process {{child.pid}}, started by {{starter}} died .*while it held lock 'db', taken "
            text += "in test_a.py::test_child [(]call[)] at .*test_a.py:10"
            with pytest.warns(pytest_parpool.AbandonedLockWarning, match=text):
                assert lock.acquire(timeout=30)
            lock.release()
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=1)


def test_a_broken_barrier_names_who_died(pytester: pytest.Pytester) -> None:
    """Who waits for somebody who will never come does not wait."""
    pytester.makepyfile(
        test_a="""
        import os
        import signal
        import threading

        def test_dies(parpool):
            thread = threading.Thread(target=parpool.barrier("start", 3).wait, daemon=True)
            thread.start()
            parpool.wait_for(lambda: parpool.barrier("start", 3).n_waiting == 2, timeout=30)
            os.kill(os.getpid(), signal.SIGKILL)

        def test_waits(parpool):
            parpool.barrier("start", 3).wait()
        """
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(failed=2)
    report = runs.failure(result, "test_waits")
    assert "BrokenBarrierError" in report
    assert "test_a.py::test_dies" in report


def test_once_goes_on_with_the_next(pytester: pytest.Pytester) -> None:
    """If the test that does what is done once dies over it, another one does it."""
    pytester.makepyfile(
        """
        import os
        import signal

        import pytest

        def make(parpool):
            if parpool.counter("attempts").next() == 0:
                parpool.event("begun").set()
                assert parpool.event("waits").wait(timeout=30)
                os.kill(os.getpid(), signal.SIGKILL)
            return "made"

        def test_dies(parpool):
            parpool.once("database", make, parpool)

        def test_waits(parpool):
            assert parpool.event("begun").wait(timeout=30)
            parpool.event("waits").set()
            assert parpool.once("database", make, parpool) == "made"
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=1, failed=1)


def test_twenty_deaths_at_any_moment(pytester: pytest.Pytester) -> None:
    """Whenever workers are killed, one at a time has the lock, and only the tests that died have failed.

    The mark of the critical section is found set without a warning if two were in it.
    """
    rounds = 20
    suite = """
        import os
        import pathlib
        import random
        import signal
        import warnings

        import pytest

        MARK = pathlib.Path(__file__).parent / "mark"
        ROUNDS = NUMBER

        def take_turn(lock):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                lock.acquire()
            if caught:
                assert "died" in str(caught[0].message)
                MARK.unlink(missing_ok=True)
            os.close(os.open(MARK, os.O_CREAT | os.O_EXCL))
            MARK.unlink()
            lock.release()

        @pytest.mark.parametrize("number", range(ROUNDS))
        def test_dies(parpool_lock, number):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.02))
            while True:
                take_turn(parpool_lock)

        @pytest.mark.parametrize("number", range(ROUNDS))
        def test_lives(parpool_lock, parpool_value, number):
            for _ in range(100):
                take_turn(parpool_lock)
            parpool_value.add(100)

        def test_all_of_them(parpool, parpool_value):
            parpool.wait_for(lambda: parpool_value.get() == ROUNDS * 100, timeout=45)
    """
    pytester.makepyfile(suite.replace("NUMBER", str(rounds)))
    result = runs.run(pytester, "-n", "3", "--max-worker-restart", "40", "-q")
    result.assert_outcomes(passed=rounds + 1, failed=rounds)
    assert result.stdout.str().count("crashed while running") >= rounds
