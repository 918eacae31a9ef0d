"""A run, and a worker, that is forked from a prepared interpreter finds everything as in one that is started whole."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import prepared
from tests.acceptance.runs import (
    RUN_SECONDS,
    START_METHOD,
    add_happenings,
    notes,
    prepare_environment,
    run,
    run_module,
    start_prepared,
)

pytestmark = [pytest.mark.start_method(None), pytest.mark.beside_others]

PR_GET_TID_ADDRESS = 40  # Linux has it where processes can be saved and restored; the nursery needs it.
IS_NURSERY_AVAILABLE = (
    prepared.IS_AVAILABLE
    and os.uname().machine in {"x86_64", "aarch64"}
    and ctypes.CDLL(None).prctl(PR_GET_TID_ADDRESS, ctypes.byref(ctypes.c_void_p())) == 0
)

STATE = """
import atexit
import faulthandler
import gc
import json
import locale
import os
import re
import resource
import signal
import sys
import threading


def kind(path):
    return re.sub(r"\\d+", "N", path)


def without_size(argument):
    # That of a worker's order depends on how many digits process ids have.
    return re.sub(r"^\\d{3,}$", "N", argument)


def stream(found):
    return [str(type(found)), found.encoding, found.errors, found.line_buffering, found.isatty(), found.closed]


def descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = kind(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass  # It was open for the listing itself.
    return found


def pytest_load_initial_conftests():
    note("early")


def pytest_collection_finish():
    note("late")


def note(name):
    umask = os.umask(0)
    os.umask(umask)
    main = sys.modules["__main__"]
    state = {
        "arguments": [sys.argv, [without_size(argument) for argument in sys.orig_argv]],
        "main": [getattr(main.__spec__, "name", None), getattr(main, "__file__", None)],
        "flags": [repr(sys.flags), sys.warnoptions, repr(sys._xoptions), sys.dont_write_bytecode, sys.pycache_prefix],
        "path": sys.path,
        "modules": sorted(sys.modules),
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "descriptors": descriptors(),
        "streams": [stream(found) for found in (sys.__stdin__, sys.__stdout__, sys.__stderr__)],
        "handlers": {number.name: str(signal.getsignal(number)) for number in signal.Signals},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "threads": [[thread.name, thread.ident == threading.main_thread().ident] for thread in threading.enumerate()],
        "native threads": len(os.listdir("/proc/self/task")),
        "session": [found == os.getpid() or found for found in (os.getsid(0), os.getpgrp())],
        "garbage collector": [gc.isenabled(), gc.get_threshold()],
        "limits": [resource.getrlimit(number) for number in range(resource.RLIM_NLIMITS)]
        if hasattr(resource, "RLIM_NLIMITS")
        else [resource.getrlimit(number) for number in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)],
        "umask": umask,
        "locale": locale.setlocale(locale.LC_ALL),
        "faulthandler": faulthandler.is_enabled(),
        "hooks of the interpreter": [
            sys.excepthook.__qualname__, *(type(hook).__qualname__ for hook in (sys.gettrace(), sys.getprofile()))
        ],
        "exit handlers": atexit._ncallbacks(),
    }
    with open(f"{name}-{os.environ.get('PYTEST_XDIST_WORKER', 'run')}.json", "w") as file:
        json.dump(state, file)
"""


def run_script(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run a script that runs pytest."""
    (pytester.path / "start.py").write_text("import sys\nimport pytest\nsys.exit(pytest.main())\n")
    with pytest.MonkeyPatch.context() as patch:
        prepare_environment(patch, arguments)
        start_prepared(patch, pytester)
        return pytester.run(sys.executable, "start.py", *arguments, timeout=RUN_SECONDS)


WAYS: dict[str, Callable[..., pytest.RunResult]] = {
    "-mpytest": run,
    "-m pytest": lambda pytester, *arguments: run_module(pytester, "pytest", *arguments),
    "-m coverage": lambda pytester, *arguments: run_module(pytester, "coverage", "run", "-m", "pytest", *arguments),
    "script": run_script,
}


def states(pytester: pytest.Pytester, way: str, process: str, *arguments: str) -> dict[str, Any]:
    """Run a suite; return in what state a process of it was before it read a conftest, and behind the collection."""
    WAYS[way](pytester, "-p", "state", *arguments).assert_outcomes(passed=1)
    texts = {name: (pytester.path / f"{name}-{process}.json").read_text() for name in ("early", "late")}
    # Each run has a directory of its own.
    return {name: json.loads(text.replace("runpytest-1", "runpytest-0")) for name, text in texts.items()}


def assert_alike(forked: dict[str, Any], whole: dict[str, Any], *without: str) -> None:
    """Compare two processes field by field, but for these variables of the environment."""
    for moment, fields in whole.items():
        for found in (fields, forked[moment]):
            for name in without:
                found["environment"].pop(name, None)
        for field, value in fields.items():
            assert forked[moment][field] == value, (moment, field)


@pytest.mark.skipif(not prepared.IS_AVAILABLE, reason="runs are started whole")
@pytest.mark.parametrize("way", WAYS)
def test_a_prepared_run_is_like_a_whole_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Field by field, the imported modules among them."""
    pytester.makepyfile(state=STATE, test_it="def test_it(): pass")
    monkeypatch.setenv("PARPOOL_TEST_OF", "environment")
    forked = states(pytester, way, "run")
    monkeypatch.setenv(prepared.SWITCH, "whole")
    assert_alike(forked, states(pytester, way, "run"), prepared.SWITCH)


@pytest.mark.skipif(not prepared.IS_AVAILABLE, reason="runs are started whole")
@pytest.mark.parametrize("way", WAYS)
def test_a_prepared_worker_is_like_a_whole_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A spawned one, field by field."""
    pytester.makepyfile(state=STATE, test_it="def test_it(): pass")
    monkeypatch.setenv(START_METHOD, "spawn")
    monkeypatch.delenv(prepared.WORKERS_SWITCH, raising=False)
    forked = states(pytester, way, "gw0", "-n1")
    monkeypatch.setenv(prepared.WORKERS_SWITCH, "whole")
    # Each run has an id of its own.
    assert_alike(forked, states(pytester, way, "gw0", "-n1"), prepared.WORKERS_SWITCH, "PYTEST_XDIST_TESTRUNUID")


@pytest.mark.skipif(not prepared.IS_AVAILABLE, reason="runs are started whole")
def test_runs_are_prepared(pytester: pytest.Pytester) -> None:
    """Else all that would be compared with itself."""
    pytester.makepyfile(
        """
        import os

        def test_parent():
            with open("parent", "w") as file:
                file.write(str(os.getppid()))
        """
    )
    for _ in range(2):
        run(pytester).assert_outcomes(passed=1)
        parent = int((pytester.path / "parent").read_text())
        assert parent == prepared.forker_pid()


@pytest.mark.skipif(not prepared.IS_AVAILABLE, reason="runs are started whole")
def test_code_is_known(pytester: pytest.Pytester) -> None:
    """No module of ours is read from its file, but for what comes first; modules say the same of themselves."""
    pytester.makepyfile(
        """
        import json
        import pkgutil
        import sys

        import pytest_parpool

        def test_modules():
            ours = {name: module for name, module in sys.modules.items() if name.startswith("pytest_parpool.")}
            about = {
                name: [module.__file__, module.__cached__, module.__package__, getattr(module, "__path__", None)]
                for name, module in ours.items()
            }
            about["all"] = [name for _, name, _ in pkgutil.iter_modules(pytest_parpool.__path__)]
            loaders = {name: type(module.__spec__.loader).__name__ for name, module in ours.items()}
            with open("found.json", "w") as file:
                json.dump([about, loaders], file)
        """
    )

    def found(*arguments: str) -> tuple[dict[str, list[object]], dict[str, str]]:
        run(pytester, *arguments).assert_outcomes(passed=1)
        about, loaders = json.loads((pytester.path / "found.json").read_text())
        return about, loaders

    about, loaders = found("-n1")
    # Pytest's rewriting sees the first ones: see test_light_start.
    assert {name for name, loader in loaders.items() if loader != "_KnownLoader"} <= {
        "pytest_parpool.plugin",
        "pytest_parpool.compat",
        "pytest_parpool.compat.own_imports",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(prepared.SWITCH, "whole")
        whole, loaders = found("-n1")
    assert "_KnownLoader" not in loaders.values()
    assert about == whole


@pytest.mark.skipif(not IS_NURSERY_AVAILABLE, reason="spawned workers are started whole")
@pytest.mark.parametrize("how", ["prepared", "whole"])
def test_spawned_workers_are_prepared(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Unless it is not wanted; replacements, too, and each is its controller's child and leads a session."""
    monkeypatch.setenv(START_METHOD, "spawn")
    monkeypatch.setenv(prepared.WORKERS_SWITCH, how)
    add_happenings(pytester)
    pytester.makeconftest("import os\nos.environ.setdefault('CONTROLLER', str(os.getpid()))")
    pytester.makepyfile(
        """
        import os
        from pathlib import Path

        import happenings

        def test_dying():
            os._exit(3)

        def test_worker():
            assert (os.getppid(), os.getsid(0)) == (int(os.environ["CONTROLLER"]), os.getpid())
            happenings.note("command", "forker.py" in Path("/proc/self/cmdline").read_text())
        """
    )
    run(pytester, "-n1").assert_outcomes(passed=1, failed=1)
    assert notes(pytester, "command") == [str(how == "prepared")]


def test_a_run_whose_interpreter_would_be_another_one_is_whole(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Python reads when it starts has its effect."""
    monkeypatch.setenv("PYTHONUTF8", "1")
    pytester.makepyfile("import sys\ndef test_flags(): assert sys.flags.utf8_mode")
    run(pytester).assert_outcomes(passed=1)


def test_exit_codes_and_signals_are_told(pytester: pytest.Pytester) -> None:
    """As by any process that is waited for."""
    pytester.makepyfile(
        test_failing="def test_it(): assert 0",
        test_killed="import os, signal\ndef test_it(): os.kill(os.getpid(), signal.SIGKILL)",
    )
    assert run(pytester, "test_failing.py").ret == 1
    assert run(pytester, "test_killed.py").ret == -9
    assert run(pytester, "test_failing.py").ret == 1


@pytest.mark.parametrize("how", ["prepared", "whole"])
@pytest.mark.parametrize("has_thread", [False, True])
def test_the_end(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str, has_thread: bool) -> None:
    """Exit handlers are called, in order, threads are waited for, and what was printed last is there."""
    if how == "whole":
        monkeypatch.setenv(prepared.SWITCH, "whole")
    pytester.makeconftest(
        f"""
        import atexit
        import sys
        import threading

        def live():
            threading.main_thread().join()
            sys.stdout.write("thread ")

        def pytest_unconfigure():
            atexit.register(sys.stdout.write, "last")
            atexit.register(sys.stdout.write, "first ")
            if {has_thread}:
                threading.Thread(target=live).start()
        """
    )
    result = run(pytester)
    assert result.outlines[-1] == ("thread " if has_thread else "") + "first last"
    assert result.ret == 5
    pytester.makeconftest("import atexit\ndef pytest_unconfigure(): atexit.register(lambda: 1 / 0)")
    result = run(pytester)
    assert (result.ret, result.errlines[-1]) == (5, "ZeroDivisionError: division by zero")


@pytest.mark.skipif(not prepared.IS_AVAILABLE, reason="runs are started whole")
def test_what_a_test_leaves_behind_does_not_hold_up_the_end(pytester: pytest.Pytester) -> None:
    """A child that was forked, and is there yet, has a copy of each descriptor."""
    pytester.makepyfile(
        script="""
        import os
        import signal

        from tests.acceptance import prepared

        prepared.forker_pid()
        if child := os.fork():
            print(child)
        else:
            signal.pause()
        """
    )
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        assert process.wait(RUN_SECONDS / 3) == 0
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()
        process.kill()
        process.wait()
