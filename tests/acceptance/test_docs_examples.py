"""The examples of README and documentation do what the text beside them says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.acceptance.runs import RUN_SECONDS, run

# They say nothing of how workers start, but for two that go through most of what a suite does.
pytestmark = pytest.mark.start_method("fork")
for_both = pytest.mark.start_method("fork", "spawn")

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A code block: the page it stands on, without suffix and below ``docs``, its language and its text."""

    page: str
    language: str
    text: str


def blocks() -> Iterator[Block]:
    """Find the code blocks of all pages."""
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))):
        page = str(path.relative_to(DOCS).with_suffix("")) if DOCS in path.parents else path.stem
        for language, text in _BLOCK.findall(path.read_text(encoding="utf-8")):
            yield Block(page, language, text)


def python_of(page: str) -> list[str]:
    """Return the Python examples of a page."""
    return [block.text for block in blocks() if block.page == page and block.language == "python"]


def scripts_of(page: str) -> list[str]:
    """Return those of them that are scripts; what has no main guard is for pytest."""
    return [text for text in python_of(page) if "__main__" in text]


def pytest_commands() -> list[str]:
    """Return the arguments of every ``$ pytest ...`` line of the pages, each once."""
    commands: dict[str, None] = {}
    for block in blocks():
        if block.language == "console":
            for arguments in re.findall(r"^\$ (?:\S*/)?pytest\b *(.*)$", block.text, re.MULTILINE):
                commands[arguments] = None
    return list(commands)


def test_no_example_is_left_out() -> None:
    """Whoever adds an example to a page finds here that it has to be tried."""
    assert {(block.page, block.language) for block in blocks() if block.language in {"python", "ini"}} == {
        ("README", "python"),
        ("tutorial", "python"),
        ("how-to/choose-a-dist-mode", "python"),
        ("how-to/coordinate-tests", "python"),
        ("how-to/coordinate-tests", "ini"),
        ("how-to/distribute-calls", "python"),
        ("how-to/initialise-workers", "python"),
        ("how-to/initialise-workers", "ini"),
        ("how-to/measure-coverage", "ini"),
        ("how-to/recycle-workers", "ini"),
        ("how-to/share-objects-in-scripts", "python"),
    }


# --- Commands and settings --------------------------------------------------------------------------------------------


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with the names that the pages use."""
    for folder, files in {
        "myproject": {
            "__init__.py": "",
            "testing.py": "def connect(host='', port=0): pass\ndef seed(number): assert number == 1\n",
        },
        "tests": {
            "test_codec.py": "import pytest\n@pytest.mark.parametrize('size', ['huge'])\ndef test_decode(size): pass\n",
        },
    }.items():
        pytester.mkdir(folder)
        for name, text in files.items():
            (pytester.path / folder / name).write_text(text, encoding="utf-8")
    pytester.syspathinsert()
    return pytester


@pytest.mark.beside_others
@pytest.mark.parametrize("arguments", pytest_commands())
def test_commands_run(project: pytest.Pytester, arguments: str) -> None:
    """Every command line of the pages is one that pytest takes, in a project that has what it names."""
    result = run(project, *shlex.split(arguments))
    assert result.ret == 0
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "block", [block for block in blocks() if block.language == "ini"], ids=lambda block: block.page
)
def test_settings_are_taken(project: pytest.Pytester, block: Block) -> None:
    """Every ini file of the pages is one that pytest takes."""
    project.makeini(block.text)
    run(project, "-n", "1", "--strict-config").assert_outcomes(passed=1)


def test_ci_runs_the_commands_of_the_readme() -> None:
    """The README's two commands are all that CI calls, and each of them names something that can be run."""
    commands = [
        line
        for block in blocks()
        if (block.page, block.language) == ("README", "console")
        for line in block.text.split("\n")
    ]
    called = [line for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").split("\n") if "python" in line]
    assert [line for line in commands if line] == called
    assert len(called) == 2
    for line in called:
        _, script, command = line.split()
        assert f'"{command}": ' in (ROOT / script).read_text(encoding="utf-8")


# --- Python -----------------------------------------------------------------------------------------------------------


@for_both
def test_tutorial(pytester: pytest.Pytester) -> None:
    """Its suite passes but for one test, each worker has a directory, and a crash costs one test."""
    suite, crash, _ = python_of("tutorial")
    assert "time.sleep(0.5)" in suite
    # Nothing depends on how long they wait.
    pytester.makepyfile(test_wait=suite.replace("time.sleep(0.5)", "time.sleep(0.01)"))
    run(pytester).assert_outcomes(passed=8, failed=1)
    result = run(pytester, "-n", "4", "-v", f"--basetemp={pytester.path / 'base'}")
    result.assert_outcomes(passed=8, failed=1)
    result.stdout.fnmatch_lines(["parpool: 4 workers (*), load"])
    result.stdout.re_match_lines([r"\[gw\d\] \[ *\d+%\] PASSED test_wait.py::test_wait\[2\]"])
    result.stdout.re_match_lines([r"parpool: 4 workers, \d+ % busy, \d+\.\dx"])
    directories = {path.name for path in (pytester.path / "base").iterdir()}
    assert directories <= {"popen-gw0", "popen-gw1", "popen-gw2", "popen-gw3"}
    assert directories
    with (pytester.path / "test_wait.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n\n{crash}")
    result = run(pytester, "-n", "4")
    result.assert_outcomes(passed=8, failed=2)
    result.stdout.re_match_lines([r"worker 'gw\d' crashed while running 'test_wait.py::test_crash' \(exit code 3\)"])


def test_turns_of_the_tutorial(pytester: pytest.Pytester) -> None:
    """The ledger has every deposit; who only acquires is told so, and nobody hangs."""
    _, _, turns = python_of("tutorial")
    pytester.makepyfile(test_turns=turns)
    run(pytester, "-n", "4").assert_outcomes(passed=8)
    assert (pytester.path / "ledger.txt").read_text(encoding="utf-8") == "36"
    lock = 'parpool.lock("ledger")'
    pytester.makepyfile(test_turns=turns.replace(f"with {lock}:", f"if {lock}.acquire():"))
    result = run(pytester, "-n", "4")
    result.assert_outcomes(passed=8, errors=8)
    assert "test ended while holding: lock 'ledger', taken at test_turns.py:10" in result.stdout.str()


@pytest.mark.beside_others
def test_coverage_settings(pytester: pytest.Pytester) -> None:
    """With them a child that a test forks is measured, too, and so is what ends by ``os._exit``."""
    (settings,) = [
        block.text for block in blocks() if (block.page, block.language) == ("how-to/measure-coverage", "ini")
    ]
    (pytester.path / ".coveragerc").write_text(settings, encoding="utf-8")
    pytester.makepyfile(
        mypackage="""
        import os

        def leave():
            os._exit(0)
        """,
        test_child="""
        import os

        import mypackage

        def test_child():
            pid = os.fork()
            if not pid:
                mypackage.leave()
            assert os.waitpid(pid, 0)[1] == 0
        """,
    )
    result = run(pytester, "-n", "2", "--cov=mypackage", "--cov-report=term-missing")
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines([r"mypackage.py +\d+ +0 +100%"])


def test_bank_of_the_readme(pytester: pytest.Pytester) -> None:
    """The lock lets one test at a time into the bank."""
    (example,) = python_of("README")
    pytester.makeconftest(
        """
        import pathlib

        import pytest

        PLACE = pathlib.Path(__file__).parent / "inside"

        class Bank:
            def transfer(self, amount, payer, payee):
                PLACE.mkdir()
                PLACE.rmdir()

        @pytest.fixture
        def bank():
            return Bank()

        def pytest_generate_tests(metafunc):
            metafunc.fixturenames.append("number")
            metafunc.parametrize("number", range(20))
        """
    )
    pytester.makepyfile(example)
    run(pytester, "-n", "4").assert_outcomes(passed=20)


def test_coordinating(pytester: pytest.Pytester) -> None:
    """Each of the page's tests passes beside the others, with what it calls."""
    examples = python_of("how-to/coordinate-tests")
    pytester.makepyfile(
        test_them=f"""
import pathlib
import threading

PLACE = pathlib.Path(__file__).parent

def alone(what):
    (PLACE / what).mkdir()
    (PLACE / what).rmdir()

def rebuild_index():
    alone("index")

def open_index():
    alone("index")

def render():
    pass

def create_template():
    (PLACE / "template").mkdir()
    return "template"

class Node:
    def __init__(self, number):
        self.number = number

    def vote(self):
        return 2

{chr(10).join(examples)}

def test_index(index):
    pass

@pytest.mark.parametrize("number", range(4))
def test_template(template_database, number):
    assert template_database == "template"

def test_port(port, parpool):
    assert port == 20000
    assert parpool.counter("port").get() == 1
"""
    )
    # First those that have to be there at the same time: each of three workers gets one.
    run(pytester, "-n", "3", "-k", "election").assert_outcomes(passed=3, deselected=9)
    for mode in ("0", "3"):
        run(pytester, "-n", mode, "-k", "not election").assert_outcomes(passed=9, deselected=3)
        (pytester.path / "template").rmdir()


def test_groups(pytester: pytest.Pytester) -> None:
    """The tests of the group share a fixture in one worker, in their order."""
    (groups,) = python_of("how-to/choose-a-dist-mode")
    pytester.makeconftest(
        """
        import pytest

        class Ledger:
            amount = 0

            def deposit(self, amount):
                self.amount += amount
                return self.amount

            def withdraw(self, amount):
                return self.deposit(-amount)

        @pytest.fixture(scope="session")
        def ledger():
            return Ledger()
        """
    )
    pytester.makepyfile(groups)
    run(pytester, "-n", "2", "--dist", "loadgroup").assert_outcomes(passed=2)


@for_both
def test_initialising_workers(pytester: pytest.Pytester) -> None:
    """The session fixture and the hook prepare each worker under its own name."""
    fixture, hook = python_of("how-to/initialise-workers")
    pytester.makeconftest(
        f"""
import pytest

PORT = pytest.StashKey()

def create_database(name):
    open(name, "x").close()

def drop_database(name):
    import os
    os.rename(name, name + ".dropped")

{fixture}

{hook}
"""
    )
    pytester.makepyfile(
        """
        import os

        import pytest

        from conftest import PORT

        @pytest.mark.parametrize("number", range(4))
        def test_it(number, database, worker_id, pytestconfig):
            assert database == f"test_{worker_id}"
            assert os.path.exists(database)
            assert pytestconfig.stash[PORT] == 9000 + int(worker_id[2:])
        """
    )
    run(pytester, "-n", "2").assert_outcomes(passed=4)
    assert {path.name for path in pytester.path.glob("test_gw*")} <= {"test_gw0.dropped", "test_gw1.dropped"}


@pytest.mark.parametrize("mode", ["0", "2"])
def test_pools_of_tests(pytester: pytest.Pytester, mode: str) -> None:
    """The tests that use pools pass, with and without workers."""
    page = "how-to/distribute-calls"
    pages, experts = [text for text in python_of(page) if text not in scripts_of(page)]
    pytester.makepyfile(test_pages=pages, test_experts=experts)
    run(pytester, "-n", mode).assert_outcomes(passed=2)


def test_the_pool_of_the_standard_library_hangs() -> None:
    """What the page on our own pool shows is still so; else that page is to be thought over."""
    script = DOCS / "explanation" / "decisions" / "pool_hang.py"
    found = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=RUN_SECONDS, check=True)
    assert found.stdout == "hangs\n"


def test_the_scheduler_of_the_how_to(pytester: pytest.Pytester) -> None:
    """As a conftest it runs everything once: what is new comes first, then the longer of two with known durations."""
    pytester.makeconftest((DOCS / "how-to" / "longest_first.py").read_text(encoding="utf-8"))
    suite = pytester.makepyfile(
        """
        import time

        IMPORTED = time.monotonic()

        def test_medium(): time.sleep(0.05)
        def test_long(): time.sleep(2 * (time.monotonic() - IMPORTED))  # longer than all before it
        """
    )
    run(pytester, "-n", "1").assert_outcomes(passed=2)
    with suite.open("a", encoding="utf-8") as file:
        file.write("\ndef test_new(): pass\n")
    result = run(pytester, "-n", "1", "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*::test_new*", "*::test_long*", "*::test_medium*"])
    run(pytester, "-n", "2").assert_outcomes(passed=3)


def test_the_example_suite_passes(pytester: pytest.Pytester) -> None:
    """It passes with and without workers, and no test is left out."""
    suite = ["-p", "no:cacheprovider", f"--rootdir={ROOT}", str(ROOT / "examples")]
    plain = run(pytester, *suite).parseoutcomes()
    assert plain.keys() == {"passed"}
    assert run(pytester, *suite, "-n", "2").parseoutcomes() == plain
    assert run(pytester, *suite, "-n", "2", "--dist", "loadgroup").parseoutcomes() == plain


@pytest.mark.parametrize(
    ("page", "number"),
    [
        (page, number)
        for page in ("how-to/distribute-calls", "how-to/share-objects-in-scripts")
        for number in range(len(scripts_of(page)))
    ],
)
def test_scripts(tmp_path: Path, page: str, number: int) -> None:
    """Each script prints what stands below it."""
    outputs = [block.text for block in blocks() if block.page == page and block.language == "text"]
    (tmp_path / "script.py").write_text(scripts_of(page)[number], encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (result.stdout, result.returncode) == (outputs[number], 0), result.stderr
