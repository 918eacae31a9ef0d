"""A run that is forked from a prepared interpreter finds everything as in one that is started whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance import prepared
from tests.acceptance.runs import RUN_SECONDS, run, run_module, start_prepared

pytestmark = pytest.mark.start_method(None)

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
    state = {
        "arguments": [sys.argv, sys.orig_argv],
        "main": [getattr(sys.modules["__main__"].__spec__, "name", None), sys.modules["__main__"].__file__],
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
        "session": [os.getsid(0), os.getpgrp()],
        "garbage collector": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()],
        "limits": [resource.getrlimit(number) for number in range(resource.RLIM_NLIMITS)]
        if hasattr(resource, "RLIM_NLIMITS")
        else [resource.getrlimit(number) for number in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)],
        "umask": umask,
        "locale": locale.setlocale(locale.LC_ALL),
        "faulthandler": faulthandler.is_enabled(),
        "hooks of the interpreter": [sys.excepthook.__qualname__, str(sys.gettrace()), str(sys.getprofile())],
        "exit handlers": atexit._ncallbacks(),
    }
    with open(f"{name}.json", "w") as file:
        json.dump(state, file)
"""


def run_script(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run a script that runs pytest."""
    (pytester.path / "start.py").write_text("import sys\nimport pytest\nsys.exit(pytest.main())\n")
    with pytest.MonkeyPatch.context() as patch:
        start_prepared(patch, pytester)
        return pytester.run(sys.executable, "start.py", *arguments, timeout=RUN_SECONDS)


WAYS: dict[str, Callable[..., pytest.RunResult]] = {
    "-mpytest": run,
    "-m pytest": lambda pytester, *arguments: run_module(pytester, "pytest", *arguments),
    "script": run_script,
}


def states(pytester: pytest.Pytester, way: str) -> dict[str, Any]:
    """Run a suite, and return in what state its process was before it read a conftest, and behind the collection."""
    WAYS[way](pytester, "-p", "state").assert_outcomes(passed=1)
    texts = {name: (pytester.path / f"{name}.json").read_text() for name in ("early", "late")}
    # Each run has a directory of its own.
    return {name: json.loads(text.replace("runpytest-1", "runpytest-0")) for name, text in texts.items()}


@pytest.mark.skipif(not prepared.IS_AVAILABLE, reason="runs are started whole")
@pytest.mark.parametrize("way", WAYS)
def test_a_prepared_run_is_like_a_whole_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Field by field, the imported modules among them."""
    pytester.makepyfile(state=STATE, test_it="def test_it(): pass")
    monkeypatch.setenv("PARPOOL_TEST_OF", "environment")
    forked = states(pytester, way)
    monkeypatch.setenv(prepared.SWITCH, "whole")
    whole = states(pytester, way)
    for moment, fields in whole.items():
        del fields["environment"][prepared.SWITCH]
        for field, value in fields.items():
            assert forked[moment][field] == value, (moment, field)


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
