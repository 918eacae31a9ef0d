"""Workers give back what their tests do not use any more, and share what they can."""

from __future__ import annotations

import sys
import textwrap

import pytest

from tests.acceptance.runs import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell how much there is")

# No collection comes by itself, and each cycle holds a page and more.
LEAVES_CYCLES = """
import gc
import warnings
import weakref

class Thing:
    pass

gc.set_threshold(10**9)
left = []

def leave(count):
    for _ in range(count):
        thing = Thing()
        thing.itself, thing.data = thing, [None] * 600
        left.append(weakref.ref(thing))
"""


def make_suite(pytester: pytest.Pytester, tests: str) -> None:
    """Write tests that can leave cycles."""
    pytester.makepyfile(LEAVES_CYCLES + textwrap.dedent(tests))


@pytest.mark.parametrize(("value", "is_freed"), [("true", True), ("false", False)])
def test_what_a_test_has_left_is_freed_before_the_next(pytester: pytest.Pytester, value: str, is_freed: bool) -> None:
    """If a collection is cheap, which it is as long as what was collected is frozen."""
    pytester.makeini(f"[pytest]\nparpool_gc_freeze = {value}")
    make_suite(
        pytester,
        f"""
        def test_needs_much():
            leave(2000)

        def test_next():
            assert any(reference() is not None for reference in left) is not {is_freed}
        """,
    )
    run(pytester, "-n", "1").assert_outcomes(passed=2)


def test_what_needs_little_is_left_alone(pytester: pytest.Pytester) -> None:
    """Nobody waits for a collection behind each small test."""
    make_suite(
        pytester,
        """
        def test_needs_little():
            leave(1)

        def test_next():
            assert left[0]() is not None
        """,
    )
    run(pytester, "-n", "1").assert_outcomes(passed=2)


LEAVES_SOMETHING_OPEN = """
    class Warns(Thing):
        def __del__(self):
            warnings.warn("left open", ResourceWarning)

    def test_leaves_something_open():
        thing = Warns()
        thing.itself = thing
        leave(2000)

    def test_next():
        pass
"""


@pytest.mark.parametrize(
    ("filter_", "shown"),
    [
        pytest.param("always::ResourceWarning", "*ResourceWarning: left open", id="a warning"),
        # ``__del__`` raises then; nobody can be given that, so pytest warns of it.
        pytest.param("error::ResourceWarning", "*PytestUnraisableExceptionWarning*", id="an exception"),
    ],
)
def test_what_comes_of_it_is_shown_with_the_test_that_left_it(
    pytester: pytest.Pytester, filter_: str, shown: str
) -> None:
    """It is not lost, and not the next one's."""
    make_suite(pytester, LEAVES_SOMETHING_OPEN)
    result = run(pytester, "-n", "1", "-W", filter_)
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["test_*.py::test_leaves_something_open", shown])


def test_an_error_that_comes_of_it_is_that_of_the_test_that_left_it(pytester: pytest.Pytester) -> None:
    """Where all warnings are errors, it is the teardown that fails, and not the setup of who comes next."""
    make_suite(pytester, LEAVES_SOMETHING_OPEN)
    result = run(pytester, "-n", "1", "-W", "error")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leaves_something_open*", "*ResourceWarning: left open"])


@pytest.mark.start_method("fork")
def test_modules_need_not_be_looked_for_by_each_worker(pytester: pytest.Pytester) -> None:
    """The first traceback of a worker asks ``inspect`` for the module, which is known since before the fork."""
    pytester.makepyfile(
        """
        import inspect

        def test_module_is_known():
            assert inspect.modulesbyfile[__file__] == __name__
        """
    )
    run(pytester, "-n", "1").assert_outcomes(passed=1)


@pytest.mark.start_method("fork")
@pytest.mark.parametrize(("workers", "are_filled"), [("2", True), ("1", False)])
def test_what_workers_make_is_put_in_no_hole_of_what_they_share(
    pytester: pytest.Pytester, workers: str, are_filled: bool
) -> None:
    """Collection has left holes all over the pages; to put something there is to copy them. One worker may."""
    pytester.makepyfile(
        f"""
        import pytest

        blocks = [bytes(70) for _ in range(8000)]
        holes = set(map(id, blocks[::2]))
        del blocks[::2]

        @pytest.mark.parametrize("number", range(4))
        def test_makes_something(number):
            made = [bytes(70) for _ in range(1000)]
            assert bool(holes.intersection(map(id, made))) is not {are_filled}
        """
    )
    run(pytester, "-n", workers).assert_outcomes(passed=4)
