"""``--max-worker-restart`` ends a run whose workers die and die, and what is not run then is said."""

from __future__ import annotations

import pytest

from tests.acceptance import runs

SUITE = """
import os

import pytest

@pytest.mark.parametrize("number", range({dying}))
def test_dying(number):
    os._exit(1)

@pytest.mark.parametrize("number", range({passing}))
def test_passing(number):
    pass
"""
TOO_MANY = "*maximum number of crashed workers reached (--max-worker-restart={limit})*"


# The limit is set before anything starts, so one number of workers shows for every start method how it is kept.
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.start_method("fork"))])
def test_by_default_four_replacements_for_each_worker(pytester: pytest.Pytester, workers: int) -> None:
    """With N workers 4N deaths are replaced; the next one ends the run."""
    limit = 4 * workers
    pytester.makepyfile(SUITE.format(dying=limit, passing=1))
    result = runs.run(pytester, "-n", str(workers))
    result.assert_outcomes(failed=limit, passed=1)
    result.stdout.no_fnmatch_line("*not run*")
    pytester.makepyfile(SUITE.format(dying=limit + 9, passing=1))
    result = runs.run(pytester, "-n", str(workers))
    counts = result.parseoutcomes()
    # The others may die of what they had begun.
    assert limit + 1 <= counts["failed"] <= limit + workers
    result.stdout.fnmatch_lines([TOO_MANY.format(limit=limit)])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("limit", [0, 1])
def test_a_limit_leaves_the_rest_not_run(pytester: pytest.Pytester, limit: int) -> None:
    """Each test that nobody began is named, and the run has failed."""
    pytester.makepyfile(test_a=SUITE.format(dying=3, passing=2))
    result = runs.run(pytester, "-n", "1", "--max-worker-restart", str(limit))
    result.assert_outcomes(failed=limit + 1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "crashed while running 'test_a.py::test_dying[0]'" in runs.failure(result, "test_dying[0]")
    unrun = [f"test_a.py::test_dying[{number}]" for number in range(limit + 1, 3)]
    unrun += ["test_a.py::test_passing[0]", "test_a.py::test_passing[1]"]
    result.stdout.fnmatch_lines(
        [
            f"parpool: {len(unrun)} tests were not run:",
            *[f"  not run: {nodeid.replace('[', '[[]')}" for nodeid in unrun],
        ]
    )


def test_no_restart_at_all_is_said_so(pytester: pytest.Pytester) -> None:
    """With 0 the line names the worker and the option."""
    pytester.makepyfile(SUITE.format(dying=1, passing=1))
    result = runs.run(pytester, "-n", "1", "--max-worker-restart", "0")
    result.stdout.fnmatch_lines(["*worker 'gw0' crashed and worker restarting is disabled (--max-worker-restart=0)*"])


def test_a_limit_that_is_not_passed_says_nothing(pytester: pytest.Pytester) -> None:
    """As many deaths as are allowed are only failed tests."""
    pytester.makepyfile(SUITE.format(dying=1, passing=2))
    result = runs.run(pytester, "-n", "1", "--max-worker-restart", "1")
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.no_fnmatch_line("*max-worker-restart*")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_at_the_limit_others_finish_what_they_run(pytester: pytest.Pytester) -> None:
    """The last death stops the run, but not a test that another worker is in the middle of, nor its teardown."""
    runs.add_happenings(pytester)
    pytester.makepyfile(
        test_a="""
        import os

        import happenings

        def test_dying():
            happenings.wait_for("long_one_runs")
            happenings.tell("worker", os.getpid())
            os._exit(1)
        """,
        test_b="""
        import pytest

        import happenings

        @pytest.fixture(scope="session")
        def wide():
            yield
            happenings.tell("torn_down")

        def test_long(wide):
            happenings.tell("long_one_runs")
            pid = int(happenings.wait_for("worker"))
            happenings.wait_until(lambda: happenings.state(pid) == "X")

        def test_behind(wide): pass
        """,
    )
    result = runs.run(pytester, "-n", "2", "--dist", "loadfile", "--max-worker-restart", "0")
    counts = result.parseoutcomes()
    assert counts["failed"] == 1
    assert counts["passed"] >= 1
    assert runs.happened(pytester, "torn_down") == ""
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_workers_that_die_at_their_start_are_not_born_for_ever(pytester: pytest.Pytester) -> None:
    """What kills every worker before its first test ends the run at the limit; no test is blamed."""
    pytester.makeconftest(
        """
        import os

        def pytest_parpool_worker_started():
            os._exit(5)
        """
    )
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
    result = runs.run(pytester, "-n", "1", "--max-worker-restart", "2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["parpool: worker 'gw0' died *(exit code 5)*"])
    result.stdout.fnmatch_lines(["parpool: 2 tests were not run:", TOO_MANY.format(limit=2)])
    assert "failed" not in result.parseoutcomes()


def test_a_recycled_worker_is_not_a_dead_one(pytester: pytest.Pytester) -> None:
    """Replacement by ``--maxtasksperchild`` does not count."""
    pytester.makepyfile(SUITE.format(dying=0, passing=6))
    result = runs.run(pytester, "-n", "1", "--maxtasksperchild", "1", "--max-worker-restart", "0")
    result.assert_outcomes(passed=6, skipped=1)
    assert result.ret == pytest.ExitCode.OK
