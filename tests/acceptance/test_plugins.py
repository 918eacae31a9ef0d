"""Other people's plugins, each in a small real project: what it reports with workers is what it reports without.

They are not in the environment that this suite runs in, where pytest would load them into every run. They lie in a
directory of their own, which only these runs look into.
"""

from __future__ import annotations

import collections
import json
import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.runs import RUN_SECONDS, add_happenings, failure, notes, prepare_environment, start_prepared

pytestmark = pytest.mark.beside_others

# Set by whoever installs them: tools/dev.py, tox.
VARIABLE = "PARPOOL_TEST_PLUGINS"

# Behind everything else, so that pytest and ourselves are those of the environment.
START = """
import os
import sys

sys.path.append(os.environ["PARPOOL_TEST_PLUGINS"])

import pytest

sys.exit(pytest.main())
"""

WITH_WORKERS = [("-n", "2"), ("-n", "2", "--maxtasksperchild", "1")]
with_workers = pytest.mark.parametrize("workers", WITH_WORKERS, ids=["workers", "replacements"])


class Project:
    """A suite that is run with some plugins and no others.

    Args:
        pytester: Has the suite's files.
        plugins: By the names of their entry points.
    """

    def __init__(self, pytester: pytest.Pytester, *plugins: str) -> None:
        self._pytester = pytester
        self._plugins = ("parpool", *plugins)
        pytester.makefile(".py", start=START)
        add_happenings(pytester)

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run the suite; a run that hangs fails the test."""
        loaded = [argument for name in self._plugins for argument in ("-p", name)]
        with pytest.MonkeyPatch.context() as patch:
            prepare_environment(patch, arguments)
            start_prepared(patch, self._pytester)
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            return self._pytester.run(
                sys.executable, "start.py", *loaded, "-p", "no:cacheprovider", *arguments, timeout=RUN_SECONDS
            )

    def run_plain(self, *arguments: str) -> pytest.RunResult:
        """Run the suite without workers, for what it says and for the files that it writes.

        The same suite says and writes the same again, but for the directory's name: it is run once, however many runs
        with workers are compared with it. Files that are put back name the directory of that run.
        """
        place = self._pytester.path
        before = _files(place)
        key = (self._plugins, arguments, frozenset(before.items()))
        if key not in _plain_runs:
            result = self.run(*arguments)
            written = {name: content for name, content in _files(place).items() if before.get(name) != content}
            _plain_runs[key] = place, result, written
        there, result, written = _plain_runs[key]
        for name, content in written.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        lines, errors = (
            [line.replace(str(there), str(place)) for line in found] for found in (result.outlines, result.errlines)
        )
        return pytest.RunResult(result.ret, lines, errors, result.duration)

    def json(self, name: str) -> Any:
        """Return what a run has written to a file."""
        return json.loads(self.text(name))

    def text(self, name: str) -> str:
        """Return what a run has written to a file."""
        return (self._pytester.path / name).read_text(encoding="utf-8")


_plain_runs: dict[object, tuple[Path, pytest.RunResult, dict[str, bytes]]] = {}


def _files(place: Path) -> dict[str, bytes]:
    """Return what is in a directory, but for what Python has compiled and what the last run has said."""
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name not in {"stdout", "stderr"}
    }


@pytest.fixture(autouse=True)
def installed() -> None:
    """The plugins are there, wherever the suite runs as CONTRIBUTING.md says."""
    directory = os.environ.get(VARIABLE)
    if directory is None:
        pytest.skip(f"{VARIABLE} is not set; 'python3 tools/dev.py tests' installs other people's plugins and sets it")
    assert Path(directory).is_dir()


FEW_TESTS = """
import pytest

@pytest.mark.parametrize("number", range(6))
def test_few(number, record_property):
    record_property("square", number * number)
    print(f"printed by {number}")
    if number == 4:
        pytest.skip("not this one")
    assert number != 3
"""


# --- Reports in files -------------------------------------------------------------------------------------------------


@with_workers
def test_html(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """One report, with each test's outcome, output and extras."""
    project = Project(pytester, "html", "html_fixtures", "metadata")
    pytester.makepyfile(
        test_few=FEW_TESTS + "\ndef test_extras(extras):\n"
        "    from pytest_html import extras as kinds\n"
        "    extras.append(kinds.text('an extra'))"
    )

    def results() -> dict[str, Any]:
        blob = re.search(r'data-jsonblob="([^"]*)"', project.text("report.html"))
        assert blob is not None
        tests = json.loads(blob[1].replace("&#34;", '"').replace("&#39;", "'").replace("&amp;", "&"))["tests"]
        return {
            nodeid: [
                (
                    entry["result"],
                    sorted(set(re.findall(r"printed by \d", entry["log"]))),
                    [extra["content"] for extra in entry["extras"] if extra["name"] == "Text"],
                )
                for entry in entries
            ]
            for nodeid, entries in tests.items()
        }

    plain = project.run_plain("--html=report.html", "--self-contained-html")
    plain.assert_outcomes(passed=5, failed=1, skipped=1)
    expected = results()
    assert len(expected) == 7
    parallel = project.run("--html=report.html", "--self-contained-html", *workers)
    assert parallel.parseoutcomes() == plain.parseoutcomes()
    assert parallel.ret == plain.ret
    assert results() == expected


@with_workers
def test_metadata(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """The controller ends with what it began with; what a worker adds is there too."""
    project = Project(pytester, "metadata")
    pytester.makeconftest(
        """
        import json

        import pytest
        from pytest_metadata.plugin import metadata_key

        def pytest_metadata(metadata):
            metadata["from a conftest"] = "yes"

        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish(session):
            if not hasattr(session.config, "workerinput"):
                with open("metadata.json", "w") as file:
                    json.dump(session.config.stash[metadata_key], file)
        """
    )
    pytester.makepyfile(
        "def test_metadata(metadata): assert metadata['from a conftest'] == 'yes' and metadata['given'] == 'too'"
    )
    project.run_plain("--metadata", "given", "too").assert_outcomes(passed=1)
    expected = project.json("metadata.json")
    project.run("--metadata", "given", "too", *workers).assert_outcomes(passed=1)
    assert project.json("metadata.json") == expected
    assert expected["from a conftest"] == "yes"


@with_workers
def test_reportlog(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Each report is one line, once, between one line for the start and one for the finish."""
    project = Project(pytester, "pytest_reportlog")
    pytester.makepyfile(test_few=FEW_TESTS)

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in project.text("log.jsonl").splitlines()]

    def reports() -> collections.Counter[tuple[Any, ...]]:
        return collections.Counter(
            (
                line["nodeid"],
                line["when"],
                line["outcome"],
                json.dumps(line["user_properties"]),
                json.dumps(line["sections"]),
            )
            for line in lines()
            if line["$report_type"] == "TestReport"
        )

    plain = project.run_plain("--report-log=log.jsonl")
    plain.assert_outcomes(passed=4, failed=1, skipped=1)
    expected, kinds = reports(), [line["$report_type"] for line in lines()]
    parallel = project.run("--report-log=log.jsonl", *workers)
    assert parallel.parseoutcomes() == plain.parseoutcomes()
    assert reports() == expected
    assert [line["$report_type"] for line in lines()] == kinds


@with_workers
def test_json_report(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Summary, collectors, and each test's phases and metadata."""
    project = Project(pytester, "pytest_jsonreport", "metadata")
    pytester.makepyfile(test_few=FEW_TESTS + "\ndef test_meta(json_metadata): json_metadata['key'] = ['value']")

    def report() -> dict[str, Any]:
        found = project.json("report.json")
        tests = {
            test["nodeid"]: (
                test["outcome"],
                test.get("metadata"),
                {when: test[when]["outcome"] for when in ("setup", "call", "teardown")},
                test["call"].get("stdout"),
            )
            for test in found["tests"]
        }
        return {"tests": tests, **{key: found[key] for key in ("summary", "exitcode", "collectors", "environment")}}

    project.run_plain("--json-report", "--json-report-file=report.json")
    expected = report()
    assert expected["summary"]["total"] == 7
    assert expected["tests"]["test_few.py::test_meta"][1] == {"key": ["value"]}
    project.run("--json-report", "--json-report-file=report.json", *workers)
    assert report() == expected


@with_workers
def test_junit(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """The counts and the cases of pytest's own XML."""
    project = Project(pytester)
    pytester.makepyfile(test_few=FEW_TESTS)

    def suite() -> tuple[dict[str, str], list[tuple[str, list[str], list[tuple[str, str]]]]]:
        (found,) = ET.fromstring(project.text("report.xml"))
        counts = {name: found.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
        cases = [
            (
                case.attrib["name"],
                [child.tag for child in case],
                [(each.attrib["name"], each.attrib["value"]) for each in case.iter("property")],
            )
            for case in found
        ]
        return counts, sorted(cases)

    project.run_plain("--junitxml=report.xml")
    expected = suite()
    assert expected[0] == {"tests": "6", "failures": "1", "errors": "0", "skipped": "1"}
    project.run("--junitxml=report.xml", *workers)
    assert suite() == expected


@with_workers
def test_allure(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """One result for each test, labelled with the process that ran it, also with ``--clean-alluredir``."""
    project = Project(pytester, "allure_pytest")
    pytester.makepyfile(test_few=FEW_TESTS)

    def results() -> list[tuple[str, str, str]]:
        found = [json.loads(path.read_text()) for path in (pytester.path / "results").glob("*-result.json")]
        threads = [{label["name"]: label["value"] for label in each["labels"]}["thread"] for each in found]
        return sorted((each["name"], each["status"], thread) for each, thread in zip(found, threads, strict=True))

    arguments = ("--alluredir=results", "--clean-alluredir")
    project.run_plain(*arguments)
    plain = results()
    assert len(plain) == 6
    assert len({thread for *_, thread in plain}) == 1
    project.run(*arguments, *workers)
    parallel = results()
    assert [each[:2] for each in parallel] == [each[:2] for each in plain]
    threads = {thread for *_, thread in parallel}
    assert len(threads) == 6 if "--maxtasksperchild" in workers else len(threads) <= 2


# --- Running tests again ----------------------------------------------------------------------------------------------

FLAKY_TESTS = """
import os
import pathlib

import pytest

IMPORT

MARK
@pytest.mark.parametrize("number", range(4))
def test_flaky(number):
    path = pathlib.Path(f"tries-{os.environ['ROUND']}-{number}")
    tries = len(path.read_text()) if path.exists() else 0
    path.write_text("x" * (tries + 1))
    assert tries >= number
"""


@with_workers
def test_rerunfailures(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]) -> None:
    """As many reruns as in a plain run, and the same outcomes."""
    project = Project(pytester, "rerunfailures")
    pytester.makepyfile(FLAKY_TESTS.replace("IMPORT", "").replace("MARK", ""))
    monkeypatch.setenv("ROUND", "plain")
    plain = project.run_plain("--reruns", "2")
    assert plain.parseoutcomes() == {"passed": 3, "failed": 1, "rerun": 5}
    monkeypatch.setenv("ROUND", "parallel")
    parallel = project.run("--reruns", "2", *workers)
    assert parallel.parseoutcomes() == plain.parseoutcomes()
    assert parallel.ret == plain.ret


def test_rerunfailures_leaves_a_crashed_test_failed(pytester: pytest.Pytester) -> None:
    """It asks a scheduler to queue the test again, is told that it cannot be, and the run goes on."""
    project = Project(pytester, "rerunfailures")
    pytester.makepyfile("import os\ndef test_crash(): os._exit(3)\ndef test_other(): pass")
    result = project.run("--reruns", "2", "-n", "1")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in result.stdout.str()


@with_workers
def test_flaky(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]) -> None:
    """Its report at the end has the lines of all workers."""
    project = Project(pytester, "flaky")
    mark = "@flaky(max_runs=3)"
    pytester.makepyfile(FLAKY_TESTS.replace("IMPORT", "from flaky import flaky").replace("MARK", mark))

    def flaky_report(result: pytest.RunResult) -> list[str]:
        text = result.stdout.str()
        report = text[text.index("===Flaky Test Report===") : text.index("===End Flaky Test Report===")]
        return sorted(line for line in report.splitlines() if line.startswith("test_flaky"))

    monkeypatch.setenv("ROUND", "plain")
    plain = project.run_plain()
    assert plain.parseoutcomes() == {"passed": 3, "failed": 1}
    monkeypatch.setenv("ROUND", "parallel")
    parallel = project.run(*workers)
    assert parallel.parseoutcomes() == plain.parseoutcomes()
    assert flaky_report(parallel) == flaky_report(plain)
    assert len(flaky_report(plain)) == 9


# --- What a test is ---------------------------------------------------------------------------------------------------


@with_workers
def test_randomly(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """A seed gives every test the numbers, and the suite the order, that it gives in a plain run."""
    project = Project(pytester, "randomly")
    pytester.makepyfile(
        """
        import random

        import pytest

        import happenings

        @pytest.mark.parametrize("number", range(8))
        def test_draw(number, request):
            happenings.note("draws", f"{number} {random.random()} {request.session.items.index(request.node)}")
        """
    )
    project.run_plain("--randomly-seed=17").assert_outcomes(passed=8)
    plain = notes(pytester, "draws")
    (pytester.path / "draws.list").unlink()
    project.run("--randomly-seed=17", *workers).assert_outcomes(passed=8)
    assert sorted(notes(pytester, "draws")) == sorted(plain)


@with_workers
def test_syrupy(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Snapshots are written by all workers, matched by all, and those that nobody asked for are found."""
    project = Project(pytester, "syrupy")
    names = ("test_one", "test_two")
    # Not two workers for one file of snapshots: without a lock, which not all of its versions have, one of them loses.
    workers = (*workers, "--dist=loadfile")

    def make_tests(count: int) -> None:
        text = (
            f"import pytest\n@pytest.mark.parametrize('n', range({count}))\ndef test(n, snapshot): assert n == snapshot"
        )
        pytester.makepyfile(**dict.fromkeys(names, text))

    def summary(result: pytest.RunResult) -> list[str]:
        return [line for line in result.outlines if re.match(r"\d+ snapshots? ", line)]

    def snapshots() -> list[str]:
        return [project.text(f"__snapshots__/{name}.ambr") for name in names]

    make_tests(3)
    plain = project.run_plain("--snapshot-update")
    written = snapshots()
    for name in names:
        (pytester.path / "__snapshots__" / f"{name}.ambr").unlink()
    parallel = project.run("--snapshot-update", *workers)
    parallel.assert_outcomes(passed=6)
    assert snapshots() == written
    assert summary(parallel) == summary(plain) == ["6 snapshots generated."]

    make_tests(2)
    plain, parallel = project.run_plain(), project.run(*workers)
    assert parallel.ret == plain.ret == pytest.ExitCode.TESTS_FAILED
    assert parallel.parseoutcomes() == plain.parseoutcomes()
    assert summary(parallel) == summary(plain)
    assert "2 snapshots unused" in " ".join(summary(plain))


@with_workers
def test_timeout(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """A test that takes too long fails with its stack, and no other does."""
    project = Project(pytester, "timeout")
    pytester.makepyfile(
        "import threading\ndef test_slow(): threading.Event().wait(30)\ndef test_one(): pass\ndef test_two(): pass"
    )
    plain = project.run_plain("--timeout=0.5")
    plain.assert_outcomes(passed=2, failed=1)
    parallel = project.run("--timeout=0.5", *workers)
    assert parallel.parseoutcomes() == plain.parseoutcomes()
    assert "Timeout" in failure(parallel, "test_slow")


@with_workers
def test_hypothesis(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """The same examples falsify."""
    project = Project(pytester, "hypothesispytest")
    pytester.makepyfile(
        """
        import pytest
        from hypothesis import given, settings, strategies as st

        @pytest.mark.parametrize("limit", [10, 100, 1000])
        @settings(derandomize=True, database=None)
        @given(st.integers())
        def test_small(limit, number):
            assert number < limit

        @settings(derandomize=True, database=None)
        @given(st.lists(st.integers()))
        def test_reversed(numbers):
            assert list(reversed(list(reversed(numbers)))) == numbers
        """
    )

    def examples(result: pytest.RunResult) -> list[str]:
        return sorted(line.strip() for line in result.outlines if re.match(r"E\s+(number|limit)=", line))

    plain = project.run_plain()
    plain.assert_outcomes(passed=1, failed=3)
    parallel = project.run(*workers)
    assert parallel.parseoutcomes() == plain.parseoutcomes()
    assert examples(parallel) == examples(plain)
    assert len(examples(plain)) == 6


SUBTESTS = """
    import unittest

    def test_fixture(subtests):
        for number in range(4):
            with subtests.test("some", number=number):
                assert number % 2

    class TestCase(unittest.TestCase):
        def test_case(self):
            for number in range(3):
                with self.subTest(number=number):
                    self.assertEqual(number, 0)
"""


@with_workers
@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="pytest has them since version 9.0")
def test_subtests(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Each has its result, in a test function and in a test case."""
    project = Project(pytester)
    pytester.makepyfile(SUBTESTS)
    plain, parallel = project.run_plain(), project.run(*workers)
    assert parallel.parseoutcomes() == plain.parseoutcomes()
    assert plain.parseoutcomes()["failed"] == 5
    assert "contains 2 failed subtests" in failure(parallel, "test_fixture")


@with_workers
def test_django(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Each worker makes a test database of its own, and every test finds it empty."""
    project = Project(pytester, "django")
    pytester.makeini("[pytest]\nDJANGO_SETTINGS_MODULE = site_settings\npythonpath = .")
    pytester.makepyfile(
        site_settings="""
        SECRET_KEY = "a"
        USE_TZ = True
        INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
        DATABASES = {"default": {
            "ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite", "TEST": {"NAME": "test.sqlite"},
        }}
        """,
        test_users="""
        import pytest
        from django.contrib.auth.models import User
        from django.db import connection

        import happenings

        @pytest.mark.django_db
        @pytest.mark.parametrize("number", range(4))
        def test_user(number, worker_id):
            assert not User.objects.exists()
            User.objects.create(username="somebody")
            happenings.note("databases", f"{worker_id} {connection.settings_dict['NAME']}")
            assert User.objects.count() == 1

        def test_no_database(client):
            with pytest.raises(RuntimeError):
                User.objects.count()
        """,
    )
    plain = project.run_plain()
    plain.assert_outcomes(passed=5)
    parallel = project.run(*workers)
    assert parallel.parseoutcomes() == plain.parseoutcomes()
    databases = dict(line.split(" ", 1) for line in notes(pytester, "databases"))
    for worker, name in databases.items():
        assert name.endswith("test.sqlite" if worker == "master" else f"_{worker}")


@with_workers
def test_cov(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """The same lines; ``test_coverage`` has the rest."""
    project = Project(pytester, "pytest_cov")
    pytester.makepyfile(
        measured="def double(x):\n    return 2 * x\n\ndef triple(x):\n    return 3 * x\n\ndef never():\n    return 0\n",
        test_code="import measured\ndef test_two(): assert measured.double(1) == 2\n"
        "def test_three(): assert measured.triple(1) == 3\n",
    )

    def lines() -> dict[str, list[int]]:
        return {name: file["executed_lines"] for name, file in project.json("coverage.json")["files"].items()}

    project.run_plain("--cov=measured", "--cov-report=json").assert_outcomes(passed=2)
    expected = lines()
    project.run("--cov=measured", "--cov-report=json", *workers).assert_outcomes(passed=2)
    assert lines() == expected == {"measured.py": [1, 2, 4, 5, 7]}
