"""What the user sees: as in a plain run, and a header, a worker id with ``-v`` and a closing line of our own."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import pytest

from tests.acceptance.runs import run, run_plain

MIXED = {
    "test_a": """
        import pytest

        def test_passes(): print("nobody sees this")
        def test_fails():
            print("printed by the failing test")
            assert 1 == 2, "one is not two"
        def test_skips(): pytest.skip("not here")
        @pytest.mark.xfail(reason="known")
        def test_xfails(): assert 0
        @pytest.mark.xfail(reason="believed")
        def test_xpasses(): pass
    """,
    "test_b": """
        import pytest

        @pytest.fixture
        def broken(): raise OSError("no database")

        def test_errs(broken): pass

        @pytest.fixture
        def fragile():
            yield
            raise OSError("gone")

        def test_errs_late(fragile): pass

        @pytest.mark.parametrize("number", [1, 2, 3])
        def test_many(number): pass
    """,
}


def make_mixed_suite(pytester: pytest.Pytester) -> None:
    """Write a suite that has every outcome."""
    pytester.makepyfile(**MIXED)


def section(result: pytest.RunResult, title: str) -> list[str]:
    """Return the lines below a title between equal signs, up to the next one."""
    found: list[str] = []
    is_inside = False
    for line in result.outlines:
        if line.startswith("==="):
            is_inside = f" {title} " in line
        elif is_inside and not line.startswith("parpool: "):
            found.append(line)
    return found


def without_times(lines: list[str]) -> list[str]:
    """Return the lines with all times the same."""
    return [re.sub(r"\d+\.\d+s", "N.NNs", line) for line in lines]


# --- Our own lines ----------------------------------------------------------------------------------------------------


@pytest.mark.start_method(None)
@pytest.mark.parametrize(
    ("arguments", "header"),
    [
        (("-n4",), "parpool: 4 workers, load"),
        (("-n1", "--dist=loadfile", "--start-method=fork"), "parpool: 1 worker (fork), loadfile"),
        (("-n2", "--dist=each", "--start-method=spawn"), "parpool: 2 workers (spawn), each"),
    ],
)
def test_the_header_says_who_runs_the_tests(pytester: pytest.Pytester, arguments: tuple[str, ...], header: str) -> None:
    """One line tells the number of workers, how they start if that is known, and how tests are distributed."""
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass\ndef test_3(): pass\ndef test_4(): pass")
    result = run(pytester, *arguments)
    assert result.outlines.count(header) == 1


@pytest.mark.start_method("fork")
def test_the_closing_line_says_what_workers_were_good_for(pytester: pytest.Pytester) -> None:
    """It tells how busy they were, and the speed-up against the sum of the tests' times."""
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
    result = run(pytester, "-n2")
    closing = [line for line in result.outlines if re.fullmatch(r"parpool: 2 workers, \d+ % busy, \d+\.\dx", line)]
    assert len(closing) == 1
    busy, factor = re.findall(r"(\d+) % busy, ([\d.]+)x", closing[0])[0]
    assert 0 <= int(busy) <= 100
    assert float(factor) == pytest.approx(2 * int(busy) / 100, abs=0.11)
    assert result.outlines.index(closing[0]) > result.outlines.index("collected 2 items")
    assert "2 passed" in result.outlines[-1]


@pytest.mark.start_method("fork")
@pytest.mark.parametrize("arguments", [(), ("-n0",), ("-n2", "--collect-only")], ids=" ".join)
def test_without_workers_nothing_is_said(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """A run in this process has no line of ours, and looks like a plain one."""
    make_mixed_suite(pytester)
    plain = run_plain(pytester, *[argument for argument in arguments if not argument.startswith("-n")])
    ours = run(pytester, *arguments)
    # What comes before is platform and plugins.
    assert without_times(after_collection(ours)) == without_times(after_collection(plain))
    assert not [line for line in ours.outlines if line.startswith("parpool")]


def after_collection(result: pytest.RunResult) -> list[str]:
    """Return the lines from the number of collected items on."""
    start = next(number for number, line in enumerate(result.outlines) if re.search(r"\bcollected \d+ item", line))
    return result.outlines[start:]


# --- Results ----------------------------------------------------------------------------------------------------------


def test_verbose_has_one_line_per_result(pytester: pytest.Pytester) -> None:
    """With ``-v`` each line tells worker, progress, outcome and test, and starts have no lines."""
    make_mixed_suite(pytester)
    result = run(pytester, "-n2", "-v")
    pattern = r"\[gw[01]\] \[ *(\d+)%\] (\w+) (\S+)( .*)?"
    shown = itertools.takewhile(lambda line: not line.startswith("==="), after_collection(result)[1:])
    lines = [line for line in shown if line]
    matches = [re.fullmatch(pattern, line) for line in lines]
    assert all(matches), lines
    found = sorted((match[3], match[2]) for match in matches if match is not None)
    assert found == [
        ("test_a.py::test_fails", "FAILED"),
        ("test_a.py::test_passes", "PASSED"),
        ("test_a.py::test_skips", "SKIPPED"),
        ("test_a.py::test_xfails", "XFAIL"),
        ("test_a.py::test_xpasses", "XPASS"),
        ("test_b.py::test_errs", "ERROR"),
        ("test_b.py::test_errs_late", "ERROR"),
        ("test_b.py::test_errs_late", "PASSED"),
        ("test_b.py::test_many[1]", "PASSED"),
        ("test_b.py::test_many[2]", "PASSED"),
        ("test_b.py::test_many[3]", "PASSED"),
    ]
    progress = [int(match[1]) for match in matches if match is not None]
    assert progress == sorted(progress)
    assert progress[-1] == 100


@pytest.mark.parametrize(
    "arguments",
    [("--tb=short", "-rA"), ("-q", "--tb=no"), ("--tb=line", "-ra", "-q"), ("--no-summary",), ("-vv",)],
    ids=" ".join,
)
def test_summaries_are_those_of_a_plain_run(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """Failures, errors, passes and the short summary have the same lines; only their order may differ."""
    make_mixed_suite(pytester)
    plain, ours = run_plain(pytester, *arguments), run(pytester, "-n2", *arguments)
    assert ours.ret == plain.ret == pytest.ExitCode.TESTS_FAILED
    assert ours.parseoutcomes() == plain.parseoutcomes()
    for title in ("FAILURES", "ERRORS", "PASSES", "XPASSES", "short test summary info"):
        lines = [line for line in section(ours, title) if not re.match(r"\[gw\d\] \w+ -- Python", line)]
        assert sorted(without_times(lines)) == sorted(without_times(section(plain, title))), title


@pytest.mark.start_method("fork")
def test_quiet_has_letters_and_counts(pytester: pytest.Pytester) -> None:
    """With ``-q`` there is one letter per result, the closing line and the counts."""
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('n', range(10))\ndef test_many(n): pass")
    result = run(pytester, "-n2", "-q")
    assert re.fullmatch(r"\.{10} +\[100%\]", result.outlines[0])
    assert re.fullmatch(r"10 passed in [\d.]+s", result.outlines[-1])


@pytest.mark.start_method("fork")
def test_durations_are_of_all_workers(pytester: pytest.Pytester) -> None:
    """``--durations`` lists phases as they took in the workers."""
    make_mixed_suite(pytester)
    plain, ours = (
        run_plain(pytester, "--durations=0", "-vv"),
        run(pytester, "-n2", "--durations=0", "-vv"),
    )
    phases = [
        sorted(re.sub(r"^[\d.]+s ", "", line) for line in section(result, "slowest durations"))
        for result in (plain, ours)
    ]
    assert phases[0] == phases[1]
    assert len(phases[0]) == 3 * 10 - 1  # One has no call.


def test_a_failure_names_its_worker(pytester: pytest.Pytester) -> None:
    """Above a traceback stands where it comes from, as other tools know it."""
    make_mixed_suite(pytester)
    result = run(pytester, "-n2")
    result.stdout.re_match_lines([r"\[gw[01]\] linux -- Python \d"])
    result.stdout.fnmatch_lines(["*Captured stdout call*", "printed by the failing test"])
    result.stdout.no_fnmatch_line("nobody sees this")


# --- Reports in files -------------------------------------------------------------------------------------------------


def test_junitxml_has_every_test_once(pytester: pytest.Pytester) -> None:
    """The file is well-formed and says of each test what that of a plain run says."""
    make_mixed_suite(pytester)
    run(pytester, "-p", "no:parpool", "-p", "no:xdist", "--junitxml=plain.xml")
    result = run(pytester, "-n2", "--junitxml=ours.xml")
    result.stdout.fnmatch_lines(["*generated xml file: *ours.xml*"])
    assert read_junit(pytester, "ours.xml") == read_junit(pytester, "plain.xml")


def read_junit(pytester: pytest.Pytester, name: str) -> tuple[dict[str, str | None], list[tuple[str, ...]]]:
    """Return the counts of an XML report, and of each test its name and what is said of it, in order of names."""
    suite = ET.parse(pytester.path / name).getroot()[0]
    sums = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    cases = []
    for case in suite:
        said = [(child.tag, str(child.get("message")), (child.text or "").strip()) for child in case]
        flat = [part for child in said for part in child]
        cases.append((str(case.get("classname")), str(case.get("name")), *map(without_worker, flat)))
    return sums, sorted(cases)


def without_worker(text: str) -> str:
    """Return the text without the line that says which worker it comes from."""
    return re.sub(r"^\[gw\d\] .*\n\n?", "", text)


def test_junitxml_has_a_crash_as_an_error(pytester: pytest.Pytester) -> None:
    """A test that took its worker along is there once, as an error that tells so."""
    pytester.makepyfile("import os\ndef test_dies(): os.abort()\ndef test_lives(): pass")
    run(pytester, "-n2", "--junitxml=ours.xml")
    sums, cases = read_junit(pytester, "ours.xml")
    assert sums["tests"] == "2"
    assert [case[1] for case in cases] == ["test_dies", "test_lives"]
    crash = " ".join(cases[0])
    assert "crashed while running" in crash
    assert "SIGABRT" in crash
    assert int(sums["errors"] or 0) + int(sums["failures"] or 0) == 1


# --- The cache --------------------------------------------------------------------------------------------------------


def test_last_failures_are_run_again(pytester: pytest.Pytester) -> None:
    """``--lf`` and ``--ff`` know the failures of all workers, and ``--cache-show`` lists them."""
    make_mixed_suite(pytester)
    run(pytester, "-n2")
    result = run(pytester, "-n2", "--lf")
    assert result.parseoutcomes() == {"failed": 1, "errors": 2, "passed": 1}
    result.stdout.fnmatch_lines(["*run-last-failure: rerun previous 3 failures*"])
    result = run(pytester, "-n1", "--ff", "-v")
    names = [line.split()[-1] for line in result.outlines if line.startswith("[gw0]")]
    # The first failing one is repeated for its outcome in the test and in the teardown.
    assert names[:4] == [
        "test_a.py::test_fails",
        "test_b.py::test_errs",
        "test_b.py::test_errs_late",
        "test_b.py::test_errs_late",
    ]
    shown = run(pytester, "--cache-show", "cache/lastfailed", "-n2")
    shown.stdout.fnmatch_lines(["cache/lastfailed contains:", "*test_a.py::test_fails': True*"])
    assert shown.ret == pytest.ExitCode.OK


def test_new_files_come_first(pytester: pytest.Pytester) -> None:
    """``--nf`` knows which tests were there in the last run."""
    pytester.makepyfile(test_a="def test_old(): pass")
    run(pytester, "-n2", "--nf")
    pytester.makepyfile(test_b="def test_new(): pass")
    result = run(pytester, "-n1", "--nf", "-v")
    names = [line.split()[-1] for line in result.outlines if line.startswith("[gw0]")]
    assert names == ["test_b.py::test_new", "test_a.py::test_old"]


# --- Warnings ---------------------------------------------------------------------------------------------------------


def test_each_warning_is_shown_once(pytester: pytest.Pytester) -> None:
    """A warning of the collection is not multiplied by the workers; one in a test is shown once, with its test."""
    pytester.makepyfile(
        conftest="""
            import warnings

            def pytest_configure(config):
                config.issue_config_time_warning(UserWarning("from the configuration"), 2)
        """,
        test_a="""
            import warnings
            import pytest

            warnings.warn("from the collection")

            class TestWithInit:
                def __init__(self): pass

            @pytest.mark.not_registered
            def test_one(): warnings.warn("from a test")
            def test_two(): warnings.warn("from another test", DeprecationWarning)

            @pytest.fixture(scope="session", autouse=True)
            def resource():
                yield
                pass
        """,
    )
    plain, ours = run_plain(pytester), run(pytester, "-n4")
    assert ours.parseoutcomes() == plain.parseoutcomes() == {"passed": 2, "warnings": 6}
    assert sorted(section(ours, "warnings summary")) == sorted(section(plain, "warnings summary"))
    text = ours.stdout.str()
    assert text.count("UserWarning: from a test") == 1
    assert text.count("UserWarning: from the collection") == 1
    ours.stdout.fnmatch_lines(["test_a.py::test_one", "*UserWarning: from a test"])


# --- What the user prints ---------------------------------------------------------------------------------------------


def test_captured_output_of_one_test_never_holds_anothers(pytester: pytest.Pytester) -> None:
    """Each failure shows what its own test wrote, through Python, through a descriptor and from a child."""
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.parametrize("number", range(20))
        def test_many(number):
            print(f"print {number};")
            os.write(1, f"write {number};\\n".encode())
            os.system(f"echo child {number}';'")
            assert False
        """
    )
    result = run(pytester, "-n2")
    assert result.parseoutcomes() == {"failed": 20}
    texts = re.split(r"^_+ (test_many\[\d+\]) _+$", result.stdout.str(), flags=re.MULTILINE)
    for name, text in zip(texts[1::2], texts[2::2], strict=True):
        number = re.findall(r"\d+", name)[0]
        assert re.findall(r"^(?:print|write|child) (\d+);", text, flags=re.MULTILINE) == [number] * 3
