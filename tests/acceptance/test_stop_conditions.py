"""What stops a run stops it at once: no test begins behind the report that stopped it.

In these suites each test notes its start in a file, and those that pass go on until the controller has shown the
failure (or whatever stops the run). So each worker but the failing one runs at most the one test it had begun.
"""

from __future__ import annotations

import pytest

from tests.acceptance.runs import run

# Waits inside of tests end with the event, or with this deadline; then the test fails and shows in the counts.
LIBRARY = """
    import pathlib
    import time

    HERE = pathlib.Path(__file__).parent

    def note(name):
        with open(HERE / "started", "a") as file:
            file.write(name + "\\n")

    def tell(event):
        (HERE / event).touch()

    def wait_for(event):
        deadline = time.monotonic() + 30
        while not (HERE / event).exists():
            assert time.monotonic() < deadline, event
            time.sleep(0.001)
"""

# The controller says when it has shown a failed report. Pytest's own session has counted it by then.
CONFTEST = """
    import events

    def pytest_runtest_logreport(report):
        if report.failed and hasattr(report, "node"):
            events.tell("shown")
"""

FIRST_OF_MANY_FAILS = """
    import pytest
    import events

    @pytest.mark.parametrize("number", range(100))
    def test_many(number):
        events.note(str(number))
        assert number != 0
        events.wait_for("shown")
"""


def started(pytester: pytest.Pytester) -> list[str]:
    """Return what began, in order."""
    path = pytester.path / "started"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("dist", ["load", "worksteal", "loadscope"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_x_stops_all_workers(pytester: pytest.Pytester, workers: int, dist: str) -> None:
    """With ``-x`` and the first of many failing, the others begin at most the one test each they had in hand."""
    pytester.makepyfile(events=LIBRARY, conftest=CONFTEST, test_a=FIRST_OF_MANY_FAILS)
    result = run(pytester, "-x", f"-n{workers}", "--dist", dist)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    begun = started(pytester)
    assert "0" in begun
    assert len(begun) <= workers
    result.assert_outcomes(failed=1, passed=len(begun) - 1)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_maxfail_counts_the_failures_of_all_workers(pytester: pytest.Pytester) -> None:
    """``--maxfail=2`` stops at the second failure, whichever workers the two happened in."""
    pytester.makepyfile(
        events=LIBRARY,
        conftest="""
            import events

            failures = []

            def pytest_runtest_logreport(report):
                if report.failed and hasattr(report, "node"):
                    failures.append(report.nodeid)
                    events.tell(f"shown{len(failures)}")
        """,
        test_a="""
            import pytest
            import events

            @pytest.mark.parametrize("number", range(40))
            def test_many(number):
                events.note(str(number))
                # The halves of two workers both begin with failures, and go on with tests that wait for the end.
                assert number % 20 != 0
                events.wait_for("shown2")
        """,
    )
    result = run(pytester, "--maxfail=2", "-n2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(started(pytester)) <= 3
    result.assert_outcomes(failed=2, passed=len(started(pytester)) - 2)
    result.stdout.fnmatch_lines(["*stopping after 2 failures*"])


def test_a_failure_below_maxfail_stops_nothing(pytester: pytest.Pytester) -> None:
    """A worker whose failure is not the last one allowed goes on, as do the others."""
    pytester.makepyfile(
        test_a="""
            import pytest

            @pytest.mark.parametrize("number", range(30))
            def test_many(number):
                assert number % 10
        """
    )
    result = run(pytester, "--maxfail=4", "-n2")
    result.assert_outcomes(failed=3, passed=27)


def test_an_error_in_setup_stops_too(pytester: pytest.Pytester) -> None:
    """``-x`` counts errors of fixtures."""
    pytester.makepyfile(
        events=LIBRARY,
        conftest=CONFTEST,
        test_a="""
            import pytest
            import events

            @pytest.fixture
            def resource(request):
                events.note(request.node.name)
                assert request.node.callspec.params["number"] != 0

            @pytest.mark.parametrize("number", range(20))
            def test_many(number, resource):
                events.wait_for("shown")
        """,
    )
    result = run(pytester, "-x", "-n2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(started(pytester)) <= 2
    assert result.parseoutcomes()["errors"] == 1


def test_a_failed_teardown_stops_too(pytester: pytest.Pytester) -> None:
    """``-x`` counts an error of a fixture of wide scope, where plain pytest reports it."""
    pytester.makepyfile(
        test_a="""
            import pytest

            @pytest.fixture(scope="module")
            def resource():
                yield
                assert 0

            def test_one(resource): pass
        """,
        test_b="def test_two(): pass",
    )
    result = run(pytester, "-x", "-n1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, errors=1)


def test_stepwise_stops_at_the_first_failure_and_goes_on_there(pytester: pytest.Pytester) -> None:
    """``--sw`` stops the run; the next run begins with the test that failed."""
    suite = """
        import pytest
        import events

        @pytest.mark.parametrize("number", range(100))
        def test_many(number):
            events.note(str(number))
            assert number != FAILING
            if number:
                events.wait_for("shown")
    """
    pytester.makepyfile(events=LIBRARY, conftest=CONFTEST, test_a=suite.replace("FAILING", "1"))
    result = run(pytester, "--sw", "-n2")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*Interrupted: Test failed, continuing from this test next run.*"])
    assert len(started(pytester)) <= 3
    (pytester.path / "started").unlink()
    pytester.makepyfile(test_a=suite.replace("FAILING", "None"))
    result = run(pytester, "--sw", "-n2")
    assert result.ret == pytest.ExitCode.OK
    assert sorted(map(int, started(pytester))) == list(range(1, 100))


@pytest.mark.parametrize("side", ["worker", "controller"])
@pytest.mark.parametrize(
    ("attribute", "code", "said"),
    [
        ("shouldstop", pytest.ExitCode.INTERRUPTED, "*!!! Interrupted: enough of it !!!*"),
        ("shouldfail", pytest.ExitCode.TESTS_FAILED, "*!!! enough of it !!!*"),
    ],
)
def test_a_session_that_is_asked_to_stop_stops(
    pytester: pytest.Pytester, side: str, attribute: str, code: pytest.ExitCode, said: str
) -> None:
    """``session.shouldstop`` and ``shouldfail`` count in a worker and in the controller, and the reason is shown."""
    pytester.makepyfile(
        events=LIBRARY,
        conftest=f"""
            import events

            def pytest_sessionstart(session):
                global the_session
                the_session = session

            def pytest_runtest_logreport(report):
                if report.when != "call" or not report.nodeid.endswith("[33]"):
                    return
                is_worker = hasattr(the_session.config, "workerinput")
                if is_worker == {side == "worker"}:
                    the_session.{attribute} = "enough of it"
                if not is_worker:
                    events.tell("shown")

            def pytest_testnodedown(node):
                events.tell(f"{{node.gateway.id}} down")
        """,
        test_a="""
            import pytest
            import events

            @pytest.mark.parametrize("number", range(60))
            def test_many(number):
                events.note(str(number))
                if number < 30:
                    events.wait_for("gw1 down")
                if number > 33:
                    events.wait_for("shown")
        """,
    )
    result = run(pytester, "-n2")
    assert result.ret == code
    result.stdout.fnmatch_lines([said])
    begun = started(pytester)
    assert [number for number in begun if int(number) < 30] in ([], ["0"])
    if side == "worker":
        assert max(begun, key=int) == "33"  # It knows at once.
    result.assert_outcomes(passed=len(begun))


@pytest.mark.parametrize("workers", [2, 4])
def test_exit_stops_all_workers(pytester: pytest.Pytester, workers: int) -> None:
    """``pytest.exit`` in a test ends the run with its message and code; what others had begun is finished and shown."""
    pytester.makepyfile(
        events=LIBRARY,
        conftest="""
            import events

            def pytest_testnodedown(node):
                events.tell(f"{node.gateway.id} down")
        """,
        test_a="""
            import pytest
            import events

            @pytest.mark.parametrize("number", range(100))
            def test_many(number):
                events.note(str(number))
                if number == 0:
                    pytest.exit("the machine is on fire", returncode=7)
                events.wait_for("gw0 down")
        """,
    )
    result = run(pytester, f"-n{workers}")
    assert result.ret == 7
    result.stdout.fnmatch_lines(["!!* _pytest.outcomes.Exit: the machine is on fire !!*"])
    begun = started(pytester)
    assert len(begun) <= workers
    result.assert_outcomes(passed=len(begun) - 1)


def test_fixtures_are_torn_down_after_a_stop(pytester: pytest.Pytester) -> None:
    """After ``-x`` every worker tears down what it has set up, once."""
    pytester.makepyfile(
        events=LIBRARY,
        conftest=CONFTEST
        + """
    import pytest

    @pytest.fixture(scope="session", autouse=True)
    def session_resource(worker_id):
        events.note(f"up {worker_id}")
        yield
        events.note(f"down {worker_id}")

    @pytest.fixture(scope="module", autouse=True)
    def module_resource(worker_id):
        events.note(f"up module {worker_id}")
        yield
        events.note(f"down module {worker_id}")
""",
        test_a=FIRST_OF_MANY_FAILS,
    )
    result = run(pytester, "-x", "-n3")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    noted = started(pytester)
    ups = sorted(line.removeprefix("up ") for line in noted if line.startswith("up "))
    downs = sorted(line.removeprefix("down ") for line in noted if line.startswith("down "))
    assert ups == downs
    assert len(ups) == len(set(ups)) >= 2


def test_tests_that_a_stop_left_out_are_not_called_lost(pytester: pytest.Pytester) -> None:
    """What the user asked to leave out is no fault: nothing is said to be not run."""
    pytester.makepyfile(events=LIBRARY, conftest=CONFTEST, test_a=FIRST_OF_MANY_FAILS)
    result = run(pytester, "-x", "-n2")
    result.stdout.no_fnmatch_line("*not run*")
