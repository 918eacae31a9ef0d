"""Who waits in vain is told for whom, who waits in a cycle at once; who is interrupted leaves nothing behind."""

from __future__ import annotations

import re

import pytest

from tests.acceptance import runs

MODES = pytest.mark.parametrize("mode", [(), ("-n", "0"), ("-n", "1")], ids=lambda mode: " ".join(mode) or "without -n")


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can wait for one another."""
    runs.add_happenings(pytester)


def test_a_wait_in_vain_is_explained(pytester: pytest.Pytester) -> None:
    """``within`` raises it, and a test that fails behind ``acquire(timeout=)`` has it in a section."""
    pytester.makepyfile(
        test_a="""
        import happenings
        import pytest

        def test_holder(parpool):
            with parpool.lock("db"):
                happenings.tell("held")
                happenings.wait_for("over")

        class TestWaiter:
            def test_acquire(self, parpool):
                happenings.wait_for("held")
                assert parpool.lock("db").acquire(timeout=0.1)

            def test_within(self, parpool):
                with parpool.lock("db").within(0.1):
                    pass

            def test_fails_for_other_reasons(self, parpool):
                happenings.tell("over")
                assert parpool.lock("db").acquire(timeout=30)
                parpool.lock("db").release()
                assert "this" == "that"

            def test_passes(self, parpool):
                assert not parpool.event("never").wait(timeout=0.01)
        """
    )
    result = runs.run(pytester, "-n", "2", "--dist", "loadscope")
    result.assert_outcomes(passed=2, failed=3)
    explanation = r"lock 'db' is held by gw\d, in test_a\.py::test_holder \(call\) at test_a\.py:5, since \d+\.\d s"
    result.stdout.re_match_lines_random([f"E +pytest_parpool.sync.errors.LockTimeoutError: {explanation}"])
    report = runs.failure(result, "TestWaiter.test_acquire")
    section, _, text = report.partition("- parpool waits -")
    assert "assert False" in section
    assert re.search(explanation, text)
    assert result.stdout.str().count("- parpool waits -") == 1


def test_a_cycle_fails_one_test_and_lets_the_other_go_on(pytester: pytest.Pytester) -> None:
    """Two tests that wait for each other's locks: one gets the whole cycle in its message, the other its lock."""
    pytester.makepyfile(
        test_a="""
        import pytest

        def cross(parpool, first, second):
            with parpool.lock(first):
                parpool.barrier("both hold one", 2).wait(timeout=30)
                with parpool.lock(second):
                    pass

        def test_this(parpool):
            cross(parpool, "a", "b")

        def test_that(parpool):
            cross(parpool, "b", "a")
        """
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(passed=1, failed=1)
    output = result.stdout.str()
    assert "pytest_parpool.sync.errors.DeadlockError: " in output
    assert "connections.py" not in output, "a traceback shows the user's lines only"
    for test, wanted in [("test_this", "b"), ("test_that", "a")]:
        assert f"in test_a.py::{test} (call) at test_a.py:6, waits for lock '{wanted}', held by gw" in output


@MODES
def test_a_lock_that_is_taken_twice(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """The shortest cycle is found at once, too."""
    pytester.makepyfile(
        """
        def test_twice(parpool_lock):
            with parpool_lock, parpool_lock:
                pass

        def test_next(parpool_lock):
            with parpool_lock.within(0):
                pass
        """
    )
    result = runs.run(pytester, *mode)
    result.assert_outcomes(passed=1, failed=1)
    assert "DeadlockError" in runs.failure(result, "test_twice")


@MODES
def test_a_signal_handler_can_end_a_wait(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """As plugins for timeouts do: the exception comes through at once, at any moment, and nothing is left locked."""
    pytester.makepyfile(
        """
        import random
        import signal
        import threading

        import pytest

        class Alarm(Exception):
            pass

        def ring(number, frame):
            raise Alarm

        @pytest.fixture
        def alarm():
            old = signal.signal(signal.SIGALRM, ring)
            yield
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)

        def hold(lock, is_held, is_over):
            with lock:
                is_held.set()
                assert is_over.wait(30)

        def test_wait(parpool, alarm):
            lock = parpool.lock("db")
            is_held, is_over = threading.Event(), threading.Event()
            holder = threading.Thread(target=hold, args=[lock, is_held, is_over])
            holder.start()
            assert is_held.wait(30)
            for _ in range(20):
                with pytest.raises(Alarm):
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.01))
                    lock.acquire()
            is_over.set()
            holder.join()
            with lock.within(30):
                assert parpool.counter("still works").next() == 0

        def test_take(parpool, alarm):
            lock = parpool.lock("free")
            for _ in range(100):
                try:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.001))
                    while True:
                        lock.acquire()
                        lock.release()
                except Alarm:
                    # It may have come between the two.
                    if lock.locked():
                        lock.release()
            with lock.within(0):
                pass
        """
    )
    runs.run(pytester, *mode).assert_outcomes(passed=2)


@pytest.mark.parametrize("mode", [("-n", "0"), ("-n", "2")], ids=" ".join)
def test_ctrl_c_ends_a_wait(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """The run is over at once, also if a test waits for a lock that will never be free."""
    pytester.makeconftest(
        """
        import os

        os.environ.setdefault("OWNER", str(os.getpid()))
        """
    )
    pytester.makepyfile(
        """
        import os
        import signal
        import threading

        def interrupt(event):
            assert event.wait(30)
            os.kill(int(os.environ["OWNER"]), signal.SIGINT)

        def hold(lock, event):
            lock.acquire()
            event.set()

        def test_wait(parpool):
            lock, event = parpool.lock("db"), parpool.event("held")
            threads = [
                threading.Thread(target=hold, args=[lock, event]),
                threading.Thread(target=interrupt, args=[event]),
            ]
            threads[0].start()
            assert event.wait(30)
            threads[1].start()
            lock.acquire()

        def test_other(parpool):
            assert parpool.event("held").wait(30)
            parpool.lock("db").acquire()
        """
    )
    result = runs.run(pytester, *mode)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in result.stdout.str()


def test_exiting_ends_a_wait(pytester: pytest.Pytester) -> None:
    """A SystemExit that is raised in the middle fails the test, and the others have the lock."""
    pytester.makepyfile(
        """
        import signal
        import sys
        import threading

        def test_wait(parpool):
            lock = parpool.lock("db")
            is_over = threading.Event()
            holder = threading.Thread(target=lambda: (lock.acquire(), is_over.wait(30), lock.release()))
            holder.start()
            parpool.wait_for(lock.locked, timeout=30)
            signal.signal(signal.SIGALRM, lambda *_: sys.exit("enough"))
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            try:
                lock.acquire()
            finally:
                is_over.set()
                holder.join()

        def test_next(parpool):
            with parpool.lock("db").within(30):
                pass
        """
    )
    for mode in ("0", "1"):
        result = runs.run(pytester, "-n", mode)
        result.assert_outcomes(passed=1, failed=1)
        assert "SystemExit: enough" in runs.failure(result, "test_wait")


def test_a_stopped_controller_delays_no_lock(pytester: pytest.Pytester) -> None:
    """Workers hand a lock, and everything else, to and fro while the controller does nothing at all."""
    pytester.makeconftest(
        """
        import os

        os.environ.setdefault("OWNER", str(os.getpid()))
        """
    )
    pytester.makepyfile(
        """
        import os
        import signal

        import happenings
        import pytest

        OWNER = int(os.environ["OWNER"])

        def play(parpool, mine, theirs):
            for turn in range(50):
                parpool.queue(mine).get(timeout=30)
                with parpool.lock("ball").within(30):
                    parpool.value("turns").add(1)
                parpool.queue(theirs).put(turn)

        def test_this(parpool):
            parpool.barrier("both", 2).wait(timeout=30)
            os.kill(OWNER, signal.SIGSTOP)
            try:
                happenings.wait_until(lambda: happenings.state(OWNER) == "T")
                parpool.event("stopped").set()
                parpool.queue("this").put("serve")
                play(parpool, "this", "that")
                assert parpool.event("that is done").wait(timeout=30)
                assert happenings.state(OWNER) == "T"
            finally:
                os.kill(OWNER, signal.SIGCONT)
            assert parpool.value("turns").get() == 100

        def test_that(parpool):
            parpool.barrier("both", 2).wait(timeout=30)
            assert parpool.event("stopped").wait(timeout=30)
            play(parpool, "that", "this")
            parpool.event("that is done").set()
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=2)
