"""A test that nobody thought to be long keeps nothing waiting that others could run."""

from __future__ import annotations

import pytest

from tests.acceptance.runs import run


def test_a_long_test_behind_another_runs_elsewhere(pytester: pytest.Pytester) -> None:
    """Two tests that need each other, given to one worker by a wrong guess, run at the same time."""
    pytester.makepyfile(
        test_both="""
        import pathlib, time
        import pytest

        HERE = pathlib.Path(__file__).parent

        def meet(mine, other):
            (HERE / mine).touch()
            deadline = time.monotonic() + 30
            while not (HERE / other).exists():
                assert time.monotonic() < deadline, f"{other} did not begin"
                time.sleep(0.005)

        @pytest.mark.parametrize("number", range(20))
        def test_quick(number):
            pass

        def test_long():
            meet("long", "longer")

        def test_longer():
            meet("longer", "long")

        @pytest.mark.parametrize("number", range(3))
        def test_late(number):
            pass
        """
    )
    result = run(pytester, "-n", "2", "--dist", "load")
    assert result.ret == 0
    result.assert_outcomes(passed=25)
