"""What pytest-xdist 3.8 was seen to get wrong; each case is a suite that works here.

The cases of crashes, stop conditions, signals and exit codes are among their like in other files.
"""

from __future__ import annotations

import collections

import pytest

from tests.acceptance.runs import add_happenings, notes, run


@pytest.mark.parametrize("workers", [1, 2])
def test_a_property_that_is_no_plain_value_arrives_as_text(pytester: pytest.Pytester, workers: int) -> None:
    """``record_property`` with a path: the report arrives, the value as text, with one warning that names the test."""
    pytester.makepyfile(
        """
        import pathlib

        def test_path(record_property): record_property("place", pathlib.Path("some") / "where")
        def test_other(): pass
        """
    )
    result = run(pytester, f"-n{workers}", "--junitxml=report.xml")
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*test_path*"])
    assert "some/where" in (pytester.path / "report.xml").read_text()


@pytest.mark.start_method("fork")
def test_slow_tests_beside_one_another_run_on_different_workers(pytester: pytest.Pytester) -> None:
    """Two slow tests at the beginning are not both given to one worker: each waits until the other one has begun."""
    add_happenings(pytester)
    pytester.makepyfile(
        """
        import happenings
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_slow(number, worker_id):
            happenings.note("slow", worker_id)
            happenings.wait_until(lambda: len(happenings.notes("slow")) == 2)

        @pytest.mark.parametrize("number", range(8))
        def test_fast(number):
            happenings.wait_until(lambda: happenings.notes("slow"))
        """
    )
    result = run(pytester, "-n4")
    result.assert_outcomes(passed=10)
    assert len(set(notes(pytester, "slow"))) == 2


@pytest.mark.parametrize("dist", ["load", "loadscope", "loadgroup"])
def test_parameters_without_an_order(pytester: pytest.Pytester, dist: str) -> None:
    """Parametrising over a set, whose order differs in each new process, works: there is one collection."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("word", {"".join(pair) for pair in zip("abcdefghij", "klmnopqrst")})
        def test_word(word): pass
        """
    )
    run(pytester, "-n3", f"--dist={dist}").assert_outcomes(passed=10)


@pytest.mark.start_method("fork")
@pytest.mark.parametrize(
    ("parameter", "dist"),
    [("a::b", "loadscope"), ("::", "loadscope"), ("x::y.py::z", "loadfile"), ("@name", "loadgroup")],
)
def test_special_characters_in_a_parameter_do_not_split_a_module(
    pytester: pytest.Pytester, parameter: str, dist: str
) -> None:
    """A scope is taken from the item's parents; what stands inside a parameter makes no difference."""
    add_happenings(pytester)
    suite = f"""
        import happenings
        import pytest

        pytestmark = pytest.mark.xdist_group(__name__)

        @pytest.mark.parametrize("word", ["plain", "{parameter}", "other{parameter}", "{parameter}more", "last"])
        def test_word(word, worker_id):
            happenings.note("runs", f"{{__name__}} {{worker_id}}")

        def test_without(worker_id):
            happenings.note("runs", f"{{__name__}} {{worker_id}}")
    """
    pytester.makepyfile(test_a=suite, test_b=suite, test_c=suite)
    run(pytester, "-n3", f"--dist={dist}").assert_outcomes(passed=18)
    workers = collections.defaultdict(set)
    for line in notes(pytester, "runs"):
        module, worker = line.split()
        workers[module].add(worker)
    assert {module: len(found) for module, found in workers.items()} == {"test_a": 1, "test_b": 1, "test_c": 1}


@pytest.mark.start_method("fork")
def test_groups_hold_and_leave_node_ids_alone(pytester: pytest.Pytester) -> None:
    """``loadgroup`` keeps a group on one worker over files, and neither reports nor hooks see another node id."""
    add_happenings(pytester)
    suite = """
        import happenings
        import pytest

        @pytest.mark.xdist_group("database")
        @pytest.mark.parametrize("number", range(4))
        def test_database(number, worker_id, request):
            happenings.note("database", worker_id)
            happenings.note("nodeids", request.node.nodeid)

        @pytest.mark.xdist_group(name="network")
        class TestNetwork:
            def test_one(self, worker_id): happenings.note("network", worker_id)
            def test_two(self, worker_id): happenings.note("network", worker_id)

        @pytest.mark.parametrize("number", range(4))
        def test_free(number): pass
    """
    pytester.makepyfile(test_a=suite, test_b=suite)
    result = run(pytester, "-n4", "--dist=loadgroup", "-v", "--junitxml=report.xml")
    result.assert_outcomes(passed=20)
    assert len(set(notes(pytester, "database"))) == 1
    assert len(set(notes(pytester, "network"))) == 1
    assert sorted(notes(pytester, "nodeids")) == [
        f"test_{file}.py::test_database[{number}]" for file in "ab" for number in range(4)
    ]
    assert "@" not in result.stdout.str().split("collected 20 items")[1]
    assert "@" not in (pytester.path / "report.xml").read_text()


@pytest.mark.start_method("fork")
def test_a_missing_path_is_named(pytester: pytest.Pytester) -> None:
    """Exit 4, and pytest's own message."""
    result = run(pytester, "-n2", "not_there.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: file or directory not found: not_there.py*"])


def test_exit_with_a_code_shows_its_message(pytester: pytest.Pytester) -> None:
    """``pytest.exit(returncode=7)`` in a test is no internal error."""
    pytester.makepyfile("import pytest\ndef test_one(): pytest.exit('enough', returncode=7)\ndef test_two(): pass")
    result = run(pytester, "-n2")
    assert result.ret == 7
    result.stdout.fnmatch_lines(["!!* _pytest.outcomes.Exit: enough !!*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.start_method("fork")
def test_a_collection_error_is_shown_once(pytester: pytest.Pytester) -> None:
    """Exit 2 as in a plain run, the error once, and no worker is started."""
    pytester.makepyfile(test_a="def test_one(): pass", test_b="import missing_module_of_nobody")
    result = run(pytester, "-n2")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert result.stdout.str().count("E   ModuleNotFoundError: No module named 'missing_module_of_nobody'") == 1
    result.assert_outcomes(errors=1)
