"""Shared objects on Windows: all locks are given by the broker, which is spoken with over loopback."""

from __future__ import annotations

import pytest

from tests.acceptance import runs


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A place for an inner suite, whose tests can wait for one another."""
    runs.add_happenings(pytester)
    return pytester


def test_a_lock_excludes(suite: pytest.Pytester) -> None:
    """Tests of several workers are never inside at the same time."""
    suite.makepyfile(
        """
        import os
        import pathlib
        import time
        import pytest

        INSIDE = pathlib.Path(__file__).with_name("inside")

        @pytest.mark.parametrize("number", range(12))
        def test_alone(parpool, number):
            with parpool.lock("db"):
                os.close(os.open(INSIDE, os.O_CREAT | os.O_EXCL))
                time.sleep(0.01)
                INSIDE.unlink()
        """
    )
    runs.run(suite, "-n", "3").assert_outcomes(passed=12)


def test_objects_are_those_of_the_run(suite: pytest.Pytester) -> None:
    """A queue, a counter, a barrier, a dictionary and an array are the same in both workers."""
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_all(parpool, number):
            parpool.array("numbers", "i", 2)[number] = number + 1
            parpool.dict("words")[str(number)] = "here"
            parpool.queue("items").put(number)
            parpool.barrier("both", 2).wait(timeout=60)
            assert list(parpool.array("numbers", "i", 2)) == [1, 2]
            assert dict(parpool.dict("words").items()) == {"0": "here", "1": "here"}
            assert parpool.queue("items").get(timeout=60) in (0, 1)
        """
    )
    runs.run(suite, "-n", "2").assert_outcomes(passed=2)


@pytest.mark.parametrize("loop", ["ProactorEventLoop", "SelectorEventLoop"])
def test_tasks_wait_in_either_loop(suite: pytest.Pytester, loop: str) -> None:
    """Also in the one that is Windows' own, which watches no sockets for others."""
    suite.makepyfile(
        f"""
        import asyncio

        async def work(parpool, entered):
            async with parpool.lock("db"):
                entered.append("in")
                await asyncio.sleep(0.01)
                entered.append("out")

        async def work_all(parpool):
            entered = []
            await asyncio.gather(*[work(parpool, entered) for _ in range(5)])
            return entered

        def test_tasks(parpool):
            loop = asyncio.{loop}()
            for _ in range(2):
                assert loop.run_until_complete(work_all(parpool)) == ["in", "out"] * 5
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        """
    )
    runs.run(suite, "-n", "1").assert_outcomes(passed=1)


def test_who_dies_with_a_lock_holds_up_nobody(suite: pytest.Pytester) -> None:
    """The next one gets it, with a warning."""
    suite.makepyfile(
        """
        import os
        import pytest

        def test_dies(parpool):
            parpool.lock("db").acquire()
            parpool.event("taken").set()
            os._exit(3)

        def test_waits(parpool):
            assert parpool.event("taken").wait(60)
            with pytest.warns(match="while it held lock 'db'"), parpool.lock("db"):
                pass
        """
    )
    runs.run(suite, "-n", "2").assert_outcomes(passed=1, failed=1)


def test_what_a_test_keeps_is_an_error(suite: pytest.Pytester) -> None:
    """It is named, and released for the next one."""
    suite.makepyfile(
        """
        def test_keeps(parpool):
            parpool.lock("db").acquire()

        def test_takes(parpool):
            with parpool.lock("db"):
                pass
        """
    )
    result = runs.run(suite, "-n", "1")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["test ended while holding: lock 'db', *"])
