"""Which of coverage's cores measures workers if nobody has named one: the cheapest that measures the same."""

from __future__ import annotations

import sys

import pytest

from tests.acceptance.measuring import COV, COVERAGE_RUN, configure, forget_measurement, measure, replaced_after
from tests.acceptance.runs import add_happenings, notes

pytestmark = pytest.mark.beside_others("pytest_cov")

HAS_MONITORING = sys.version_info >= (3, 12)
IS_MONITORED_IN_PLAIN = sys.version_info >= (3, 14)

STEPS = """\
def total(numbers):
    found = 0
    for number in numbers:
        found += number
    return found


def begin():
    yield 1
    yield 2
    yield 3


def unmeasured():
    return (
        1
    )


BEGUN = begin()
next(BEGUN)
"""

TESTS = """
import sys

import coverage
import happenings
import pytest

from pkg import steps


@pytest.mark.parametrize("number", range(3))
def test_total(number):
    assert steps.total([number, -number]) == 0


def test_generator_that_began_at_import():
    assert list(steps.BEGUN) == [2, 3]


def test_that_measures(tmp_path):
    inner = coverage.Coverage(data_file=tmp_path / "inner")
    with inner.collect():
        steps.total([])
    assert inner.get_data().measured_files()


def test_without_measuring(no_cover):
    steps.unmeasured()


def test_who_measures():
    happenings.note("tracing", type(sys.gettrace()).__name__)
"""

CONTEXTS = """
import coverage
import pytest

from pkg import steps


@pytest.fixture(params=["first", "second"])
def context(request):
    coverage.Coverage.current().switch_context(request.param)
    yield
    coverage.Coverage.current().switch_context("")


def test_in_context(context):
    assert steps.total([1, 2]) == 3
"""


@pytest.fixture(autouse=True)
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with what cores may see differently, and a test that notes what traces it."""
    forget_measurement(monkeypatch)
    (pytester.mkpydir("pkg") / "steps.py").write_text(STEPS)
    add_happenings(pytester)
    pytester.makepyfile(test_steps=TESTS)


def tracers(pytester: pytest.Pytester) -> set[str]:
    """Return which types of object have traced the tests since this was last asked."""
    found = set(notes(pytester, "tracing"))
    (pytester.path / "tracing.list").unlink()
    return found


@pytest.mark.parametrize("command", [COV, COVERAGE_RUN], ids=["pytest-cov", "coverage-run"])
def test_statements_are_measured_as_in_plain(
    pytester: pytest.Pytester, command: tuple[str, ...], start_method: str
) -> None:
    """Workers are not traced where the interpreter can tell of lines instead, and the lines are the same."""
    plain = measure(pytester, *command)
    assert tracers(pytester) == {"NoneType" if IS_MONITORED_IN_PLAIN else "CTracer"}
    assert {9, 10, 11}.issubset(plain["steps.py"].lines)
    for arguments in (["-n", "1"], ["-n", "2", "--maxtasksperchild", replaced_after(start_method)]):
        assert measure(pytester, *command, *arguments) == plain, arguments
        assert tracers(pytester) == {"NoneType" if HAS_MONITORING else "CTracer"}


@pytest.mark.parametrize(
    ("settings", "variables", "arguments"),
    [
        ({"branch": "true"}, {}, []),
        ({}, {"COVERAGE_CORE": "ctrace"}, []),
        ({"core": "ctrace"}, {}, []),
        ({}, {}, ["--cov-context=test"]),
    ],
    ids=["branches", "named by a variable", "named in the configuration", "contexts"],
)
def test_other_things_are_measured_by_the_users_core(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    variables: dict[str, str],
    arguments: list[str],
) -> None:
    """Workers are measured by what measures a plain run, and the data is the same."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    configure(pytester, **settings)
    plain = measure(pytester, *COV, *arguments)
    in_plain = tracers(pytester)
    assert measure(pytester, *COV, *arguments, "-n", "2") == plain
    assert tracers(pytester) == in_plain


def test_a_test_that_changes_the_context_is_traced(pytester: pytest.Pytester, start_method: str) -> None:
    """Its lines are known to its context, though another has run them before."""
    pytester.makepyfile(test_contexts=CONTEXTS)
    plain = measure(pytester, *COV, "test_contexts.py")
    if not IS_MONITORED_IN_PLAIN:
        assert plain["steps.py"].contexts[2] == ["first", "second"]
    assert measure(pytester, *COV, "test_contexts.py", "-n", "1") == plain
