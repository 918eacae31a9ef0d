"""The pool for calls on Windows, in scripts and tests."""

from __future__ import annotations

import sys
import textwrap

import pytest

from tests.acceptance import runs


def test_a_script(pytester: pytest.Pytester) -> None:
    """Calls with small and large arguments, in order; a worker's death is one call's error."""
    pytester.makepyfile(
        script=textwrap.dedent(
            """
            import os

            from pytest_parpool import Pool, PoolExecutor, WorkerCrashed

            def square(number):
                return number * number

            def die():
                print("last words", flush=True)
                os._exit(7)

            if __name__ == "__main__":
                with Pool(2) as pool:
                    print(pool.map(square, range(5)), len(pool.apply(bytes, (20_000_000,))))
                    try:
                        pool.apply(die)
                    except WorkerCrashed as error:
                        print(str(error).splitlines()[0], "last words" in str(error))
                    print(list(pool.imap(square, range(5))))
                with PoolExecutor(2) as executor:
                    print(executor.submit(square, 6).result())
                with Pool(2, kind="thread") as pool:
                    print(pool.map(square, range(5)))
                try:
                    Pool(2, context="fork")
                except ValueError as error:
                    print(error)
            """
        )
    )
    result = pytester.run(sys.executable, "script.py", timeout=runs.RUN_SECONDS)
    assert [line for line in result.outlines if line != "last words"] == [
        "[0, 1, 4, 9, 16] 20000000",
        "the worker process that was running 'die()' is gone: exit code 7 True",
        "[0, 1, 4, 9, 16]",
        "36",
        "[0, 1, 4, 9, 16]",
        "context must be 'spawn' on Windows, not 'fork'",
    ]


def test_in_tests(pytester: pytest.Pytester) -> None:
    """The fixture's pool ends with the test."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_pool(parpool_pool, number):
            assert parpool_pool.map(len, ["a", "bb"]) == [1, 2]
        """
    )
    runs.run(pytester, "-n", "2").assert_outcomes(passed=2)
