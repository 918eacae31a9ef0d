"""The entry point that pytest loads: registers options, hooks, fixtures and, for a run with workers, the controller."""

from __future__ import annotations

import functools
import os
from collections.abc import Generator
from typing import Literal

import pytest

from pytest_parpool.compat import own_imports  # noqa: F401  -- the first of ours, see there

# isort: split
from pytest_parpool import hookspecs, runs, sharing
from pytest_parpool.compat import (
    log_lines,
    pytest_internals,
    random_state,
    xdist_beside,
    xdist_hookspecs,
    xdist_stand_in,
)
from pytest_parpool.compat.spawned_worker import spawned_worker
from pytest_parpool.errors import BadSettingError
from pytest_parpool.fixtures import (
    parpool,
    parpool_event,
    parpool_lock,
    parpool_pool,
    parpool_pool_factory,
    parpool_value,
    testrun_uid,
    worker_id,
)
from pytest_parpool.options import add_options
from pytest_parpool.settings import Settings, publish, read_settings
from pytest_parpool.stash import SETTINGS, TESTRUNUID

__all__ = [
    "parpool",
    "parpool_event",
    "parpool_lock",
    "parpool_pool",
    "parpool_pool_factory",
    "parpool_value",
    "testrun_uid",
    "worker_id",
]

_RANDOM_AT_LOAD = random_state.remember()


@pytest.hookimpl
def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Register our options."""
    add_options(parser, is_xdist_loaded=xdist_beside.take_over(pluginmanager, xdist_stand_in))


@pytest.hookimpl
def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register our hooks, and pytest-xdist's, which conftests implement."""
    pluginmanager.add_hookspecs(hookspecs)
    if not hasattr(pluginmanager.hook, "pytest_xdist_setupnodes"):
        pluginmanager.add_hookspecs(xdist_hookspecs)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Limit native libraries before anything loads them, and see what is done that a fork would not survive.

    Other plugins load whole applications in this hook.
    """
    option = early_config.known_args_namespace
    is_controller = (option.numprocesses or option.tx) and spawned_worker(early_config) is None
    if is_controller and not option.collectonly:
        from pytest_parpool.budget.limiting import limit_native_threads
        from pytest_parpool.compat import fork_safety

        limit_native_threads(early_config)
        fork_safety.watch()
        early_config.add_cleanup(fork_safety.stop_watching)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Check the settings, before anything else happens.

    Raises:
        pytest.UsageError: If a value is not allowed.
    """
    worker = spawned_worker(config)
    if worker is not None:
        worker.begin(config)
    try:
        settings = read_settings(config.option, config.getini, auto_count=lambda: _auto_count(config))
        for initializer in settings.initializers:
            initializer.load()
    except BadSettingError as error:
        raise pytest.UsageError(str(error)) from None
    if worker is not None and settings.jobserver:
        from pytest_parpool.budget import jobserver_plugin

        jobserver_plugin.join()
    publish(settings, config.option)
    config.stash[SETTINGS] = settings
    config.stash[TESTRUNUID] = settings.testrunuid
    if worker is None:
        sharing.prepare(config, has_workers=bool(settings.processes))
    find_budget = functools.partial(_find_budget, config)
    runs.enter_budget(find_budget)
    config.add_cleanup(functools.partial(runs.leave_budget, find_budget))
    if settings.processes and not config.option.collectonly:
        # Here, before other plugins are configured: see there.
        from pytest_parpool import garbage
        from pytest_parpool.compat.rerun_plan import REGISTRATIONS, Registrations

        config.stash[REGISTRATIONS] = Registrations(config)
        config.add_cleanup(functools.partial(garbage.thaw, config))


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the controller, if this run is to have workers."""
    config.addinivalue_line(
        "markers", "xdist_group(name): with --dist loadgroup, all tests of one group run in the same worker."
    )
    log_lines.offer_worker_id(config)
    settings = config.stash.get(SETTINGS, None)
    if settings is None or not settings.processes or config.option.collectonly:
        return
    # Only now: who runs without workers does not pay for loading all that.
    from pytest_parpool.budget import membership
    from pytest_parpool.controller.plugin import ControllerPlugin
    from pytest_parpool.worker.main import WorkerMain

    notes = (*_notes(config), *_budget_notes(config, settings))
    membership.prepare(config, settings)
    plugin = ControllerPlugin(config, settings, _RANDOM_AT_LOAD, notes, WorkerMain)
    config.pluginmanager.register(plugin, "dsession")
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        reporter.showfspath = False  # Results of several files come mixed.


def _find_budget(config: pytest.Config) -> object:
    """Return the CPU budget as this process sees it, for the pools that are made here; see ``runs``."""
    from pytest_parpool.budget import membership

    return membership.find_account(config, config.stash[SETTINGS])


def _budget_notes(config: pytest.Config, settings: Settings) -> list[str]:
    """Start the jobserver if there is to be one; return what the header has to say about the CPU budget."""
    notes: list[str] = []
    is_verbose = config.getoption("verbose", 0) > 0  # Without a terminal there is no such option.
    if is_verbose and settings.limit_native_threads:
        from pytest_parpool.budget.limiting import header_lines

        notes += header_lines(config)
    if settings.jobserver:
        from pytest_parpool.budget import jobserver_plugin

        try:
            notes.append(jobserver_plugin.start(config, settings))
        except BadSettingError as error:
            raise pytest.UsageError(str(error)) from None
    return notes if is_verbose else []


def _auto_count(config: pytest.Config) -> int:
    found = config.hook.pytest_xdist_auto_num_workers(config=config)
    if found is not None:
        return int(found)
    from pytest_parpool.cpus import auto_worker_count

    kind: Literal["auto", "logical"] = "logical" if config.option.numprocesses == "logical" else "auto"
    return auto_worker_count(kind, environ=os.environ)


def _notes(config: pytest.Config) -> tuple[str, ...]:
    """Return what the header has to say besides the number of workers."""
    notes: list[str] = []
    if xdist_beside.is_installed():
        notes.append("parpool: pytest-xdist is installed too; -n is parpool's here, -p no:parpool gives it back")
    missing = pytest_internals.missing_internals(config)
    if missing:
        notes.append(f"parpool: this pytest has no {', '.join(missing)}; some output may differ from a plain run")
    return tuple(notes)
