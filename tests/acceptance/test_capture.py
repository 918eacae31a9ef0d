"""Each worker has its own capture: what one test printed is shown with that test, and with no other."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.runs import add_happenings, failure, run

PRINTING = """
import os
import sys

import pytest


@pytest.fixture
def printing(request):
    name = request.node.name
    print(f"setup of {name}")
    yield
    print(f"teardown of {name}")


@pytest.mark.parametrize("number", range(40))
def test_print(number, request, printing):
    name = request.node.name
    for line in range(3):
        print(f"out {line} of {name}")
        print(f"err {line} of {name}", file=sys.stderr)
        os.write(1, f"raw out {line} of {name}\\n".encode())
        os.write(2, f"raw err {line} of {name}\\n".encode())
    os.system(f"echo child of {name}")
    assert 0
"""


BOUND = """
import logging
import sys

import pytest

STREAMS = sys.stdout, sys.stderr
HANDLER = logging.StreamHandler()


@pytest.mark.parametrize("number", range(4))
def test_bound(number):
    print(f"out of {number}", file=STREAMS[0])
    HANDLER.emit(logging.makeLogRecord({"msg": f"err of {number}"}))
    assert sys.stdout is STREAMS[0]
    assert sys.stderr is STREAMS[1]
    assert 0
"""


@pytest.mark.parametrize("capture", ["fd", "sys", "tee-sys"])
def test_who_has_kept_a_stream_since_the_collection_writes_to_the_test_s(
    pytester: pytest.Pytester, capture: str
) -> None:
    """As handlers of ``logging`` do, and default values of arguments: it is the stream that tests have."""
    pytester.makepyfile(BOUND)
    result = run(pytester, "-n", "2", "--maxtasksperchild", "1", "--capture", capture)
    result.assert_outcomes(failed=4)
    for number in range(4):
        shown = failure(result, f"test_bound[{number}]").splitlines()
        assert [line for line in shown if re.match("(out|err) of", line)] == [f"out of {number}", f"err of {number}"]
        assert "E       assert 0" in shown
    assert "Logging error" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_programs_that_tests_start_have_a_standard_input(pytester: pytest.Pytester, capture: str) -> None:
    """It is empty. Without one, the first file that they open would be it."""
    pytester.makepyfile(
        """
        import subprocess
        import sys

        PROGRAM = "import os; assert os.read(0, 1) == b''"

        def test_program():
            subprocess.run([sys.executable, "-c", PROGRAM], check=True)
        """
    )
    run(pytester, "-n", "1", "--capture", capture).assert_outcomes(passed=1)


def test_forty_failing_tests_in_four_workers_show_their_own_lines(pytester: pytest.Pytester) -> None:
    """Print, both streams, C level and children: each section holds exactly the lines of its test."""
    pytester.makepyfile(PRINTING)
    result = run(pytester, "-n", "4")
    result.assert_outcomes(failed=40)
    for number in range(40):
        name = f"test_print[{number}]"
        lines = [line for line in failure(result, name).splitlines() if line.endswith(f" of {name}")]
        assert sorted(lines) == sorted(
            [
                f"setup of {name}",
                f"child of {name}",
                f"teardown of {name}",
                *[f"{stream} {line} of {name}" for stream in ("out", "err") for line in range(3)],
                *[f"raw {stream} {line} of {name}" for stream in ("out", "err") for line in range(3)],
            ]
        )
    shown = re.findall(r"^(?:setup|teardown|child|(?:raw )?(?:out|err) \d) of .*$", result.stdout.str(), re.MULTILINE)
    assert len(shown) == 40 * 15
    assert "Captured" not in result.stderr.str()


FIXTURES = """
import logging
import os
import sys


def test_capsys(capsys):
    print("out")
    print("err", file=sys.stderr)
    assert capsys.readouterr() == ("out\\n", "err\\n")


def test_capfd(capfd):
    os.write(1, b"out")
    os.write(2, b"err")
    os.system("echo child")
    assert capfd.readouterr() == ("outchild\\n", "err")


def test_disabled(capfd):
    with capfd.disabled():
        print("not captured")
    print("captured")
    assert capfd.readouterr().out == "captured\\n"


def test_caplog(caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("some").info("message")
    assert caplog.messages == ["message"]


def test_log():
    logging.getLogger("some").warning("in the log section")
    assert 0


def test_stdin_is_nobodys():
    try:
        input()
    except (OSError, EOFError):
        return
    assert 0
"""


@pytest.mark.parametrize("method", ["fd", "sys", "tee-sys"])
def test_capturing_fixtures_work(pytester: pytest.Pytester, method: str) -> None:
    """``capsys``, ``capfd``, ``caplog`` and log sections are as in plain pytest, whatever that captures with."""
    pytester.makepyfile(FIXTURES)
    result = run(pytester, "-n", "2", f"--capture={method}")
    result.assert_outcomes(passed=5, failed=1)
    assert "in the log section" in failure(result, "test_log")


@pytest.mark.parametrize("arguments", [["--capture=no"], ["-s", "-v"], ["--capture=sys"], ["-p", "no:logging"]])
def test_other_ways_to_capture_do_not_break(pytester: pytest.Pytester, arguments: list[str]) -> None:
    """Every test has its result, also after a crash, and without capture nothing is held back for a report."""
    pytester.makepyfile(
        """
        import os

        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_print(number):
            print("a line")
            os.write(1, b"a raw line\\n")
            assert number != 2
            if number == 4:
                os._exit(3)
        """
    )
    result = run(pytester, "-n", "2", *arguments)
    result.assert_outcomes(passed=4, failed=2)
    assert ("Captured stdout call" in result.stdout.str()) == (arguments not in (["--capture=no"], ["-s", "-v"]))


def test_output_between_tests_is_nowhere(pytester: pytest.Pytester) -> None:
    """What a plugin prints in every process, outside of tests, is shown once: by the controller."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import os

        import pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtestloop(session):
            is_worker = hasattr(session.config, "workerinput")
            os.write(1, f"loop in {'worker' if is_worker else 'controller'}\\n".encode())
            return (yield)
        """
    )
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
    result = run(pytester, "-n", "2")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*loop in worker*")
