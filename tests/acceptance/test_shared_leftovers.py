"""What a test has not released at its end is released for it, and held against it."""

from __future__ import annotations

import pytest

from tests.acceptance import runs

MODES = pytest.mark.parametrize("mode", [("-n", "0"), ("-n", "2")], ids=" ".join)

LEFT = """
import happenings
import pytest

def test_left(parpool):
    parpool.lock("db").acquire()
    happenings.tell("left")

def test_next(parpool):
    happenings.wait_for("left")
    with parpool.lock("db").within(30):
        pass
"""


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can wait for one another."""
    runs.add_happenings(pytester)


@MODES
def test_a_leftover_is_an_error_of_its_test(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """The error says what was held and where it was taken, without a traceback; the next test gets the lock."""
    pytester.makepyfile(test_a=LEFT)
    result = runs.run(pytester, *mode)
    result.assert_outcomes(passed=2, errors=1)
    report = runs.failure(result, "ERROR at teardown of test_left")
    text = "test ended while holding: lock 'db', taken at test_a.py:5; release it, or use `with`"
    # Behind the line that says which worker it was.
    assert [line for line in report.splitlines() if not line.startswith("[gw")] == [text]


@MODES
def test_a_leftover_can_be_a_warning(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """With ``parpool_leftovers = warn`` the test passes, and the warning points to it."""
    pytester.makeini("[pytest]\nparpool_leftovers = warn")
    pytester.makepyfile(test_a=LEFT)
    result = runs.run(pytester, *mode)
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(
        ["test_a.py::test_left", "*test_a.py:4: LeftoverWarning: test ended while holding: lock 'db', taken at *:5;*"]
    )


def test_everything_is_released_the_last_first(pytester: pytest.Pytester) -> None:
    """Locks, re-entrant ones and permits, of the main thread and of others, taken in any phase of the test."""
    pytester.makepyfile(
        test_a="""
        import threading

        import pytest

        @pytest.fixture
        def prepared(parpool):
            parpool.lock("of setup").acquire()
            yield
            parpool.lock("of teardown").acquire()

        def test_left(parpool, prepared):
            parpool.semaphore("permits", 2).acquire()
            parpool.rwlock("book").acquire_read()
            parpool.rwlock("page").acquire_write()
            for _ in range(2):
                parpool.rlock("twice").acquire()
            thread = threading.Thread(target=parpool.lock("of a thread").acquire)
            thread.start()
            thread.join()

        def test_next(parpool):
            for name in ("of setup", "of teardown", "of a thread"):
                assert parpool.lock(name).acquire(block=False)
                parpool.lock(name).release()
            assert parpool.rwlock("book").acquire_write(block=False)
            assert parpool.rwlock("page").acquire_read(block=False)
            parpool.rwlock("book").release_write()
            parpool.rwlock("page").release_read()
            with parpool.rlock("twice").within(0), parpool.semaphore("permits", 2), parpool.semaphore("permits", 2):
                pass
        """
    )
    result = runs.run(pytester, "-n", "0")
    result.assert_outcomes(passed=2, errors=1)
    report = runs.failure(result, "ERROR at teardown of test_left")
    for text in [
        "lock 'of setup', taken at test_a.py:7",
        "lock 'of teardown', taken at test_a.py:9",
        "semaphore 'permits', taken at test_a.py:12",
        "read lock 'book', taken at test_a.py:13",
        "write lock 'page', taken at test_a.py:14",
        "rlock 'twice', taken at test_a.py:16",
        "lock 'of a thread', taken at ",
    ]:
        assert text in report
    assert report.endswith("; release them, or use `with`")


def test_a_teardown_that_releases_is_in_time(pytester: pytest.Pytester) -> None:
    """Only what is held behind the test's own fixtures is a leftover; wider fixtures find it released."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="module")
        def wide(parpool):
            yield
            assert parpool.lock("left").acquire(block=False)
            parpool.lock("left").release()

        @pytest.fixture
        def own(parpool):
            parpool.lock("own").acquire()
            yield
            parpool.lock("own").release()
            parpool.lock("taken in the test").release()

        def test_fine(parpool, own):
            parpool.lock("taken in the test").acquire()

        def test_left(parpool, wide):
            parpool.lock("left").acquire()
        """
    )
    for mode in ("0", "1"):
        result = runs.run(pytester, "-n", mode)
        result.assert_outcomes(passed=2, errors=1)
        assert "lock 'left'" in runs.failure(result, "ERROR at teardown of test_left")


def test_a_failing_teardown_and_a_leftover_are_both_shown(pytester: pytest.Pytester) -> None:
    """Neither error hides the other."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken(parpool):
            yield
            raise ValueError("no teardown")

        def test_left(parpool, broken):
            parpool.lock("left").acquire()
        """
    )
    result = runs.run(pytester, "-n", "1")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines_random(["*ValueError: no teardown", "*test ended while holding: lock 'left'*"])


@MODES
def test_a_wide_fixture_keeps_what_it_took(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """A lock of a module's or session's fixture belongs to it through all tests, and to nobody behind them."""
    pytester.makepyfile(
        test_a="""
        import pytest

        @pytest.fixture(scope="module")
        def module_wide(parpool):
            with parpool.lock("module"):
                yield

        @pytest.fixture(scope="session")
        def by_name(request):
            request.getfixturevalue("parpool").lock("session").acquire()

        @pytest.mark.parametrize("number", range(3))
        @pytest.mark.xdist_group("one")
        def test_use(by_name, module_wide, parpool, number):
            for name, scope in [("module", "module_wide' (module)"), ("session", "by_name' (session)")]:
                with pytest.raises(TimeoutError, match="is held by .*, in fixture '") as caught:
                    parpool.wait_for(lambda: held_by_a_thread(parpool.lock(name)), timeout=30)
                assert scope in str(caught.value)

        def held_by_a_thread(lock):
            from concurrent.futures import ThreadPoolExecutor

            def take():
                with lock.within(0):
                    pass

            with ThreadPoolExecutor(1) as executor:
                executor.submit(take).result()
        """
    )
    result = runs.run(pytester, *mode, "--dist", "loadgroup", "-W", "error")
    result.assert_outcomes(passed=3)


def test_an_interrupted_run_ends_without_more_ado(pytester: pytest.Pytester) -> None:
    """Behind Ctrl-C there is no report that an error could stand in; what is held is released all the same."""
    pytester.makepyfile(
        """
        def test_left(parpool):
            parpool.lock("left").acquire()
            raise KeyboardInterrupt
        """
    )
    result = runs.run(pytester)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "ended while holding" not in result.stdout.str() + result.stderr.str()


def test_a_permit_that_another_test_released_is_no_leftover(pytester: pytest.Pytester) -> None:
    """A semaphore can be a signal: one takes, and the other releases. Nothing is released twice at a test's end."""
    pytester.makepyfile(
        """
        def test_wait(parpool):
            assert parpool.semaphore("signal", 1).acquire(timeout=30)
            parpool.event("took one").set()
            assert parpool.semaphore("signal", 1).acquire(timeout=30)
            parpool.event("took two").set()

        def test_signal(parpool):
            assert parpool.event("took one").wait(timeout=30)
            parpool.semaphore("signal", 1).release()
            assert parpool.event("took two").wait(timeout=30)
            # Of the two that were taken one is left over; it comes back, and no other.
            assert parpool.semaphore("signal", 1).acquire(timeout=30)
            assert not parpool.semaphore("signal", 1).acquire(block=False)
            parpool.semaphore("signal", 1).release()
        """
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(passed=2, errors=1)
    assert runs.failure(result, "ERROR at teardown of test_wait").count("semaphore 'signal'") == 1


@MODES
def test_it_does_not_matter_where_parpool_is_used_first(pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Whoever asks for the fixture late, in a test or in another fixture, is named as everybody else."""
    pytester.makepyfile(
        test_a="""
        import pytest

        @pytest.fixture(scope="class")
        def by_name(request):
            parpool = request.getfixturevalue("parpool")
            parpool.lock("wide").acquire()

        @pytest.fixture
        def own(by_name, request):
            request.getfixturevalue("parpool").lock("own").acquire()

        def test_in_the_test(request):
            request.getfixturevalue("parpool").lock("late").acquire()

        @pytest.mark.usefixtures("own")
        class TestInFixtures:
            def test_it(self):
                pass
        """
    )
    # Each alone, so that each is the first.
    result = runs.run(pytester, *mode, "-k", "test_in_the_test")
    result.assert_outcomes(passed=1, errors=1, deselected=1)
    assert "lock 'late', taken at test_a.py:13" in runs.failure(result, "ERROR at teardown of test_in_the_test")
    result = runs.run(pytester, *mode, "-k", "TestInFixtures")
    result.assert_outcomes(passed=1, errors=1, deselected=1)
    report = runs.failure(result, "ERROR at teardown of TestInFixtures.test_it")
    assert "lock 'own', taken at test_a.py:10" in report
    assert "wide" not in report
