"""Gives a run its jobserver: starts it, names it in ``MAKEFLAGS``, and puts a token in for each slot that is free."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence

import pytest

from pytest_parpool.budget.jobserver import MOST_TOKENS, Jobserver, ask_make_version, open_ends
from pytest_parpool.budget.makeflags import FIRST_WITH_AUTH, FIRST_WITH_FIFO, find_jobserver, with_other_pipe
from pytest_parpool.errors import BadSettingError
from pytest_parpool.settings import Settings

_SOURCE = "ini option parpool_jobserver"

# Where a process that has not inherited the descriptors finds the pipe; there only if MAKEFLAGS does not say it.
PIPE_VARIABLE = "PYTEST_PARPOOL_JOBSERVER"


class JobserverPlugin:
    """Puts tokens into the run's jobserver. Registered in the controller only.

    Args:
        server: Empty.
        slots: Of the whole run.
        is_leaving_final: Whether a worker that has left properly has no successor.
    """

    def __init__(self, server: Jobserver, slots: int, *, is_leaving_final: bool) -> None:
        self._server = server
        self._slots = slots
        self._is_leaving_final = is_leaving_final
        self._workers = 0
        self._tokens = 0

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[object]) -> None:
        """Offer what the workers leave: now it is known how many there really are."""
        self._workers = len(specs)
        self._offer()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, error: object) -> None:
        """Offer the slot of a worker that has nothing more to do; one that died may be replaced and needs its slot."""
        if error is None and self._is_leaving_final:
            self._workers -= 1
            self._offer()

    def _offer(self) -> None:
        free = min(self._slots - self._workers, MOST_TOKENS)
        if free > self._tokens:
            self._server.add_tokens(free - self._tokens)
            self._tokens = free


def start(config: pytest.Config, settings: Settings) -> str:
    """Start a jobserver for this run, which ends with it, unless pytest runs under one that is there already.

    Args:
        config: Pytest's.
        settings: With workers.

    Returns:
        What is to be said about it with ``-v``.

    Raises:
        BadSettingError: If that is not possible here.
    """
    before = os.environ.get("MAKEFLAGS", "")
    if find_jobserver(before):
        return "parpool: MAKEFLAGS names a jobserver already, which tests use"
    slots = settings.cpu_slots
    stack = contextlib.ExitStack()
    try:
        server = stack.enter_context(_make_server())
    except OSError as error:
        raise BadSettingError(f"{_SOURCE}: there can be no named pipe ({error}); set TMPDIR or take it out") from error
    values = {"MAKEFLAGS": server.makeflags(before, slots)}
    if not server.is_named:
        values[PIPE_VARIABLE] = server.path
    # A function, no generator: a worker drops the controller's cleanups, and a dropped generator would do its part.
    stack.callback(_take_back, values, {name: os.environ.get(name) for name in values})
    os.environ.update(values)
    config.add_cleanup(stack.close)
    plugin = JobserverPlugin(server, slots, is_leaving_final=settings.max_tasks_per_child is None)
    config.pluginmanager.register(plugin, "parpool-jobserver")
    return (
        f"parpool: make, ninja and cargo share {slots} CPU slot{'s' if slots != 1 else ''} with the tests (MAKEFLAGS)"
    )


def join() -> None:
    """Open the run's jobserver in a worker that was spawned, and so has inherited none of its descriptors."""
    path = os.environ.get(PIPE_VARIABLE)
    if path is None:
        return
    try:
        reader, writer = open_ends(path, is_inheritable=True)
    except OSError:
        return  # The controller is gone, and so is soon this worker.
    os.environ["MAKEFLAGS"] = with_other_pipe(os.environ.get("MAKEFLAGS", ""), reader, writer)


def _make_server() -> Jobserver:
    """Make a jobserver that the ``make`` of this machine understands.

    Raises:
        BadSettingError: If there can be none.
    """
    if not hasattr(os, "mkfifo"):
        raise BadSettingError(f"{_SOURCE}: true is not allowed, because this platform has no named pipes; take it out")
    version = ask_make_version()
    if version is not None and version < FIRST_WITH_AUTH:
        raise BadSettingError(
            f"{_SOURCE}: GNU make {version[0]}.{version[1]} is too old for a jobserver of others; "
            f"put {FIRST_WITH_AUTH[0]}.{FIRST_WITH_AUTH[1]} or later first in PATH, or take it out"
        )
    is_named = version is None or version >= FIRST_WITH_FIFO
    place = tempfile.gettempdir()
    if is_named and place.split() != [place]:
        raise BadSettingError(
            f"{_SOURCE}: the temporary directory {place!r} is not allowed, because MAKEFLAGS ends a path at a blank; "
            "set TMPDIR"
        )
    return Jobserver(is_named=is_named)


def _take_back(values: Mapping[str, str], before: Mapping[str, str | None]) -> None:
    """Give the environment back; a value that has changed since is somebody else's."""
    for name, value in values.items():
        old = before[name]
        if os.environ.get(name) == value:
            if old is None:
                del os.environ[name]
            else:
                os.environ[name] = old
