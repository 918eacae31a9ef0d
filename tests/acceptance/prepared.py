"""Starts inner runs soon: each is forked from an interpreter that has imported pytest, and next to nothing else.

Most of what a short run costs is the import of pytest's own modules, and the suite starts more than a thousand runs.
So a process of its own imports them once, in the state that ``python -m pytest`` has then, and forks: what comes
behind, from the command line and the plugins on, is done by each run itself. Only the code of this package's modules is
there, so that importing one reads no file (``known_code``). ``test_prepared`` compares such a run with a whole one.

The same is done for spawned workers (``nursery``), but for those of tests with the mark ``whole_workers``: they are
interpreters of their own, as a user's are.

Both end without taking all objects apart, where no thread is left: exit handlers are called, and output is written out.

Runs that measure have coverage imported, too, in a process of their own. ``coverage run`` is prepared although it would
import pytest while it measures: it measures only what the inner suites say.

A run whose interpreter would begin otherwise is started whole, as a user starts it, and so are those that do not come
through ``runs.run``, and all with ``PARPOOL_TEST_STARTS=whole``; workers alone with ``PARPOOL_TEST_WORKERS=whole``.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.acceptance.forker import ANSWER_BYTES

SWITCH = "PARPOOL_TEST_STARTS"
WORKERS_SWITCH = "PARPOOL_TEST_WORKERS"
SCRIPTS = ("start.py",)
"""Names of scripts in the current directory that do nothing but run pytest."""
IS_AVAILABLE = sys.platform == "linux" and os.environ.get(SWITCH) != "whole"

# How a run may be called, and which module that runs; a script is one that runs pytest.
_MODULES = {("-mpytest",): "pytest", ("-m", "pytest"): "pytest", ("-m", "coverage"): "coverage"}
# By one of these an interpreter measures itself from its start on; others coverage reads when it measures.
_MEASURED = "COVERAGE_PROCESS_"
# What an interpreter reads at its start, or the C library does.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", _MEASURED, "LD_", "MALLOC_")
# The option that says how many workers there are, but for none.
_WORKERS = re.compile(r"(^| )(-n|--numprocesses)[ =]?(?!0\b)\w")
_FORKER = str(Path(__file__).with_name("forker.py"))


class PreparedRun:
    """A run that was forked. As much of a ``subprocess.Popen`` as ``Pytester.run`` needs.

    Args:
        answers_fd: From the process that has forked it, and waits for it.
    """

    stdin = None

    def __init__(self, answers_fd: int) -> None:
        self._answers_fd = answers_fd
        self.pid = int(os.read(answers_fd, ANSWER_BYTES))

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative for a signal, as soon as there is one.

        Raises:
            subprocess.TimeoutExpired: If there is none in time.
        """
        if not select.select([self._answers_fd], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("pytest", timeout or 0.0)
        return int(os.read(self._answers_fd, ANSWER_BYTES))

    def kill(self) -> None:
        """Kill it. It is there, since nobody waits for it but who tells us so."""
        os.kill(self.pid, signal.SIGKILL)


def is_possible(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a command is a run of pytest, and its interpreter would be no other one for its environment."""
    return (
        IS_AVAILABLE
        and os.environ.get(SWITCH) != "whole"
        and command[0] == sys.executable
        and _split(command) is not None
        and not any(name.startswith(_MEASURED) for name in environment)
        and _read_at_start(environment) == _own_process(os.getpid()).read_at_start
    )


def start(command: Sequence[str], environment: Mapping[str, str], stdout: IO[str], stderr: IO[str]) -> PreparedRun:
    """Begin a run, with nothing to read, in the current directory."""
    module, arguments = _split(command) or (None, [])
    forker = _own_process(os.getpid(), *_imported_before(module, arguments))
    request = {
        "directory": os.getcwd(),
        "environment": dict(environment),
        "command": command[1:],
        "module": module,
        "arguments": arguments,
        "has_workers": _has_workers(arguments),
        "forks_workers": os.environ.get(WORKERS_SWITCH) != "whole" and _spawns_workers(arguments, environment),
        "stdout": os.path.abspath(stdout.name),
        "stderr": os.path.abspath(stderr.name),
    }
    os.write(forker.requests_fd, json.dumps(request).encode() + b"\n")
    return PreparedRun(forker.answers_fd)


def _split(command: Sequence[str]) -> tuple[str | None, Sequence[str]] | None:
    """Return the module that is run, or None for a script, and ``sys.argv``; None for what is no run of pytest."""
    for call, module in _MODULES.items():
        if tuple(command[1 : 1 + len(call)]) == call:
            return module, ["-m", *command[1 + len(call) :]]
    return (None, command[1:]) if command[1] in SCRIPTS else None


def _spawns_workers(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a run will spawn workers because the test runs with that start method.

    One without workers runs the tests itself, and these may look at their children.
    """
    is_spawning = "--start-method=spawn" in environment.get("PYTEST_ADDOPTS", "").split()
    return is_spawning and _has_workers(arguments)


def _has_workers(arguments: Sequence[str]) -> bool:
    return _WORKERS.search(" ".join(arguments)) is not None


def _imported_before(module: str | None, arguments: Sequence[str]) -> tuple[str, ...]:
    """Return what a run's forker has imported besides pytest."""
    measures = module == "coverage" or any(argument.startswith("--cov") for argument in arguments)
    return ("coverage",) if measures else ()


def forker_pid() -> int:
    """Return the id of the process that forks for this one."""
    return _own_process(os.getpid()).pid


class _Prepared:
    """The process that forks. It ends when the one that has started it does.

    Args:
        modules: What it imports besides pytest.
    """

    def __init__(self, *modules: str) -> None:
        self.read_at_start = _read_at_start(os.environ)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        read_end, self.requests_fd = os.pipe()
        self.answers_fd, write_end = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, _FORKER, str(read_end), str(write_end), *modules],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
            pass_fds=[read_end, write_end],
        )
        os.close(read_end)
        os.close(write_end)
        self.pid = self._process.pid
        atexit.register(self._end, os.getpid())

    def _end(self, owner: int) -> None:
        """Have it end, and wait for that, so that what it has used is counted as ours."""
        if os.getpid() == owner:
            # Not by closing alone: what has been forked from us, and is there yet, has the pipe open, too.
            os.write(self.requests_fd, b"\n")
            os.close(self.requests_fd)
            self._process.wait()


@functools.cache
def _own_process(pid: int, *modules: str) -> _Prepared:
    """Return the process of this one that has imported these; a child would get another one's answers."""
    return _Prepared(*modules)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in environment.items() if name.startswith(_READ_AT_START) and name != "PYTHONPATH"
    }
