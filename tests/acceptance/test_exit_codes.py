"""A run on workers ends with plain pytest's exit code, banner and counts, in every way a run can end."""

from __future__ import annotations

import dataclasses

import pytest

from tests.acceptance.runs import run, run_plain

PASSING = "def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass"
FAILING = "def test_one(): pass\ndef test_two(): assert 0\ndef test_three(): pass"
BROKEN_FILE = "import missing_module_of_nobody"


@dataclasses.dataclass(frozen=True)
class Case:
    """A suite, how it is called, and the exit code that plain pytest gives it.

    Attributes:
        code: Stated here too, so that a case that misses its point shows.
        files: Source by module name.
        arguments: Of the command line.
        has_same_counts: Whether all tests are accounted for alike; not where a stop comes while others run.
        has_workers: Whether it comes so far that workers are started; else it does not matter how.
    """

    name: str
    code: int
    files: dict[str, str]
    arguments: tuple[str, ...] = ()
    has_same_counts: bool = True
    has_workers: bool = True


CASES = [
    Case("all pass", 0, {"test_a": PASSING}),
    Case("one fails", 1, {"test_a": FAILING}),
    Case(
        "an error in setup",
        1,
        {
            "test_a": PASSING,
            "conftest": """
        import pytest

        @pytest.fixture(autouse=True, scope="session")
        def broken():
            raise OSError("no database")
    """,
        },
    ),
    Case(
        "an error in the session's teardown",
        1,
        {
            "test_a": "def test_one(resource): pass",
            "conftest": """
        import pytest

        @pytest.fixture(scope="session")
        def resource():
            yield
            raise OSError("no database")
    """,
        },
    ),
    Case("no tests", 5, {"test_a": "x = 1"}, has_workers=False),
    Case("all deselected", 5, {"test_a": PASSING}, ("-m", "not_there"), has_workers=False),
    Case("-k matches nothing", 5, {"test_a": PASSING}, ("-k", "not_there"), has_workers=False),
    Case("missing path", 4, {"test_a": PASSING}, ("not_there.py",), has_workers=False),
    Case("missing test", 4, {"test_a": PASSING}, ("test_a.py::test_not_there",), has_workers=False),
    Case("unknown option", 4, {"test_a": PASSING}, ("--not-there",), has_workers=False),
    Case("bad value", 4, {"test_a": PASSING}, ("--maxfail=many",), has_workers=False),
    Case(
        "usage error in a conftest",
        4,
        {
            "test_a": PASSING,
            "conftest": """
        import pytest

        def pytest_configure(config):
            raise pytest.UsageError("give me a database")
    """,
        },
        has_workers=False,
    ),
    Case("broken conftest", 4, {"test_a": PASSING, "conftest": BROKEN_FILE}, has_workers=False),
    Case("collection error", 2, {"test_a": PASSING, "test_b": BROKEN_FILE}, has_workers=False),
    Case(
        "collection error, carry on",
        1,
        {"test_a": PASSING, "test_b": BROKEN_FILE},
        ("--continue-on-collection-errors",),
    ),
    Case("collect only", 0, {"test_a": PASSING}, ("--collect-only",), has_workers=False),
    Case(
        "internal error before the run",
        3,
        {
            "test_a": PASSING,
            "conftest": """
        def pytest_collection_modifyitems(items):
            raise RuntimeError("a broken plugin")
    """,
        },
        has_workers=False,
    ),
    Case(
        "internal error in a reporting hook",
        3,
        {
            "test_a": PASSING,
            "conftest": """
        def pytest_runtest_logreport(report):
            raise RuntimeError("a broken plugin")
    """,
        },
        has_same_counts=False,
    ),
    Case(
        "internal error in a hook around a test",
        3,
        {
            "test_a": PASSING,
            "conftest": """
        def pytest_runtest_protocol(item):
            raise RuntimeError("a broken plugin")
    """,
        },
        has_same_counts=False,
    ),
    Case(
        "internal error after the run",
        3,
        {
            "test_a": PASSING,
            "conftest": """
        import pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtestloop(session):
            result = yield
            if hasattr(session.config, "workerinput"):
                return result
            raise RuntimeError("a broken plugin")
    """,
        },
    ),
    Case("exit in a test", 2, {"test_a": "import pytest\ndef test_one(): pytest.exit('that is enough')"}),
    Case(
        "exit in a test, with a code",
        7,
        {
            "test_a": """
        import pytest

        def test_one():
            pytest.exit("that is enough", returncode=7)
    """
        },
    ),
    Case(
        "exit in a fixture",
        2,
        {
            "test_a": PASSING,
            "conftest": """
        import pytest

        @pytest.fixture(autouse=True)
        def guard():
            pytest.exit("no database")
    """,
        },
    ),
    Case(
        "exit in a fixture, with a code",
        0,
        {
            "test_a": PASSING,
            "conftest": """
        import pytest

        @pytest.fixture(autouse=True)
        def guard():
            pytest.exit("nothing to do", returncode=0)
    """,
        },
    ),
    Case(
        "exit in a session fixture's teardown",
        4,
        {
            "test_a": "def test_one(guard): pass",
            "conftest": """
        import pytest

        @pytest.fixture(scope="session")
        def guard():
            yield
            pytest.exit("the database is gone", returncode=pytest.ExitCode.USAGE_ERROR)
    """,
        },
        has_same_counts=False,
    ),
    Case("exit in collection", 2, {"test_a": "import pytest\npytest.exit('wrong machine')"}, has_workers=False),
    Case(
        "exit at the end of collection, with a code",
        9,
        {
            "test_a": PASSING,
            "conftest": """
        import pytest

        def pytest_collection_modifyitems(items):
            pytest.exit("wrong machine", returncode=9)
    """,
        },
        has_workers=False,
    ),
    Case("KeyboardInterrupt in a test", 2, {"test_a": "def test_one(): raise KeyboardInterrupt"}),
    Case(
        "KeyboardInterrupt in a fixture",
        2,
        {
            "test_a": PASSING,
            "conftest": """
        import pytest

        @pytest.fixture(autouse=True)
        def guard():
            raise KeyboardInterrupt
    """,
        },
    ),
    Case("SystemExit in a test", 1, {"test_a": "def test_one(): raise SystemExit(3)\ndef test_two(): pass"}),
    Case("-x", 1, {"test_a": "def test_one(): assert 0\ndef test_two(): pass"}, ("-x",), has_same_counts=False),
    # Failures only: which others have run when the second is known is left to chance.
    Case("--maxfail", 1, {"test_a": "def test_one(): assert 0\ndef test_two(): assert 0"}, ("--maxfail=2",)),
    Case("--sw", 2, {"test_a": "def test_one(): assert 0"}, ("--sw",)),
    Case(
        "skipped and xfailed",
        0,
        {
            "test_a": """
        import pytest

        def test_skip(): pytest.skip("not here")

        @pytest.mark.xfail
        def test_xfail(): assert 0

        @pytest.mark.xfail
        def test_xpass(): pass
    """
        },
    ),
    Case("strict xpass", 1, {"test_a": "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_xpass(): pass"}),
    Case(
        "a warning is an error",
        1,
        {
            "test_a": """
        import warnings

        def test_one(): warnings.warn("old")
        def test_two(): pass
    """
        },
        ("-W", "error"),
    ),
    Case("version", 0, {"test_a": PASSING}, ("--version",), has_workers=False),
    Case("fixtures", 0, {"test_a": PASSING}, ("--fixtures",), has_workers=False),
]


ONCE = pytest.mark.start_method("fork")


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=() if case.has_workers else ONCE) for case in CASES]
)
def test_a_run_on_workers_ends_as_a_plain_run(pytester: pytest.Pytester, case: Case) -> None:
    """Exit code, the line between exclamation marks and, where nothing was cut short, all counts are plain pytest's.

    An internal error is shown once.
    """
    pytester.makepyfile(**case.files)
    # Each run finds the same cache: none.
    arguments = (*case.arguments, "-p", "no:cacheprovider") if "--sw" not in case.arguments else case.arguments
    plain = run_plain(pytester, *arguments)
    assert plain.ret == case.code
    ours = run(pytester, *arguments, "-n", "2")
    assert ours.ret == case.code
    if case.code == pytest.ExitCode.INTERNAL_ERROR:
        assert ours.stdout.str().count("INTERNALERROR> RuntimeError: a broken plugin") == 1
    else:
        assert banner(ours) == banner(plain)
    if case.has_same_counts:
        assert counts(ours) == counts(plain)


def banner(result: pytest.RunResult) -> list[str]:
    """Return what pytest says between exclamation marks: why a run ended early."""
    return [line.strip("! ") for line in result.outlines if line.startswith("!!!")]


def counts(result: pytest.RunResult) -> dict[str, int]:
    """Return the counts of the summary line; none if there is no such line."""
    try:
        return result.parseoutcomes()
    except ValueError:
        return {}
