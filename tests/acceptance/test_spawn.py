"""What a user sees of workers that are fresh interpreters: each collects for itself, and all mean the same tests."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

from tests.acceptance import openmp
from tests.acceptance.runs import (
    RUN_SECONDS,
    add_happenings,
    failure,
    notes,
    outcomes,
    prepare_environment,
    run,
    run_module,
)
from tests.acceptance.test_signals import Run, is_gone

pytestmark = [
    pytest.mark.start_method("spawn"),
    pytest.mark.skipif(sys.platform != "linux", reason="what is auto is asked here, too"),
]

IS_WORKER = "import os\nWORKER = os.environ.get('PYTEST_XDIST_WORKER')\n"


def said(result: pytest.RunResult) -> list[str]:
    """Return our own lines, without those of the header and the closing one."""
    return [
        line
        for line in result.outlines
        if line.startswith("parpool: ")
        and not re.match(r"parpool: (\d+ workers?[ ,]|pytest-xdist is|native libraries)", line)
    ]


# --- Matching ---------------------------------------------------------------------------------------------------------


@pytest.mark.whole_workers
def test_a_set_may_have_another_order_in_each_process(pytester: pytest.Pytester) -> None:
    """Tests are found by their ids; of those whose ids only count a set's members, each member has its test as well."""
    add_happenings(pytester)
    pytester.makeconftest(
        IS_WORKER + "def pytest_collection_modifyitems(items):\n    if WORKER == 'gw1': items.reverse()\n"
    )
    pytester.makepyfile(
        """
        import pytest

        import happenings

        class Case:
            def __init__(self, name): self.name = name
            def __hash__(self): return hash(self.name)
            def __eq__(self, other): return self.name == other.name

        NAMES = {f"name{number}" for number in range(12)}

        @pytest.mark.parametrize("name", NAMES)
        def test_name(name, request):
            assert request.node.name == f"test_name[{name}]"

        @pytest.mark.parametrize("case", {Case(name) for name in NAMES})
        def test_case(case):
            happenings.note("cases", case.name)
        """
    )
    result = run(pytester, "-n", "2", "-p", "no:randomly")
    result.assert_outcomes(passed=24)
    assert sorted(notes(pytester, "cases")) == sorted(f"name{number}" for number in range(12))
    assert said(result) == []


def test_ids_that_occur_twice_are_two_tests(pytester: pytest.Pytester) -> None:
    """The n-th of a process is the n-th of all others, also in another order."""
    add_happenings(pytester)
    pytester.makeconftest(
        IS_WORKER + "def pytest_collection_modifyitems(items):\n    if WORKER: items.sort(key=lambda item: item.name)\n"
    )
    pytester.makepyfile(
        test_a="import happenings\n"
        "def test_one(): happenings.note('runs', 1)\ndef test_two(): happenings.note('runs', 2)\n"
    )
    result = run(pytester, "-n", "2", "--keep-duplicates", "test_a.py", "test_a.py")
    result.assert_outcomes(passed=4)
    assert sorted(notes(pytester, "runs")) == ["1", "1", "2", "2"]


def test_a_test_that_one_worker_lacks_is_an_error(pytester: pytest.Pytester) -> None:
    """That test alone, whoever is given it, with an explanation; all others run."""
    pytester.makeconftest(
        IS_WORKER + "def pytest_collection_modifyitems(items):\n    if WORKER == 'gw1': del items[1]\n"
    )
    pytester.makepyfile(test_a="".join(f"def test_{name}(): pass\n" for name in "abcd"))
    result = run(pytester, "-n", "2", "-v", "--junitxml=report.xml")
    result.assert_outcomes(passed=3, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes(result)["test_b"] == ["ERROR"]
    (line,) = said(result)
    assert line.startswith(
        "parpool: gw1 collected other tests than the controller: 1 missing, the first 'test_a.py::test_b' (usual"
    )
    shown = failure(result, "ERROR at setup of test_b")
    assert "test_a.py::test_b was collected by the controller, but not by gw1, so it is not run" in shown
    assert "refused_item" not in shown
    report = (pytester.path / "report.xml").read_text(encoding="utf-8")
    assert 'errors="1"' in report
    assert 'classname="test_a" name="test_b"' in report


def test_a_test_that_only_a_worker_has_is_not_run(pytester: pytest.Pytester) -> None:
    """It is told, and nothing fails by it."""
    pytester.makepyfile(
        IS_WORKER + "def test_a(): pass\ndef test_b(): pass\nif WORKER == 'gw0':\n    def test_mine(): assert 0\n"
    )
    result = run(pytester, "-n", "2", "-v")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    (line,) = said(result)
    assert "gw0 collected other tests than the controller: 1 of its own, the first" in line
    assert "::test_mine' (usual causes: " in line


def test_a_replacement_that_lacks_a_test_says_so(pytester: pytest.Pytester) -> None:
    """What the first workers knew, and a later one does not, is an error in that one."""
    add_happenings(pytester)
    pytester.makepyfile(
        """
        import os

        import happenings

        def test_dying():
            happenings.tell("dying")
            os._exit(3)

        if not happenings.has_happened("dying"):
            def test_lacking(): pass

        def test_last(): pass
        """
    )
    result = run(pytester, "-n", "1")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    assert "but not by gw0, so it is not run" in failure(result, "ERROR at setup of test_lacking")


def test_dist_each_means_every_test_of_every_worker(pytester: pytest.Pytester) -> None:
    """Each worker runs all tests, in the controller's order, whatever its own is."""
    add_happenings(pytester)
    pytester.makeconftest(
        IS_WORKER + "def pytest_collection_modifyitems(items):\n    if WORKER == 'gw1': items.reverse()\n"
    )
    pytester.makepyfile(
        """
        import pytest

        import happenings

        @pytest.mark.parametrize("number", range(4))
        def test_number(number, worker_id): happenings.note(worker_id, number)
        """
    )
    run(pytester, "-n", "2", "--dist=each").assert_outcomes(passed=8)
    assert notes(pytester, "gw0") == notes(pytester, "gw1") == ["0", "1", "2", "3"]


# --- Collections that fail in workers only ----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["in all", "in one"])
@pytest.mark.parametrize("options", [(), ("-x",)], ids=["", "-x"])
def test_a_module_that_workers_cannot_import(pytester: pytest.Pytester, where: str, options: tuple[str, ...]) -> None:
    """Its tests are errors, the worker's own error is shown once, and the tests of other modules run."""
    condition = "WORKER" if where == "in all" else "WORKER == 'gw1'"
    pytester.makepyfile(
        test_a=IS_WORKER + f"if {condition}: raise ImportError('not here')\ndef test_a(): pass",
        test_b="def test_b(): pass\ndef test_c(): pass",
    )
    result = run(pytester, "-n", "2", *options)
    if options:
        assert result.ret == pytest.ExitCode.TESTS_FAILED
    else:
        result.assert_outcomes(passed=2, errors=1)
    assert result.stdout.str().count("E   ImportError: not here") == 1
    shown = failure(result, "ERROR at setup of test_a")
    assert re.search(r"test_a\.py::test_a was collected by the controller, but not by (gw\d(, )?)+, so", shown)
    assert "there were errors in the collection of gw" in shown


def test_a_worker_that_dies_while_collecting_is_replaced(pytester: pytest.Pytester) -> None:
    """Once is no harm: everything runs, also in the others, which have waited for it."""
    add_happenings(pytester)
    pytester.makepyfile(
        test_a=IS_WORKER
        + """
import happenings

if WORKER == "gw0" and not happenings.has_happened("death"):
    happenings.tell("death")
    os._exit(7)

def test_a(): pass
def test_b(worker_id): pass
"""
    )
    result = run(pytester, "-n", "2")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    assert said(result) == [
        "parpool: worker 'gw0' died while it ran no test (exit code 7); it is replaced if work is left"
    ]


def test_workers_that_always_die_while_collecting_end_the_run(pytester: pytest.Pytester) -> None:
    """After so many deaths it is given up, and all tests are named."""
    pytester.makepyfile(IS_WORKER + "if WORKER: os._exit(7)\ndef test_a(): pass\ndef test_b(): pass")
    result = run(pytester, "-n", "2", "--max-worker-restart=2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["parpool: 2 tests were not run:", "*maximum number of crashed workers reached*"])
    assert not any("tearing down" in line for line in said(result))


@pytest.mark.parametrize(
    ("conftest", "code", "shown"),
    [
        pytest.param(
            "if WORKER: raise ValueError('not here')", 3, "INTERNALERROR> ValueError: not here", id="conftest"
        ),
        pytest.param(
            "def pytest_configure():\n    if WORKER: raise ValueError('not here')",
            3,
            "INTERNALERROR> ValueError: not here",
            id="configure",
        ),
        pytest.param(
            "def pytest_collection_modifyitems():\n    if WORKER: raise ValueError('not here')",
            3,
            "INTERNALERROR> ValueError: not here",
            id="collection",
        ),
        pytest.param(
            "import pytest\ndef pytest_cmdline_main():\n    if WORKER: raise pytest.UsageError('not here')",
            3,
            "INTERNALERROR> *UsageError: not here",
            id="usage error",
        ),
        pytest.param(
            "import pytest\ndef pytest_configure():\n    if WORKER: pytest.exit('enough', returncode=9)",
            9,
            "*Exit: enough*",
            id="exit in configure",
        ),
        pytest.param(
            "import pytest\ndef pytest_collection_modifyitems():\n    if WORKER: pytest.exit('enough', returncode=9)",
            9,
            "*Exit: enough*",
            id="exit in collection",
        ),
        pytest.param(
            "def pytest_collection_modifyitems():\n    if WORKER: raise KeyboardInterrupt",
            2,
            "*KeyboardInterrupt*",
            id="interrupt",
        ),
    ],
)
def test_a_worker_that_cannot_start_ends_the_run(
    pytester: pytest.Pytester, conftest: str, code: int, shown: str
) -> None:
    """The message, or the traceback, and the exit code are those of what happened there."""
    pytester.makeconftest(IS_WORKER + conftest)
    pytester.makepyfile("def test_a(): pass\ndef test_b(): pass")
    result = run(pytester, "-n", "2")
    assert result.ret == code
    result.stdout.fnmatch_lines([shown])
    assert "before it came to the tests" not in result.stdout.str()
    assert "died" not in result.stdout.str()
    assert "ImportError while loading conftest" not in result.stderr.str()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.whole_workers
def test_an_interrupt_while_workers_collect(pytester: pytest.Pytester, number: signal.Signals) -> None:
    """They break off at once, unconfigure, and leave; nobody is killed, and the exit code is 2."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import happenings

        def pytest_unconfigure(config):
            if hasattr(config, "workerinput"):
                happenings.tell("unconfigured-" + config.workerinput["workerid"])
        """
    )
    pytester.makepyfile(
        test_a=IS_WORKER
        + """
import happenings

if WORKER:
    happenings.tell(f"collecting-{WORKER}", os.getpid())
    happenings.wait_for("never")

def test_a(): pass
def test_b(): pass
"""
    )
    with Run(pytester.path, "-p", "no:cacheprovider", "-n2", "--shutdown-timeout=100") as started:
        started.wait_for("collecting-gw0.happened", "collecting-gw1.happened")
        started.send(number)
        assert started.exit_code() == pytest.ExitCode.INTERRUPTED
        output = started.output()
        assert "KeyboardInterrupt" in output
        assert "INTERNALERROR" not in output
        assert "Traceback" not in output
        assert "killed" not in output
        assert "died" not in output
        for worker in ("gw0", "gw1"):
            assert (pytester.path / f"unconfigured-{worker}.happened").exists()
            assert is_gone(int((pytester.path / f"collecting-{worker}.happened").read_text()))


def test_a_stop_while_a_replacement_collects(pytester: pytest.Pytester) -> None:
    """A failure under ``-x`` stops the run; who was being born is let go, and runs nothing."""
    add_happenings(pytester)
    pytester.makepyfile(
        test_a=IS_WORKER
        + """
import happenings

if WORKER == "gw0" and happenings.has_happened("dead"):
    happenings.tell("collecting")
    happenings.wait_for("failing")

def test_dying():
    happenings.wait_for("other")
    happenings.tell("dead")
    os._exit(3)

def test_failing():
    happenings.tell("other")
    happenings.wait_for("collecting")
    happenings.tell("failing")
    assert 0

def test_last(): happenings.tell("last")
"""
    )
    result = run(pytester, "-n", "2", "--maxfail=2", "--maxschedchunk=1")
    result.assert_outcomes(failed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "stopping after 2 failures" in result.stdout.str()
    assert not (pytester.path / "last.happened").exists()


# --- As in a plain run ------------------------------------------------------------------------------------------------

SUITE = {
    "conftest": """
        import sys
        import pathlib

        import pytest

        sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

        def pytest_addoption(parser):
            parser.addoption("--greeting", default="none")
            parser.addini("own_ini", "an ini option", default="none")

        @pytest.fixture
        def greeting(pytestconfig):
            return pytestconfig.getoption("--greeting"), pytestconfig.getini("own_ini")
    """,
    "lib/found_by_path": "VALUE = 1",
    "own_plugin": """
        import pytest

        @pytest.fixture
        def from_plugin():
            return "plugin"
    """,
    "test_kinds": '''
        import pathlib
        import sys
        import unittest
        import warnings

        import pytest
        from found_by_path import VALUE

        CASES = {"x", "y", "z"}

        def setup_module(module):
            module.prepared = True

        class TestXunit:
            def setup_method(self, method):
                self.method = method.__name__

            def test_xunit(self):
                assert prepared and self.method == "test_xunit"

        class TestUnit(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.value = VALUE

            def test_unit(self):
                self.assertEqual(self.value, 1)

            @unittest.expectedFailure
            def test_expected(self):
                self.fail()

            def test_subtests(self):
                for number in range(3):
                    with self.subTest(number=number):
                        self.assertNotEqual(number, 1)

        def documented():
            """
            >>> documented()
            3
            """
            return 3

        @pytest.mark.parametrize("case", CASES)
        def test_case(case):
            assert case != "y"

        @pytest.mark.slow
        def test_slow(): pass

        def test_warning():
            warnings.warn("a warning of a test", UserWarning)

        @pytest.mark.xfail
        def test_xfail(): assert 0

        @pytest.mark.xfail
        def test_xpass(): pass

        def test_skip(): pytest.skip("a reason")

        def test_temporary(tmp_path):
            (tmp_path / "file").touch()

        def test_greeting(greeting):
            assert greeting == ("none", "none")

        def test_printed():
            print("printed by a test")
            print("on the other stream", file=sys.stderr)
            assert 0

        def test_recursion(record_property):
            record_property("key", "value")
    ''',
    "sub/conftest": """
        import os

        os.chdir(os.path.dirname(__file__))
    """,
    "sub/test_in_sub": """
        import os

        def test_directory():
            assert os.path.basename(os.getcwd()) == "sub"
    """,
}


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite with tests of many kinds, some of which fail."""
    for folder in ("lib", "sub"):
        pytester.mkdir(folder)
    pytester.makepyfile(**SUITE)
    pytester.makeini("[pytest]\nmarkers = slow\njunit_family = legacy\n")
    return pytester


def results(path: Path) -> list[tuple[str, str, list[str]]]:
    """Return each test's name and result from a file of ``--junitxml``."""
    import xml.etree.ElementTree as ET

    (found,) = ET.fromstring(path.read_text(encoding="utf-8"))
    return sorted((case.attrib["classname"], case.attrib["name"], [child.tag for child in case]) for case in found)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="nothing"),
        pytest.param(
            ("-k", "case or unit", "--deselect", "test_kinds.py::test_case[y]", "--import-mode=importlib"), id="-k"
        ),
        pytest.param(("-m", "not slow", "-o", "xfail_strict=true", "-o", "own_ini=1", "--greeting=hello"), id="-m -o"),
        pytest.param(("-W", "error", "-p", "own_plugin", "-p", "no:terminal"), id="-W error"),
        pytest.param(("--doctest-modules", "--basetemp=own-temp", "--capture=sys", "-rA"), id="doctests"),
        pytest.param(("--rootdir=sub", "test_kinds.py", "sub", "--tb=short"), id="--rootdir"),
        pytest.param(("--maxtasksperchild=7", "--log-level=DEBUG"), id="replacements"),
    ],
)
@pytest.mark.whole_workers
def test_outcomes_are_those_of_a_plain_run(suite: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """Whatever is asked for: exit code, counts, and each test's result."""
    paths = [suite.path / "plain.xml", suite.path / "parallel.xml"]
    plain = run(suite, *arguments, f"--junitxml={paths[0]}", "-p", "no:cacheprovider")
    parallel = run(suite, *arguments, "-n", "2", f"--junitxml={paths[1]}", "-p", "no:cacheprovider")
    assert parallel.ret == plain.ret
    if "no:terminal" not in arguments:
        assert parallel.parseoutcomes() == plain.parseoutcomes()
    expected = results(paths[0])
    assert len(expected) >= 5
    assert results(paths[1]) == expected
    assert said(parallel) == []


@pytest.mark.parametrize("arguments", [("--ff",), ("--lf", "--cache-clear")], ids=["ff", "lf cleared"])
def test_the_last_run_is_remembered(suite: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """A second run with workers goes on as a second plain run does; each has a first one of its kind before it."""
    counts = []
    for workers in ((), ("-n", "2")):
        cache = f"cache_dir=cache{len(workers)}"
        run(suite, *workers, "-o", cache, "-k", "case or xunit or printed")
        second = run(suite, *workers, "-o", cache, *arguments)
        counts.append((second.ret, second.parseoutcomes()))
    assert counts[0] == counts[1]


@pytest.mark.whole_workers
def test_output_is_not_swallowed_without_capture(pytester: pytest.Pytester) -> None:
    """With ``-s`` what tests print arrives, once; else nothing that workers print beside tests does."""
    pytester.makeconftest("print('printed by a conftest')")
    pytester.makepyfile("def test_a(): print('printed by a')\ndef test_b(): print('printed by b')")
    shown = run(pytester, "-n", "2", "-s")
    shown.assert_outcomes(passed=2)
    for name in "ab":
        assert shown.stdout.str().count(f"printed by {name}") == 1 + (name == "a") * 3
    captured = run(pytester, "-n", "2")
    captured.assert_outcomes(passed=2)
    assert "printed by a test" not in captured.stdout.str()


def test_what_is_written_at_the_end_comes_once(pytester: pytest.Pytester) -> None:
    """Summaries and headers of plugins, and files for the whole run, are the controller's."""
    pytester.makeconftest(
        """
        import logging

        def pytest_report_header():
            return "a header"

        def pytest_terminal_summary(terminalreporter):
            terminalreporter.write_line("a summary")

        def pytest_configure():
            logging.getLogger().warning("configured")
        """
    )
    pytester.makepyfile(
        """
        import logging

        def test_a(): logging.warning("logged by a")
        def test_b(): logging.warning("logged by b")
        """
    )
    (pytester.path / "run.log").write_text("of an earlier run")
    result = run(pytester, "-n", "2", "--log-file=run.log", "--log-file-mode=w", "--durations=1")
    result.assert_outcomes(passed=2)
    for text in ("a header", "a summary", "slowest 1 durations"):
        assert result.stdout.str().count(text) == 1
    log = (pytester.path / "run.log").read_text()
    assert "of an earlier run" not in log
    assert log.count("logged by a") == log.count("logged by b") == 1


@pytest.mark.whole_workers
def test_options_come_from_everywhere(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTEST_ADDOPTS``, ``PYTEST_PLUGINS``, a file of arguments, and the interpreter's own options reach workers."""
    pytester.makepyfile(
        own_plugin="import pytest\n@pytest.fixture\ndef from_plugin(): return 'plugin'",
        test_a="""
        import os
        import sys

        def test_options(from_plugin, pytestconfig, worker_id):
            assert worker_id == "gw0"
            assert pytestconfig.getoption("maxfail") == 3
            assert pytestconfig.getini("xfail_strict")
            assert sys.flags.utf8_mode and sys.flags.dev_mode and sys._xoptions["own"] == "1"
            assert "error::FutureWarning" in sys.warnoptions
            assert sys.path.count(os.getcwd()) >= 1
        """,
    )
    (pytester.path / "options.txt").write_text("--maxfail=3\n")
    monkeypatch.setenv("PYTEST_PLUGINS", "own_plugin")
    monkeypatch.setenv("PYTHONUTF8", "1")
    options = ("-X", "dev", "-X", "own=1", "-W", "error::FutureWarning")
    result = pytester.run(
        *(sys.executable, *options, "-m", "pytest", "-n1", "--start-method=spawn"),
        *("@options.txt", "-o", "xfail_strict=true", "-p", "no:cacheprovider"),
        timeout=60,
    )
    result.assert_outcomes(passed=1)


@pytest.mark.whole_workers
def test_a_module_of_the_directory_is_found(pytester: pytest.Pytester) -> None:
    """With ``python -m pytest`` the directory is on the path, in workers too; and a path is relative to it."""
    tests = pytester.mkdir("tests")
    (tests / "test_a.py").write_text("import own\n\ndef test_a(): assert own.VALUE == 1\ndef test_b(): pass\n")
    pytester.makepyfile(own="VALUE = 1")
    result = run_module(pytester, "pytest", "-n", "2", "tests", "--import-mode=importlib", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)


MAIN_MODULE = """
import multiprocessing
import sys

import happenings


def note(where):
    main = sys.modules["__main__"]
    file, name = getattr(main, "__file__", None), getattr(main.__spec__, "name", None)
    happenings.note(where, [main.__name__, file, main.__package__, name])


def test_main():
    note("test")


def test_child():
    child = multiprocessing.get_context("spawn").Process(target=note, args=["child"])
    child.start()
    child.join()
    assert child.exitcode == 0
"""


@pytest.mark.parametrize(
    "way", [["-m", "pytest"], ["-m", "own.program"], ["program.py"], ["-c", "SOURCE"]], ids=" ".join
)
def test_the_main_module_is_that_of_the_run(pytester: pytest.Pytester, way: list[str]) -> None:
    """Libraries name a program after its file, and processes that tests start ask what they have to import."""
    source = "import sys\nimport pytest\nif __name__ == '__main__':\n    sys.exit(pytest.main())\n"
    add_happenings(pytester)
    own = pytester.mkpydir("own")
    for folder in (own, pytester.path):
        (folder / "program.py").write_text(source)
    pytester.makepyfile(test_main=MAIN_MODULE)
    command = [sys.executable, *way[:-1], way[-1].replace("SOURCE", source), "-p", "no:cacheprovider"]
    for arguments in ([], ["-n", "1"]):
        with pytest.MonkeyPatch.context() as patch:
            prepare_environment(patch, arguments)
            pytester.run(*command, *arguments, timeout=RUN_SECONDS).assert_outcomes(passed=2)
    for where in ("test", "child"):
        plain, on_worker = notes(pytester, where)
        assert on_worker == plain


@pytest.mark.whole_workers
def test_a_program_may_run_pytest_again_and_again(pytester: pytest.Pytester) -> None:
    """In any thread, with a plugin by its name; nothing is left open, and its main module is not imported again."""
    pytester.makepyfile(
        named="import pytest\n@pytest.fixture\ndef from_named(): return 1",
        test_a="def test_a(from_named): pass\ndef test_b(from_named): pass",
        program="""
        import gc
        import os
        import threading

        import pytest

        def run():
            codes.append(pytest.main(["-n2", "-p", "no:cacheprovider"], plugins=["named"]))
            gc.collect()  # Memory that was shared with workers is as old as pytest's configuration.
            counts.append(len(os.listdir("/proc/self/fd")))

        print("imported")
        codes, counts = [], []
        for _ in range(2):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        run()
        assert codes == [0, 0, 0] and len(set(counts)) == 1, (codes, counts)
        """,
    )
    result = run_module(pytester, "program")
    assert result.ret == 0
    assert result.outlines.count("imported") == 1
    assert result.stdout.str().count("2 passed") == 3


# --- Why workers are spawned ------------------------------------------------------------------------------------------


@pytest.mark.start_method(None)
@pytest.mark.whole_workers
def test_a_project_that_reads_the_workers_id_at_import(pytester: pytest.Pytester) -> None:
    """File and line are told, and each worker sees its own id there, in its collection and in its tests."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import os

        DATABASE = "test_" + os.environ.get("PYTEST_XDIST_WORKER", "master")
        """
    )
    pytester.makepyfile(
        """
        import pytest

        import happenings
        from conftest import DATABASE

        @pytest.mark.parametrize("number", range(2))
        def test_database(number, worker_id):
            happenings.tell(f"met-{worker_id}")
            happenings.wait_until(lambda: all(map(happenings.has_happened, ("met-gw0", "met-gw1"))))
            assert DATABASE == f"test_{worker_id}"
            happenings.note("databases", DATABASE)
        """
    )
    result = run(pytester, "-n", "2")
    result.assert_outcomes(passed=2)
    assert sorted(notes(pytester, "databases")) == ["test_gw0", "test_gw1"]
    (line,) = said(result)
    assert line == (
        "parpool: workers are spawned, not forked, because conftest.py:3 reads PYTEST_XDIST_WORKER at import, "
        "which forked ones do not repeat"
    )
    plain = run(pytester, "-n", "2", "--start-method=spawn")
    assert said(plain) == []


@pytest.mark.start_method(None)
@pytest.mark.parametrize(
    ("conftest", "reason"),
    [
        pytest.param(
            """
            import threading

            def watch(): threading.Event().wait()

            threading.Thread(target=watch, name="watcher", daemon=True).start()
            """,
            r"the thread 'watcher' \(conftest\.watch, conftest\.py:3\) would be missing in forked ones",
            id="thread",
        ),
        pytest.param(
            """
            import socket

            SERVER = socket.create_server(("127.0.0.1", 0))
            """,
            r"the listening socket at 127\.0\.0\.1:\d+ would be shared by forked ones",
            id="socket",
        ),
    ],
)
@pytest.mark.whole_workers
def test_what_a_fork_would_break_is_spawned(pytester: pytest.Pytester, conftest: str, reason: str) -> None:
    """With one line that names it; each worker has its own, and all tests pass."""
    pytester.makeconftest(conftest)
    pytester.makepyfile(
        """
        import threading

        import pytest

        import conftest

        @pytest.mark.parametrize("number", range(4))
        def test_own(number):
            if hasattr(conftest, "SERVER"):
                assert conftest.SERVER.getsockname()[1]
            else:
                assert "watcher" in [thread.name for thread in threading.enumerate()]
        """
    )
    result = run(pytester, "-n", "2")
    result.assert_outcomes(passed=4)
    (line,) = said(result)
    assert re.fullmatch(f"parpool: workers are spawned, not forked, because {reason}", line)


@pytest.mark.start_method(None)
@pytest.mark.whole_workers
def test_a_project_with_an_openmp_library_runs_by_itself(pytester: pytest.Pytester) -> None:
    """Its threads in the controller, which would not survive a fork, are found; in each worker they start anew."""
    library = openmp.build(pytester.path)
    if library is None:
        pytest.skip("no C compiler")
    pytester.makepyfile(
        f"""
        import ctypes

        import pytest

        REGION = ctypes.CDLL({str(library)!r}).run_parallel_region
        assert REGION() == 2

        @pytest.mark.parametrize("number", range(4))
        def test_region(number): assert REGION() == 2
        """
    )
    result = run(pytester, "-n", "2")
    result.assert_outcomes(passed=4)
    (line,) = said(result)
    assert re.match(
        r"parpool: workers are spawned, not forked, because native threads would be missing in forked ones: .*gomp",
        line,
    )


NAMED_AND_OPENED = """
kept = {}


def pytest_configure(config):
    kept["name"] = getattr(config, "workerinput", {"workerid": "master"})["workerid"]


def pytest_sessionstart():
    kept["database"] = f"database of {kept['name']}"
"""


@pytest.mark.start_method(None)
@pytest.mark.parametrize("option", [(), ("-o", "parpool_rerun_hooks=conftest.py")], ids=" ".join)
def test_a_session_that_starts_with_what_was_configured(pytester: pytest.Pytester, option: tuple[str, ...]) -> None:
    """As SQLAlchemy's: one hook looks whose database it is, the next opens it. Each worker has its own."""
    pytester.makeconftest(NAMED_AND_OPENED)
    pytester.makepyfile(
        """
        from conftest import kept

        def test_database(worker_id):
            assert kept["database"] == f"database of {worker_id}"
        """
    )
    result = run(pytester, "-n", "1", *option)
    result.assert_outcomes(passed=1)
    reason = (
        "pytest_configure of 'conftest.py' looks at a worker's identity, and its pytest_sessionstart, which may use "
        "what comes of that, would not run again in forked ones"
    )
    assert said(result) == ([] if option else [f"parpool: workers are spawned, not forked, because {reason}"])


@pytest.mark.start_method(None)
@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("pytest_sessionstart", "opened"),
        ("pytest_sessionstart():", "pytest_sessionstart(session):\n    session.config.option.workerinput = 1"),
        ("workerinput", "rootpath"),
    ],
    ids=["one hook", "both look", "none looks"],
)
def test_a_session_that_starts_as_it_should_is_forked(pytester: pytest.Pytester, change: str, to: str) -> None:
    """Where nothing, or all of it, runs again."""
    conftest = NAMED_AND_OPENED.replace('{"workerid": "master"})["workerid"]', "None)")
    pytester.makeconftest(conftest.replace(change, to))
    pytester.makepyfile("def test_it(): pass")
    result = run(pytester, "-n", "1")
    result.assert_outcomes(passed=1)
    assert said(result) == []


@pytest.mark.start_method(None)
def test_an_installed_plugin_starts_sessions_as_it_likes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written for workers."""
    place = pytester.mkdir("site-packages")
    (place / "installed.py").write_text(NAMED_AND_OPENED)
    monkeypatch.setenv("PYTHONPATH", str(place))
    pytester.makepyfile("def test_it(): pass")
    result = run(pytester, "-n", "1", "-p", "installed")
    result.assert_outcomes(passed=1)
    assert said(result) == []


# --- What a project makes for itself ----------------------------------------------------------------------------------


@pytest.mark.start_method("fork", "spawn")
@pytest.mark.whole_workers
def test_a_resource_from_configure_to_unconfigure(pytester: pytest.Pytester, start_method: str) -> None:
    """It is there for every test, and its maker alone removes it: the controller if forked, or guarded by hand."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import pathlib
        import shutil

        import happenings

        def pytest_configure(config):
            worker = getattr(config, "workerinput", {}).get("workerid", "controller")
            config.resource = pathlib.Path(f"resource-{worker}")
            config.resource.mkdir()
            happenings.note("made", worker)

        def pytest_unconfigure(config):
            worker = getattr(config, "workerinput", {}).get("workerid", "controller")
            happenings.note("removed", worker)
            shutil.rmtree(f"resource-{worker}")
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_there(number, pytestconfig, worker_id):
            assert pytestconfig.resource.name == f"resource-{worker_id}"
            assert pytestconfig.resource.is_dir()
        """
    )
    result = run(pytester, "-n", "2", "--maxtasksperchild=2", "--dist=load")
    result.assert_outcomes(passed=6)
    assert result.ret == pytest.ExitCode.OK
    made, removed = notes(pytester, "made"), notes(pytester, "removed")
    assert sorted(made) == sorted(removed)
    assert made.count("controller") == 1
    assert removed[-1] == "controller"
    assert set(made) == {"controller", "gw0", "gw1"}
    assert not list(pytester.path.glob("resource-*"))


@pytest.mark.start_method("fork", "spawn")
@pytest.mark.whole_workers
def test_an_unguarded_resource_is_its_process_s_own(pytester: pytest.Pytester, start_method: str) -> None:
    """Made without a look at who makes it: once if workers are forked, and by each process for itself if spawned."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import os

        import happenings

        def pytest_configure(config):
            config.resource_pid = os.getpid()
            happenings.note("made", os.getpid())

        def pytest_unconfigure(config):
            assert config.resource_pid == os.getpid()
            happenings.note("removed", os.getpid())
        """
    )
    pytester.makepyfile(
        """
        import os

        import pytest

        import happenings

        @pytest.mark.parametrize("number", range(2))
        def test_there(number, pytestconfig, worker_id):
            happenings.tell(f"met-{worker_id}")
            happenings.wait_until(lambda: all(map(happenings.has_happened, ("met-gw0", "met-gw1"))))
            happenings.note("own", pytestconfig.resource_pid == os.getpid())
        """
    )
    result = run(pytester, "-n", "2")
    result.assert_outcomes(passed=2)
    made, removed = notes(pytester, "made"), notes(pytester, "removed")
    assert sorted(made) == sorted(removed)
    assert len(made) == (1 if start_method == "fork" else 3)
    assert notes(pytester, "own") == [str(start_method == "spawn")] * 2
