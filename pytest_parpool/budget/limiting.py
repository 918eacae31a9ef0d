"""Limits native libraries in a run with workers: before a conftest is imported, because they look when they are loaded.

Set in the controller and inherited by the workers. At the end everything is as it was, because a program may call
``pytest.main`` and go on.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Literal

import pytest

from pytest_parpool.budget.native_limits import header_line, threads_each, variables_to_set
from pytest_parpool.errors import BadSettingError
from pytest_parpool.model.records import Record, record
from pytest_parpool.settings import Settings, read_settings

# Whoever loads a BLAS or OpenMP in a Python process comes through one of these, with hardly an exception. Looking for
# the libraries themselves would mean reading /proc/self/maps in every run.
_IMPORTERS = ("numpy", "torch")


@record
class NativeLimits(Record):
    """What was done.

    Attributes:
        threads: On how many a library may compute.
        names: The variables that we have set, so not those that the user had set.
        late: Modules that were imported before, so that their libraries have not seen the variables.
        unlimited: Those of them whose libraries could not be limited otherwise.
    """

    threads: int
    names: tuple[str, ...]
    late: tuple[str, ...]
    unlimited: tuple[str, ...]


LIMITS = pytest.StashKey[NativeLimits]()
"""There if something was set."""


def limit_native_threads(config: pytest.Config) -> None:
    """Give each native library the worker's share of the slots, where the user has not said otherwise.

    Called before conftests are imported. A bad value is not complained about: that is done when all options are known.
    """
    try:
        settings = read_settings(
            config.known_args_namespace, config.getini, auto_count=functools.partial(_auto_count, config)
        )
    except BadSettingError:
        return
    if not settings.limit_native_threads or not settings.processes:
        return
    threads = threads_each(settings.cpu_slots, settings.processes)
    values = variables_to_set(os.environ, threads)
    if not values:
        return
    os.environ.update(values)
    config.add_cleanup(functools.partial(_take_back, values))
    late = tuple(name for name in _IMPORTERS if name in sys.modules)
    unlimited = late
    if late:
        from pytest_parpool.budget import loaded_libraries

        unlimited, restore = loaded_libraries.limit(threads, values, late)
        config.add_cleanup(restore)
    config.stash[LIMITS] = NativeLimits(threads, tuple(values), late, unlimited)


def task_environment(config: pytest.Config, settings: Settings) -> dict[str, str]:
    """Return the variables of a process that runs a task of a pool, in one slot: also what it starts has one CPU.

    Of those of native libraries, the ones that the user has left to us.
    """
    limits = config.stash.get(LIMITS, None)
    names: Iterable[str] = limits.names if limits is not None else ()
    if settings.limit_native_threads and not settings.processes:
        names = variables_to_set(os.environ, 1)
    return {"PYTHON_CPU_COUNT": "1", **dict.fromkeys(names, "1")}


def header_lines(config: pytest.Config) -> list[str]:
    """Return what is to be said about it with ``-v``."""
    limits = config.stash.get(LIMITS, None)
    if limits is None:
        return []
    lines = [header_line(limits.threads, limits.names)]
    if limits.unlimited:
        lines.append(
            f"parpool: {' and '.join(limits.unlimited)} had been imported before and may use more; "
            "install threadpoolctl to limit that too"
        )
    return lines


def environ_at_load(config: pytest.Config) -> Mapping[str, str]:
    """Return the environment from which native libraries took their number of threads when they were loaded.

    If some were loaded before our variables were there, it is the one without them. It says too much of those that
    were loaded later, and for finding threads that nothing explains, too much is the safe side.
    """
    limits = config.stash.get(LIMITS, None)
    if limits is None or not limits.late:
        return os.environ
    return {name: value for name, value in os.environ.items() if name not in limits.names}


def _auto_count(config: pytest.Config) -> int:
    """Return what ``-n auto`` stands for, as far as that can be told before conftests are imported."""
    option = config.known_args_namespace
    is_given = option.parpool_cpus is not None or config.getini("parpool_cpus")
    if not is_given and not os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return 1  # A slot each, however many there will be; so nothing needs to be counted yet.
    from pytest_parpool.cpus import auto_worker_count

    kind: Literal["auto", "logical"] = "logical" if option.numprocesses == "logical" else "auto"
    return auto_worker_count(kind, environ=os.environ)


def _take_back(values: Mapping[str, str]) -> None:
    """Unset what we have set; a value that has changed since is somebody else's."""
    for name, value in values.items():
        if os.environ.get(name) == value:
            del os.environ[name]
