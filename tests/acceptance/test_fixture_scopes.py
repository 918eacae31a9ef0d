"""Fixtures live in a worker as they would in plain pytest, for the items that it runs and in their order."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from tests.acceptance.runs import add_happenings, run

CONFTEST = '''
import os

import pytest

import happenings

ORDER = happenings.PLACE / "order.txt"


def event(text):
    """Note what happens, in a file of this process; a plain run that repeats a worker's items has one by name."""
    name = os.environ.get("REPEATED") or f"{os.environ['PYTEST_XDIST_WORKER']}-{os.getpid()}"
    happenings.note(name, text)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """In a plain run, keep those items that the worker ran, in its order."""
    if "REPEATED" in os.environ:
        found = {item.nodeid: item for item in items}
        items[:] = [found[nodeid] for nodeid in ORDER.read_text().splitlines()]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    if "REPEATED" not in os.environ:
        # Every worker has to begin before one ends, so that all have something to run.
        worker = os.environ["PYTEST_XDIST_WORKER"]
        if worker not in happenings.notes("workers"):
            happenings.note("workers", worker)
        count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        happenings.wait_until(lambda: len(set(happenings.notes("workers"))) == count)
    event(f"item {item.nodeid}")


@pytest.fixture(scope="session")
def of_session():
    event("session up")
    yield
    event("session down")


@pytest.fixture(scope="session", params=["x", "y"])
def of_session_with_cases(request, of_session):
    event(f"session case {request.param} up")
    yield request.param
    event(f"session case {request.param} down")


@pytest.fixture(scope="session")
def asked_for_late(request):
    event("late up")
    request.addfinalizer(lambda: event("late down"))


@pytest.fixture(scope="package", autouse=True)
def of_package(request):
    event(f"package {request.node.name} up")
    yield
    event(f"package {request.node.name} down")


@pytest.fixture(scope="module", params=[1, 2])
def of_module_with_cases(request, of_session):
    event(f"module case {request.param} up")
    yield request.param
    event(f"module case {request.param} down")


@pytest.fixture(scope="class")
def of_class(request):
    event(f"class {request.node.name} up")
    yield
    event(f"class {request.node.name} down")


@pytest.fixture
def of_function(of_session):
    event("function up")
    yield
    event("function down")
'''

MODULE = """
import pytest

from conftest import event


def setup_module(module):
    event(f"{module.__name__} up")


def teardown_module(module):
    event(f"{module.__name__} down")


def test_plain(of_function):
    event("test")


@pytest.mark.parametrize("value", range(4))
class TestClass:
    @classmethod
    def setup_class(cls):
        event("setup_class")

    @classmethod
    def teardown_class(cls):
        event("teardown_class")

    @pytest.mark.xdist_group("one")
    def test_first(self, value, of_class, of_function):
        event("test")

    def test_second(self, value, of_class):
        event("test")


@pytest.mark.xdist_group("two")
def test_late(request):
    request.getfixturevalue("asked_for_late")


def test_cases_of_module(of_module_with_cases):
    event(f"test {of_module_with_cases}")


def test_cases_of_session(of_session_with_cases, of_function):
    event(f"test {of_session_with_cases}")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite of a package and a module beside it, with fixtures of all scopes that tell of their life."""
    add_happenings(pytester)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_alone=MODULE)
    folder = pytester.mkpydir("package")
    for name in ("one", "two"):
        (folder / f"test_{name}.py").write_text(MODULE, encoding="utf-8")
    return pytester


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--dist", "load"], id="load"),
        pytest.param(["--dist", "worksteal"], id="worksteal"),
        pytest.param(["--dist", "loadscope"], id="loadscope"),
        pytest.param(["--dist", "loadfile"], id="loadfile"),
        pytest.param(["--dist", "loadgroup"], id="loadgroup"),
        pytest.param(["--dist", "load", "--maxtasksperchild", "12"], id="recycled"),
    ],
)
def test_fixtures_live_as_in_plain_pytest(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Plain pytest, given a worker's items in the worker's order, sets up and tears down the same in the same order."""
    result = run(suite, "-n", "2", *arguments)
    result.assert_outcomes(passed=3 * 14)
    logs = list(suite.path.glob("gw*.list"))
    assert len({log.name.partition("-")[0] for log in logs}) == 2
    for log in logs:
        repeat(suite, monkeypatch, log)
        assert (suite.path / "repeated.list").read_text() == log.read_text()


def repeat(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    """Run plain pytest on the items of which a worker's log tells; it writes ``repeated.list``."""
    (suite.path / "repeated.list").unlink(missing_ok=True)
    lines = log.read_text().splitlines()
    order = [line.removeprefix("item ") for line in lines if line.startswith("item ")]
    (suite.path / "order.txt").write_text("\n".join(order))
    monkeypatch.setenv("REPEATED", "repeated")
    with contextlib.redirect_stdout(io.StringIO()):
        assert suite.inline_run("-p", "no:cacheprovider", "-q").ret == 0


# --- Errors -----------------------------------------------------------------------------------------------------------

RECORDING = """
import pytest

import happenings

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.pluginmanager.register(Recorder(config))

class Recorder:
    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        if hasattr(self.config, "workerinput"):
            return  # It is reported in the controller, too.
        errors = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
        happenings.note("reports", f"{report.nodeid} {report.when} {report.outcome} {errors}")
"""

FAILING = """
import pytest


def failing(scope):
    @pytest.fixture(scope=scope)
    def fixture():
        yield
        raise RuntimeError(f"teardown of {scope}")

    return fixture


of_session = failing("session")
of_package = failing("package")
of_module = failing("module")
of_class = failing("class")
of_function = failing("function")


@pytest.fixture(scope="module")
def never_up():
    raise RuntimeError("setup of module")


def test_session(of_session): pass
def test_package(of_package): pass
def test_function(of_function): pass
def test_never_up(never_up): pass
def test_never_up_either(never_up): pass


class TestClass:
    def test_class(self, of_class): pass
    def test_last_of_class(self): pass


def test_module(of_module): assert 0
def test_skipped(of_module): pytest.skip("reason")

@pytest.mark.xfail
def test_xfail(of_module): assert 0

def test_last_of_module(): pass
"""


def test_errors_are_reported_where_pytest_reports_them(pytester: pytest.Pytester) -> None:
    """One worker gives the same reports as plain pytest, in the same order, phase by phase, with the same errors."""
    add_happenings(pytester)
    pytester.makeconftest(RECORDING)
    pytester.makepyfile(test_a=FAILING, test_b=FAILING)
    reports: list[list[str]] = []
    for arguments in ([], ["-n", "1"]):
        run(pytester, *arguments, "-p", "no:cacheprovider").assert_outcomes(
            passed=12, failed=2, errors=10, skipped=2, xfailed=2
        )
        reports.append((pytester.path / "reports.list").read_text().splitlines())
        (pytester.path / "reports.list").unlink()
    assert reports[0] == reports[1]


def test_an_error_after_a_wait_is_one_of_the_last_item(pytester: pytest.Pytester) -> None:
    """A worker had to wait and tears its session fixture down later: the error is the last item's that it ran."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import collections

        import pytest

        import happenings


        class OneModuleEach:
            # A worker that has nothing now is not sent home before all others have nothing either.

            def __init__(self, plan):
                self.queues = {"gw0": collections.deque(), "gw1": collections.deque()}
                for item, module in enumerate(plan.modules):
                    self.queues["gw0" if module == "test_a.py" else "gw1"].append(item)

            def peek(self, worker):
                return self.queues[worker][0] if self.queues[worker] else None

            def take(self, worker):
                return self.queues[worker].popleft()

            def requeue(self, items, worker):
                self.queues[worker].extendleft(reversed(items))

            def is_exhausted(self, worker):
                return not any(self.queues.values())

            def remaining(self):
                return tuple(sorted(item for queue in self.queues.values() for item in queue))


        def pytest_parpool_make_scheduler(plan):
            return OneModuleEach(plan)


        @pytest.fixture(scope="session")
        def broken():
            yield
            happenings.tell("session-down")
            raise RuntimeError("teardown of session")


        @pytest.fixture(scope="module")
        def narrow():
            yield
            happenings.tell("module-down")
        """
    )
    pytester.makepyfile(
        test_a="""
        import happenings

        def test_first():
            happenings.wait_for("module-down")
            assert not happenings.has_happened("session-down")

        def test_second(): pass
        def test_third(): pass
        """,
        test_b="""
        def test_first(narrow, broken): pass
        def test_last(narrow, broken): pass
        """,
    )
    result = run(pytester, "-n", "2")
    result.assert_outcomes(passed=5, errors=1)
    result.stdout.fnmatch_lines(["ERROR test_b.py::test_last - RuntimeError: teardown of session"])
