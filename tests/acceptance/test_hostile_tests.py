"""Tests do strange things to their process and to their reports; the suite runs, and what they said arrives."""

from __future__ import annotations

import pytest

from tests.acceptance import runs


@pytest.fixture(autouse=True)
def happenings(pytester: pytest.Pytester) -> None:
    """Inner tests can wait for one another, and count."""
    runs.add_happenings(pytester)


# --- Reports with anything in them ------------------------------------------------------------------------------------


def test_properties_that_cannot_travel_arrive_as_text(pytester: pytest.Pytester) -> None:
    """The tests pass, the values are shown as text, and one warning for each names the test."""
    pytester.makepyfile(
        test_a="""
        import decimal
        import pathlib

        import pytest

        class Broken:
            def __repr__(self):
                raise ValueError("no text")

        class Failing:
            def __repr__(self):
                pytest.fail("no text either")

        class Endless:
            def __repr__(self):
                return repr(self)

        def local_error():
            class LocalError(Exception):
                def __reduce__(self):
                    raise TypeError("not me")
            return LocalError

        VALUES = {
            "path": pathlib.Path("somewhere"),
            "broken": Broken(),
            "failing": Failing(),
            "endless": Endless(),
            "class": local_error(),
            "error": local_error()("why"),
            "decimal": decimal.Decimal("1.5"),
            "deep": {"key": [(1, pathlib.Path("somewhere"))]},
        }

        @pytest.mark.parametrize("name", VALUES)
        def test_strange(name, record_property):
            record_property(name, VALUES[name])

        def test_plain(record_property):
            record_property("plain", [1, "two", None])
        """
    )
    pytester.makeconftest(
        """
        import os

        def pytest_runtest_logreport(report):
            if not os.environ.get("PYTEST_XDIST_WORKER") and report.when == "call":
                for name, value in report.user_properties:
                    print(f"\\nproperty {name} = {value}")
        """
    )
    result = runs.run(pytester, "-n", "2", "-s")
    assert result.ret == pytest.ExitCode.OK
    texts = {
        "path": "somewhere",
        "broken": "Broken",
        "failing": "Failing",
        "endless": "Endless",
        "class": "LocalError",
        "error": "LocalError('why')",
        "decimal": "1.5",
        "deep": "somewhere",
    }
    result.assert_outcomes(passed=len(texts) + 1, warnings=len(texts))
    assert "property plain = [1, 'two', None]" in result.outlines
    for name, text in texts.items():
        assert text in next(line for line in result.outlines if line.startswith(f"property {name} = "))
        result.stdout.fnmatch_lines_random([f"test_a.py::test_strange[[]{name}]", f"*test_strange[[]{name}]*as text*"])


def test_a_property_that_holds_itself_arrives(pytester: pytest.Pytester) -> None:
    """A walk through it would never end."""
    pytester.makepyfile(
        """
        def test_strange(record_property):
            strange = []
            strange += [strange, strange]
            record_property("strange", [strange, object()])

        def test_plain(): pass
        """
    )
    result = runs.run(pytester, "-n", "2")
    result.assert_outcomes(passed=2, warnings=1)


def test_texts_that_are_no_text_arrive(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lone surrogates, NUL and escapes, in output, messages and parameters, are shown as by plain pytest."""
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # In the C locale Python writes them as they are.
    pytester.makepyfile(
        """
        import os
        import sys

        import pytest

        def test_output():
            print("out \\udcff")
            sys.stderr.write("nul \\0 escape \\x1b[31m")
            os.write(1, b"bytes \\xff\\xfe")
            assert 0

        def test_message():
            raise ValueError("message \\udcff")

        def test_comparison():
            assert "left \\ud800" == "right \\udfff"

        @pytest.mark.parametrize("text", ["\\udcff"])
        def test_parameter(text): pass
        """
    )
    plain = runs.run(pytester)
    parallel = runs.run(pytester, "-n", "2")
    assert parallel.parseoutcomes() == plain.parseoutcomes() == {"failed": 3, "passed": 1}
    for name in ("test_output", "test_message", "test_comparison"):
        shown = runs.failure(parallel, name)
        # Our line names the worker; all the rest is the same.
        assert shown.splitlines()[1:] == runs.failure(plain, name).splitlines()


def test_a_report_of_50_megabytes_arrives(pytester: pytest.Pytester) -> None:
    """Whole, and nobody else waits for it for ever."""
    pytester.makepyfile(
        """
        import sys

        def test_huge():
            sys.stdout.write("x" * 50_000_000)
            print("the end")

        def test_other(): pass
        """
    )
    pytester.makeconftest(
        """
        import os

        def pytest_runtest_logreport(report):
            if not os.environ.get("PYTEST_XDIST_WORKER") and report.when == "call" and report.capstdout:
                assert report.capstdout == "x" * 50_000_000 + "the end\\n"
                print(f"\\narrived: {len(report.capstdout)}")
        """
    )
    result = runs.run(pytester, "-n", "2", "-rN", "--capture=fd")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*arrived: 50000008"])


def test_failures_with_strange_locals_arrive(pytester: pytest.Pytester) -> None:
    """What a traceback shows of a local is text already; one whose ``repr`` recurses or raises breaks nothing."""
    pytester.makepyfile(
        """
        class Endless:
            def __repr__(self):
                return repr(self)

        class Broken:
            def __repr__(self):
                raise ValueError("no text")

        class LocalError(Exception):
            def __init__(self, one, two):
                super().__init__(one)

            def __reduce__(self):
                raise TypeError("not me")

        def test_endless():
            endless = Endless()
            assert endless is None

        def test_broken():
            broken = Broken()
            assert broken is None

        def test_error():
            raise LocalError("one", open)
        """
    )
    result = runs.run(pytester, "-n", "2", "-l")
    result.assert_outcomes(failed=3)
    assert "LocalError: one" in runs.failure(result, "test_error")


# --- What a test does to its process ----------------------------------------------------------------------------------

HABITS = {
    "threads": """
        import threading

        def do():
            threading.Thread(target=threading.Event().wait, daemon=True).start()
            thread = threading.Thread(target=print, args=("in a thread",))
            thread.start()
            thread.join()
        """,
    "children": """
        import multiprocessing
        import subprocess
        import sys

        def child(queue):
            queue.put("said by a child")

        def do():
            assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout == b"1\\n"
            context = multiprocessing.get_context("fork")
            queue = context.Queue()
            process = context.Process(target=child, args=(queue,))
            process.start()
            assert queue.get() == "said by a child"
            process.join()
            assert multiprocessing.active_children() == []
        """,
    "event loops": """
        import asyncio

        async def main():
            await asyncio.sleep(0)
            process = await asyncio.create_subprocess_exec("true")
            return await process.wait()

        def do():
            assert asyncio.run(main()) == 0
            asyncio.set_event_loop(asyncio.new_event_loop())
        """,
    "another directory": """
        import os
        import tempfile

        def do():
            place = tempfile.mkdtemp()
            os.chdir(place)
            os.rmdir(place)
        """,
    "an empty environment": """
        import os

        def do():
            os.environ.clear()
        """,
    "no system calls": """
        import os
        from unittest import mock

        def do():
            for name in ("write", "read", "getpid", "close", "open", "_exit"):
                patch(os, name)

        def patch(module, name):
            patcher = mock.patch.object(module, name, side_effect=AssertionError(f"{name} was mocked"))
            patcher.start()
            PATCHERS.append(patcher)

        PATCHERS = []
        """,
    "no serialisation": """
        import marshal
        import pickle
        import struct
        from unittest import mock

        def do():
            for module in (marshal, pickle):
                for name in ("dumps", "loads"):
                    setattr(module, name, None)
            struct.pack = struct.unpack = None
        """,
    "no waiting": """
        import select
        import selectors
        import socket

        def do():
            select.select = select.poll = select.epoll = None
            selectors.DefaultSelector = socket.socketpair = None
        """,
    "no clocks": """
        import time

        def do():
            time.time = time.monotonic = time.perf_counter = time.sleep = None
        """,
    "frozen clocks": """
        import sys
        import time

        def do():
            "As freezegun does it: in every module that has a clock by name."
            for clock in (time.time, time.monotonic, time.perf_counter):
                for module in list(sys.modules.values()):
                    for name, value in list(getattr(module, "__dict__", {}).items()):
                        if value is clock and not module.__name__.startswith("_pytest"):
                            setattr(module, name, lambda: 1e9)
        """,
    "a fake file system": """
        import builtins
        import io
        import os
        import sys

        def refuse(*args, **kwargs):
            raise OSError(9, "only the fake file system is here")

        def do():
            "As pyfakefs does it: functions of os in every module that has one by name, pytest's own excepted."
            names = ("open", "close", "read", "write", "fstat", "stat", "getcwd", "listdir")
            real = {getattr(os, name) for name in names}
            for module in list(sys.modules.values()):
                if module.__name__.startswith(("_pytest", "pytest.", "importlib", "_frozen")):
                    continue
                for name, value in list(getattr(module, "__dict__", {}).items()):
                    if type(value) is type(os.open) and value in real:
                        setattr(module, name, refuse)
            builtins.open = io.open = refuse
        """,
    "no signals": """
        import signal

        def do():
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        """,
    "small buffers": """
        import gc
        import sys

        def do():
            gc.disable()
            sys.settrace(None)
            sys.setswitchinterval(1e-6)
            sys.stdin.close()
            sys.modules.pop("marshal", None)
        """,
}


@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS)
def test_a_suite_with_strange_habits_works(pytester: pytest.Pytester, habit: str, start_method: str) -> None:
    """What a test leaves changed in its process, for good, is no concern of ours: nothing is lost, nothing hangs."""
    pytester.makepyfile(habit=habit)
    pytester.makepyfile(
        """
        import pytest

        import habit

        def test_before(): pass

        def test_habit(): habit.do()

        @pytest.mark.parametrize("number", range(6))
        def test_behind(number): print("printed")
        """
    )
    result = runs.run(pytester, "-n", "1")
    result.assert_outcomes(passed=8)
    if start_method == "spawn" and habit is HABITS["no system calls"]:
        # A spawned worker puts pytest itself away, and that fails then, as in a plain run.
        assert result.ret == pytest.ExitCode.INTERNAL_ERROR
        return
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("capture", ["fd", "no"])
def test_closing_all_descriptors_is_a_crash(pytester: pytest.Pytester, capture: str) -> None:
    """The worker's connection is closed with the rest: that test has crashed, and the line says why; the rest runs."""
    pytester.makepyfile(
        test_a="""
        import os

        def test_before(): pass
        def test_closing(): os.closerange(3, 4096)
        def test_behind(): pass
        """
    )
    result = runs.run(pytester, "-n", "1", f"--capture={capture}")
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    shown = runs.failure(result, "test_closing")
    assert "worker 'gw0' crashed while running 'test_a.py::test_closing'" in shown
    assert "file descriptors" in shown


@pytest.mark.parametrize("kind", ["file", "socket"])
def test_what_takes_the_place_of_our_descriptors_is_left_alone(pytester: pytest.Pytester, kind: str) -> None:
    """A file or socket of the test's own under every number of ours receives no byte; the test has crashed."""
    pytester.makepyfile(
        test_a=f"""
        import os
        import pathlib
        import socket

        def own_descriptor():
            if "{kind}" == "file":
                return os.open("mine.txt", os.O_RDWR | os.O_CREAT | os.O_APPEND), None
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            return theirs.detach(), ours.detach()

        def test_before(): pass

        def test_taking():
            os.closerange(3, 4096)
            mine, reader = own_descriptor()
            if reader is not None:
                # A child keeps what comes out at the other end.
                if os.fork() == 0:
                    os.set_blocking(reader, True)
                    os.close(mine)
                    with open("mine.txt", "wb") as file:
                        while data := os.read(reader, 4096):
                            file.write(data)
                    pathlib.Path("closed.happened").touch()
                    os._exit(0)
                os.close(reader)
            os.write(mine, b"mine")
            for number in range(3, 100):
                if number != mine:
                    os.dup2(mine, number)

        def test_behind(): pass

        def test_last():
            if "{kind}" == "socket":
                import happenings
                happenings.wait_for("closed")
        """
    )
    # Without capture: pytest's own would truncate what is under the number of its file, in a plain run too.
    result = runs.run(pytester, "-n", "1", "-s")
    result.assert_outcomes(passed=3, failed=1)
    assert "crashed while running 'test_a.py::test_taking'" in runs.failure(result, "test_taking")
    assert (pytester.path / "mine.txt").read_bytes() == b"mine"


# --- Children that fall through ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["setup", "call", "teardown", "the last teardown"])
def test_a_forked_child_that_falls_through_ends(pytester: pytest.Pytester, phase: str) -> None:
    """Out of its test into our loop: there it ends, runs nothing, says nothing; the parent waits for it and goes on."""
    pytester.makepyfile(
        f"""
        import os

        import pytest

        import happenings

        def returning(): pass
        def failing(): assert 0
        def skipping(): pytest.skip("in the child")
        def leaving(): raise SystemExit(0)
        def interrupted(): raise KeyboardInterrupt
        def exiting(): pytest.exit("in the child")

        FALLS = [returning, failing, skipping, leaving, interrupted, exiting]

        @pytest.fixture(autouse=True)
        def noted(request):
            happenings.note("ran", request.node.name)

        @pytest.fixture(params=FALLS)
        def fall(request):
            return request.param

        def fork(fall):
            child = os.fork()
            if child == 0:
                happenings.note("fell", fall.__name__)
                fall()
            else:
                os.waitpid(child, 0)
            return child

        @pytest.fixture
        def around(fall):
            if "{phase}" == "setup":
                fork(fall)
            yield
            if "{phase}" == "teardown":
                fork(fall)

        @pytest.fixture(scope="session", autouse="{phase}" == "the last teardown")
        def wide():
            yield
            for fall in FALLS:
                if fork(fall) == 0:
                    break

        def test_before(): pass

        def test_forking(fall, around):
            if "{phase}" == "call":
                fork(fall)

        def test_behind(): pass
        """
    )
    result = runs.run(pytester, "-n", "1")
    result.assert_outcomes(passed=8)
    assert result.ret == pytest.ExitCode.OK
    ran = runs.notes(pytester, "ran")
    assert len(runs.notes(pytester, "fell")) == 6
    assert len(ran) == len(set(ran)) == 8


# --- Signal handlers that are left behind -----------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["ValueError", "TimeoutError"])
def test_a_left_behind_handler_that_raises_is_a_warning(pytester: pytest.Pytester, error: str) -> None:
    """An alarm goes off while the worker waits for the controller: a warning names the test, and the run goes on."""
    pytester.makeconftest(
        """
        import os
        import signal

        import happenings

        def pytest_runtest_logreport(report):
            # In the controller, while the worker has asked it what comes next, and sleeps.
            if os.environ.get("PYTEST_XDIST_WORKER") or report.when != "setup" or "test_leaving" not in report.nodeid:
                return
            happenings.tell("controller_is_busy")
            pid = int(happenings.wait_for("called"))
            happenings.wait_until(lambda: happenings.state(pid) == "S")
            os.kill(pid, signal.SIGALRM)
            happenings.wait_for("raised")
        """
    )
    pytester.makepyfile(
        test_a=f"""
        import os
        import signal

        import pytest

        import happenings

        def handler(number, frame):
            happenings.tell("raised")
            raise {error}("much too late")

        @pytest.fixture
        def printing():
            print("so that the setup is reported at once")

        def test_leaving(printing):
            signal.signal(signal.SIGALRM, handler)
            happenings.wait_for("controller_is_busy")
            happenings.tell("called", os.getpid())

        def test_behind(): pass
        def test_last(): pass
        """
    )
    result = runs.run(pytester, "-n", "1")
    result.assert_outcomes(passed=3, warnings=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["test_a.py::test_leaving", f"*signal handler raised {error}: much too late*'test_a.py::test_leaving'"]
    )


def test_alarms_without_end_lose_nothing(pytester: pytest.Pytester) -> None:
    """A timer that goes off every half millisecond, with a handler that does nothing, disturbs no message."""
    pytester.makepyfile(
        """
        import signal

        import pytest

        def test_starting():
            signal.signal(signal.SIGALRM, lambda number, frame: None)
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)

        @pytest.mark.parametrize("number", range(200))
        def test_behind(number):
            print("x" * 5000)
        """
    )
    result = runs.run(pytester, "-n", "1")
    result.assert_outcomes(passed=201)


# --- Descriptors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stray", [r"b'\0' * 40", "b'x' * 4000", "b'?'"], ids=["zeros", "text", "one byte"])
def test_writing_to_every_descriptor(pytester: pytest.Pytester, stray: str) -> None:
    """It costs the test that does it, by name and with the reason; its children do not reach us."""
    pytester.makepyfile(
        f"""
        import os

        import pytest

        def write():
            for fd in range(3, 100):
                try:
                    os.set_blocking(fd, False)
                    os.write(fd, {stray})
                except OSError:
                    pass

        def test_writing():
            write()

        def test_writing_in_a_child():
            pid = os.fork()
            if not pid:
                write()
                os._exit(0)
            os.waitpid(pid, 0)

        @pytest.mark.parametrize("number", range(10))
        def test_other(number):
            pass
        """
    )
    result = runs.run(pytester, "-n", "2", "-v")
    found = runs.outcomes(result)
    assert [found[f"test_other[{number}]"] for number in range(10)] == [["PASSED"]] * 10
    assert found["test_writing_in_a_child"] == ["PASSED"]
    assert found["test_writing"] == ["FAILED"]
    result.stdout.fnmatch_lines(
        ["worker 'gw?' crashed while running '*::test_writing' (*wrote to file descriptors that are not its own*)"]
    )
