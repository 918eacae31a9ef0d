"""Options and ini values, each in a real run: what it changes, and what is said about a value that is not allowed."""

from __future__ import annotations

import collections
import sys
from collections.abc import Callable

import pytest

from tests.acceptance.runs import RUN_SECONDS, add_happenings, notes, run

TEN_TESTS = """
    import pytest

    @pytest.mark.parametrize("number", range(10))
    def test_many(number): pass
"""

# Each process says what it knows about the run.
TELLING_CONFTEST = """
    import os
    import happenings
    import pytest

    def pytest_configure_node(node):
        option = node.config.option
        happenings.note("controller", f"{node.workerinput['workercount']} {len(option.tx)} {option.numprocesses}")

    @pytest.fixture(autouse=True)
    def tell(worker_id, testrun_uid, request):
        happenings.note("tests", f"{worker_id} {testrun_uid} {os.getpid()} {request.node.nodeid}")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite of ten tests that notes who ran them."""
    add_happenings(pytester)
    pytester.makepyfile(conftest=TELLING_CONFTEST, test_a=TEN_TESTS)
    return pytester


def told(pytester: pytest.Pytester) -> list[tuple[str, str, str, str]]:
    """Return worker, run id, process id and node id of each test, in order of their starts."""
    found = []
    for line in notes(pytester, "tests"):
        worker, testrunuid, pid, nodeid = line.split(" ", 3)
        found.append((worker, testrunuid, pid, nodeid))
    return found


# --- How many workers -------------------------------------------------------------------------------------------------


@pytest.mark.start_method("fork")
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ("-n3", 3),
        ("--numprocesses=3", 3),
        ("-n3 --maxprocesses=2", 2),
        ("-n auto", 5),
        ("-n auto --maxprocesses=4", 4),
        ("-n logical", 5),
        ("-n64", 10),
        ("--tx 2*popen --dist=load", 2),
        ("--tx popen --tx 2*popen -d", 3),
        ("-n2 -d", 2),
    ],
)
def test_the_real_number_of_workers_is_known_everywhere(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: str, count: int
) -> None:
    """``tx``, ``numprocesses`` and ``workercount`` agree before a node is configured; never more workers than items."""
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "5")
    result = suite.runpytest_subprocess(*arguments.split(), timeout=RUN_SECONDS)
    result.assert_outcomes(passed=10)
    numprocesses = None if "--tx" in arguments else count
    assert notes(suite, "controller") == [f"{count} {count} {numprocesses}"] * count
    assert {worker for worker, *_ in told(suite)} <= {f"gw{number}" for number in range(count)}


@pytest.mark.start_method("fork")
def test_auto_is_a_whole_number_of_workers(suite: pytest.Pytester) -> None:
    """Without the environment variable, ``-n auto`` counts CPUs and finds at least one."""
    result = run(suite, "-n", "auto")
    result.assert_outcomes(passed=10)
    counts = {int(line.split()[0]) for line in notes(suite, "controller")}
    assert len(counts) == 1
    assert 1 <= counts.pop() <= 10


@pytest.mark.start_method("fork")
@pytest.mark.parametrize("arguments", ["", "-n0", "--dist=load", "-d", "-n2 --dist=no", "-n auto --pdb"])
def test_in_this_process(suite: pytest.Pytester, arguments: str) -> None:
    """Without workers all tests run in one process, whatever ``--dist`` says; ``-n`` goes before ``--dist no``."""
    result = run(suite, *arguments.split())
    result.assert_outcomes(passed=10)
    workers = {worker for worker, *_ in told(suite)}
    if arguments == "-n2 --dist=no":  # As pytest-xdist has it: -n makes it load.
        assert "master" not in workers
    else:
        assert workers == {"master"}


# --- How tests are distributed ----------------------------------------------------------------------------------------

TWO_FILES = """
    import pytest

    class TestFirst:
        @pytest.mark.parametrize("number", range(3))
        def test_many(self, number): pass

    class TestSecond:
        @pytest.mark.parametrize("number", range(3))
        def test_many(self, number): pass

    @pytest.mark.xdist_group("shared")
    def test_grouped(): pass
"""


@pytest.mark.start_method("fork")
@pytest.mark.parametrize("mode", ["load", "worksteal", "loadscope", "loadfile", "loadgroup", "each"])
def test_every_mode_keeps_together_what_it_promises(suite: pytest.Pytester, mode: str) -> None:
    """Every test runs once (``each``: once per worker), and what a mode keeps together is on one worker."""
    suite.makepyfile(test_a=TWO_FILES, test_b=TWO_FILES)
    result = run(suite, "-n3", f"--dist={mode}")
    times = 3 if mode == "each" else 1
    result.assert_outcomes(passed=14 * times)
    runs = told(suite)
    assert set(collections.Counter(nodeid for *_, nodeid in runs).values()) == {times}
    keys: dict[str, Callable[[str], str]] = {
        "loadscope": lambda nodeid: nodeid.rpartition("::")[0],
        "loadfile": lambda nodeid: nodeid.partition("::")[0],
        "loadgroup": lambda nodeid: "shared" if nodeid.endswith("test_grouped") else nodeid,
    }
    if mode in keys:
        workers: dict[str, set[str]] = collections.defaultdict(set)
        for worker, _, _, nodeid in runs:
            workers[keys[mode](nodeid)].add(worker)
        assert all(len(found) == 1 for found in workers.values()), workers


@pytest.mark.start_method("fork")
@pytest.mark.parametrize(("option", "first"), [("--loadscope-reorder", "big"), ("--no-loadscope-reorder", "small")])
def test_loadscope_order(suite: pytest.Pytester, option: str, first: str) -> None:
    """``loadscope`` begins with the largest scope, or else with the first."""
    suite.makepyfile(
        test_a="""
            class TestSmall:
                def test_small(self): pass

            class TestBig:
                def test_big_1(self): pass
                def test_big_2(self): pass
        """
    )
    result = run(suite, "-n1", "--dist=loadscope", option)
    result.assert_outcomes(passed=3)
    assert f"test_{first}" in told(suite)[0][3]


@pytest.mark.start_method("fork")
def test_maxschedchunk(suite: pytest.Pytester) -> None:
    """With a chunk of one, a worker holds nothing behind the test it runs, and all tests run."""
    result = run(suite, "-n2", "--maxschedchunk=1")
    result.assert_outcomes(passed=10)


# --- The run's id -----------------------------------------------------------------------------------------------------


def test_testrunuid(suite: pytest.Pytester) -> None:
    """The fixture has the given id in all workers."""
    run(suite, "-n2", "--testrunuid=build-7").assert_outcomes(passed=10)
    assert {testrunuid for _, testrunuid, *_ in told(suite)} == {"build-7"}


def test_an_id_of_its_own_for_each_run(suite: pytest.Pytester) -> None:
    """Without one given, all workers have the same, and the next run another."""
    for _ in range(2):
        run(suite, "-n2").assert_outcomes(passed=10)
    ids = [testrunuid for _, testrunuid, *_ in told(suite)]
    assert len(set(ids[:10])) == len(set(ids[10:])) == 1
    assert ids[0] != ids[-1]


# --- New workers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["option", "ini"])
def test_a_worker_is_replaced_after_its_tests(suite: pytest.Pytester, source: str) -> None:
    """After N tests a worker tears its fixtures down and leaves; its successor has the same id and another process."""
    suite.makepyfile(
        test_a="""
            import happenings
            import pytest

            @pytest.fixture(scope="session", autouse=True)
            def resource(worker_id):
                happenings.note("fixtures", f"up {worker_id}")
                yield
                happenings.note("fixtures", f"down {worker_id}")

            @pytest.mark.parametrize("number", range(10))
            def test_many(number): pass
        """
    )
    arguments = ["--maxtasksperchild=2"]
    if source == "ini":
        suite.makeini("[pytest]\nparpool_maxtasksperchild = 2")
        arguments = []
    result = run(suite, "-n2", *arguments)
    result.assert_outcomes(passed=10)
    by_process = collections.Counter((worker, pid) for worker, _, pid, _ in told(suite))
    assert set(by_process.values()) <= {1, 2}
    assert {worker for worker, _ in by_process} <= {"gw0", "gw1"}
    assert len(by_process) >= 5
    fixtures = collections.Counter(line.split()[0] for line in notes(suite, "fixtures"))
    assert fixtures == {"up": len(by_process), "down": len(by_process)}
    assert "died" not in result.stdout.str()


def test_worker_initializers(suite: pytest.Pytester) -> None:
    """They are called in each new worker, those of the ini file first, with their arguments; then the hook."""
    suite.makeini('[pytest]\nparpool_worker_initializer =\n    setup_module_of_ours:from_ini("a", key=[1])')
    suite.makepyfile(
        setup_module_of_ours="""
            import os
            import happenings

            def from_ini(text, key): note("ini", text, key)
            def plain(): note("plain")
            class Nested:
                @staticmethod
                def method(number=0): note("method", number)

            def note(*what):
                happenings.note("calls", f"{os.environ['PYTEST_XDIST_WORKER']} {what}")
        """,
        conftest="""
            import happenings

            def pytest_parpool_worker_started(config, worker):
                assert config.workerinput["workerid"] == worker.id
                happenings.note("calls", f"{worker.id} {(worker.count, worker.testrunuid)}")
        """,
    )
    result = run(
        suite,
        "-n2",
        "--testrunuid=run-1",
        "--worker-initializer=setup_module_of_ours:plain",
        "--worker-initializer=setup_module_of_ours:Nested.method(number=-1)",
    )
    result.assert_outcomes(passed=10)
    calls = notes(suite, "calls")
    for worker in ("gw0", "gw1"):
        assert [line.removeprefix(f"{worker} ") for line in calls if line.startswith(worker)] == [
            "('ini', 'a', [1])",
            "('plain',)",
            "('method', -1)",
            "(2, 'run-1')",
        ]


@pytest.mark.start_method("fork")
def test_without_workers_there_is_nothing_to_initialize(suite: pytest.Pytester) -> None:
    """In this process the initializer is looked up, but not called."""
    suite.makepyfile(setup_module_of_ours="def fail(): raise AssertionError")
    result = run(suite, "-n0", "--worker-initializer=setup_module_of_ours:fail")
    result.assert_outcomes(passed=10)


@pytest.mark.parametrize("place", ["initializer", "hook"])
def test_a_failing_initializer_ends_the_run(suite: pytest.Pytester, place: str) -> None:
    """It is shown once, with its traceback; no worker is started for ever; the exit code is 3."""
    source = """
        import happenings

        def connect(*args, **kwargs):
            happenings.note("calls", "connect")
            raise ConnectionError("no database on port 5432")
    """
    arguments = []
    if place == "initializer":
        suite.makepyfile(setup_module_of_ours=source)
        arguments = ["--worker-initializer=setup_module_of_ours:connect"]
    else:
        suite.makeconftest(source + "\n        def pytest_parpool_worker_started(worker): connect()")
    result = run(suite, "-n4", *arguments)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    text = result.stdout.str() + result.stderr.str()
    assert text.count("ConnectionError: no database on port 5432") == 1
    assert text.count("in connect") == 1
    assert "starting worker 'gw" in text
    assert len(notes(suite, "calls")) <= 4
    result.assert_outcomes()


# --- Own schedulers ---------------------------------------------------------------------------------------------------


@pytest.mark.start_method("fork")
def test_an_own_scheduler_decides(suite: pytest.Pytester) -> None:
    """What ``pytest_parpool_make_scheduler`` returns hands out the tests, here backwards and to one worker only."""
    suite.makeconftest(
        TELLING_CONFTEST
        + """
    from pytest_parpool.model.ids import ItemIndex

    class Backwards:
        def __init__(self, count):
            self.left = [ItemIndex(number) for number in range(count)]

        def peek(self, worker):
            return self.left[-1] if self.left and worker == "gw1" else None

        def take(self, worker):
            return self.left.pop()

        def requeue(self, items, worker):
            self.left += reversed(items)

        def is_exhausted(self, worker):
            return not self.left or worker != "gw1"

        def remaining(self):
            return tuple(sorted(self.left))

    def pytest_parpool_make_scheduler(config, plan):
        assert len(config.option.tx) == 2
        return Backwards(len(plan))
"""
    )
    result = run(suite, "-n2")
    result.assert_outcomes(passed=10)
    assert [(worker, nodeid) for worker, _, _, nodeid in told(suite)] == [
        ("gw1", f"test_a.py::test_many[{number}]") for number in reversed(range(10))
    ]


@pytest.mark.start_method("fork")
@pytest.mark.parametrize("answer", ["42", "object()", "{}", "'load'"])
def test_what_is_no_scheduler_is_refused(suite: pytest.Pytester, answer: str) -> None:
    """Anything else is refused in one line that names the hook; nothing runs."""
    suite.makeconftest(TELLING_CONFTEST + f"\n    def pytest_parpool_make_scheduler(): return {answer}\n")
    result = run(suite, "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines + result.outlines if "pytest_parpool_make_scheduler" in line]
    assert len(errors) == 1
    assert errors[0].startswith("ERROR: pytest_parpool_make_scheduler: ")
    assert told(suite) == []


# --- Values that are not allowed --------------------------------------------------------------------------------------

BAD_OPTIONS = [
    ("-n", "some", "-n/--numprocesses: 'some'", "whole number >= 0, 'auto' or 'logical'"),
    ("-n", "-1", "-n/--numprocesses: -1", "whole number >= 0"),
    ("-n", "1.5", "-n/--numprocesses: '1.5'", "whole number >= 0"),
    ("--maxprocesses", "0", "--maxprocesses: 0", "whole number >= 1"),
    ("--maxprocesses", "two", "--maxprocesses: 'two'", "whole number >= 1"),
    ("--dist", "loads", "--dist: 'loads'", "one of load, worksteal, loadscope, loadfile, loadgroup, each, no"),
    ("--tx", "ssh=host", "--tx: 'ssh=host'", "'popen' or 'N*popen'"),
    ("--tx", "0*popen", "--tx: '0*popen'", "'popen' or 'N*popen'"),
    ("--max-worker-restart", "-1", "--max-worker-restart: -1", "whole number >= 0"),
    ("--max-worker-restart", "often", "--max-worker-restart: 'often'", "whole number >= 0"),
    ("--maxschedchunk", "0", "--maxschedchunk: 0", "whole number >= 1"),
    ("--start-method", "threads", "--start-method: 'threads'", "one of auto, fork"),
    ("--maxtasksperchild", "0", "--maxtasksperchild: 0", "whole number >= 1"),
    ("--shutdown-timeout", "0", "--shutdown-timeout: '0'", "seconds > 0"),
    ("--shutdown-timeout", "nan", "--shutdown-timeout: 'nan'", "seconds > 0"),
    ("--worker-initializer", "no colon", "--worker-initializer: 'no colon'", "pkg.mod:function"),
    ("--worker-initializer", "os:getpid(x)", "--worker-initializer: 'os:getpid(x)'", "literals"),
    ("--worker-initializer", "not_there:f", "--worker-initializer: 'not_there:f'", "importing 'not_there' raised"),
    ("--worker-initializer", "os:not_there", "--worker-initializer: 'os:not_there'", "has no 'not_there'"),
    ("--worker-initializer", "os:name", "--worker-initializer: 'os:name'", "not a function"),
    ("--px", "proxy", "--px: 'proxy'", "not offered"),
    ("--rsyncdir", "there", "--rsyncdir: 'there'", "not offered"),
]

BAD_INI_VALUES = [
    ("parpool_gc_freeze", "perhaps", "ini option parpool_gc_freeze", "true or false"),
    ("parpool_start_method", "threads", "ini option parpool_start_method: 'threads'", "one of auto, fork"),
    ("parpool_maxtasksperchild", "none", "ini option parpool_maxtasksperchild: 'none'", "whole number >= 1"),
    ("parpool_shutdown_timeout", "-1", "ini option parpool_shutdown_timeout: '-1'", "seconds > 0"),
    ("parpool_worker_initializer", "x", "ini option parpool_worker_initializer: 'x'", "pkg.mod:function"),
    ("parpool_leftovers", "ignore", "ini option parpool_leftovers: 'ignore'", "one of error, warn"),
]


def assert_refused(result: pytest.RunResult, named: str, allowed: str) -> None:
    """Check that one line says what is wrong, and that nothing else has happened."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.errlines if line]
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"ERROR: {named}")
    assert allowed in lines[0]
    assert "collected" not in result.stdout.str()


@pytest.mark.start_method("fork")
@pytest.mark.parametrize(("option", "value", "named", "allowed"), BAD_OPTIONS)
def test_a_bad_option_is_refused_in_one_line(
    pytester: pytest.Pytester, option: str, value: str, named: str, allowed: str
) -> None:
    """One line names the option, the value and what is allowed; exit 4, before any file of the suite is read."""
    pytester.makepyfile("raise AssertionError('collected')")
    arguments = ["-n2"] if option != "-n" else []
    assert_refused(run(pytester, *arguments, f"{option}={value}" if option != "-n" else f"-n{value}"), named, allowed)


@pytest.mark.start_method(None)
@pytest.mark.parametrize(("name", "value", "named", "allowed"), BAD_INI_VALUES)
def test_a_bad_ini_value_is_refused_in_one_line(
    pytester: pytest.Pytester, name: str, value: str, named: str, allowed: str
) -> None:
    """The same for ini values."""
    pytester.makepyfile("raise AssertionError('collected')")
    pytester.makeini(f"[pytest]\n{name} = {value}")
    assert_refused(run(pytester, "-n2"), named, allowed)


@pytest.mark.start_method("fork")
def test_a_bad_environment_variable_is_refused_in_one_line(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for the environment variable that ``-n auto`` looks at."""
    pytester.makepyfile("raise AssertionError('collected')")
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "many")
    result = pytester.runpytest_subprocess("-nauto", timeout=RUN_SECONDS)
    assert_refused(result, "environment variable PYTEST_XDIST_AUTO_NUM_WORKERS: 'many'", "whole number")


@pytest.mark.start_method("fork")
def test_too_few_open_files_are_found_before_the_fork(suite: pytest.Pytester) -> None:
    """One line names the limit and what to do, before any worker is there; exit 4."""
    suite.makepyfile(test_a=TEN_TESTS.replace("range(10)", "range(100)"))
    shell = f'ulimit -n 256; exec "{sys.executable}" -m pytest -n 64 -p no:cacheprovider'
    result = suite.run("sh", "-c", shell, timeout=RUN_SECONDS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines + result.outlines if "RLIMIT_NOFILE" in line]
    assert len(errors) == 1
    assert "64 workers" in errors[0]
    assert "allows 256" in errors[0]
    assert told(suite) == []
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
