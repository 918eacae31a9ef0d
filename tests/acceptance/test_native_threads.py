"""The user is told of native threads that the fork leaves behind, with real ones of OpenMP."""

from __future__ import annotations

import pytest

from tests.acceptance import openmp

pytestmark = pytest.mark.start_method("fork")

RUN_SECONDS = 60
WARNING = "parpool: *native threads*"


@pytest.fixture
def openmp_suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite whose conftest runs a parallel region at import and whose tests use no OpenMP."""
    library = openmp.build(pytester.path)
    if library is None:
        pytest.skip("no C compiler")
    pytester.makeconftest(
        f"""
        import ctypes

        assert ctypes.CDLL({str(library)!r}).run_parallel_region() == 2
        """
    )
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
    return pytester


def test_openmp_threads_at_the_fork_are_named(openmp_suite: pytest.Pytester) -> None:
    """One line names the library whose threads are missing in the workers, and the way out; the suite still runs."""
    result = openmp_suite.runpytest_subprocess("-n", "2", "--start-method=fork", timeout=RUN_SECONDS)
    result.stdout.fnmatch_lines_random(["parpool: *native threads*libgomp*-n 0*"])
    assert sum(line.startswith("parpool:") and "libgomp" in line for line in result.outlines) == 1
    result.assert_outcomes(passed=2)


def test_without_a_fork_nothing_is_said(openmp_suite: pytest.Pytester) -> None:
    """With ``-n 0``, as advised, native threads are no danger."""
    result = openmp_suite.runpytest_subprocess("-n", "0", timeout=RUN_SECONDS)
    result.stdout.no_fnmatch_line(WARNING)
    result.assert_outcomes(passed=2)


def test_a_suite_without_native_threads_is_not_warned(pytester: pytest.Pytester) -> None:
    """Python's own threads are not native ones, also while they run."""
    pytester.makeconftest(
        """
        import threading

        stop = threading.Event()
        thread = threading.Thread(target=stop.wait, daemon=True)
        thread.start()
        """
    )
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
    result = pytester.runpytest_subprocess("-n", "2", "--start-method=fork", timeout=RUN_SECONDS)
    result.stdout.no_fnmatch_line(WARNING)
    result.assert_outcomes(passed=2)
