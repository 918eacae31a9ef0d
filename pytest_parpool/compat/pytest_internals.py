"""Everything of pytest's that is private, in one place.

Each function does one thing to a forked worker's copy of pytest that pytest has no public word for.
``missing_internals`` says at start what this pytest does not have; what depends on it then behaves as in plain pytest.
"""

from __future__ import annotations

import contextlib
import faulthandler
import inspect
import itertools
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import pytest

_CAPTURE_MANAGER = "capturemanager"
_TERMINAL_REPORTER = "terminalreporter"
_CONTROLLERS_CLEANUPS = pytest.StashKey[object]()


def missing_internals(config: pytest.Config) -> tuple[str, ...]:
    """Return the names of what is used here and not there, for one line of warning."""
    wanted: list[tuple[object, str]] = [
        (config.hook.pytest_warning_recorded, "_call_history"),
        (pytest.Session, "_setupstate"),
    ]
    capture = config.pluginmanager.getplugin(_CAPTURE_MANAGER)
    if capture is not None:
        wanted += [(capture, "_global_capturing"), (capture, "_method")]
    terminal = config.pluginmanager.getplugin(_TERMINAL_REPORTER)
    if terminal is not None:
        wanted.append((terminal, "_tw"))
    return tuple(
        name for owner, name in wanted if not hasattr(owner, name) and name not in getattr(owner, "__annotations__", {})
    )


# --- Capture ----------------------------------------------------------------------------------------------------------


def renew_capture(config: pytest.Config) -> tuple[int, int]:
    """Give this process capture files of its own, and return their descriptors (stdout, stderr; -1 for none).

    The files of ``FDCapture`` are shared across a fork: two workers would write, and truncate, the same one. Outside of
    tests standard output goes nowhere, as plugins that print in every process expect, unless the user asked for ``-s``
    or ``tee-sys``.

    The objects stay, and their numbers: what was imported while pytest collected may have ``sys.stdout`` as it was
    then, as handlers of ``logging`` do.
    """
    capture: Any = config.pluginmanager.getplugin(_CAPTURE_MANAGER)
    streams = getattr(capture, "_global_capturing", None)
    if streams is None:
        return -1, -1
    capture.suspend_global_capture(in_=False)
    for stream in (streams.out, streams.err):
        _renew_captured(stream)
    if capture._method in ("fd", "sys"):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        if (saved := getattr(streams.out, "targetfd_save", None)) is not None:
            os.dup2(null, saved, inheritable=False)  # where pytest has the descriptor back from
        os.close(null)
    return capture_fds(config)


def _renew_captured(stream: Any) -> None:
    """Have what was captured until now be the controller's alone."""
    file_fd = _capture_fd(stream)
    if file_fd >= 0:
        with tempfile.TemporaryFile(buffering=0) as own:
            os.dup2(own.fileno(), file_fd, inheritable=False)
    elif (text := getattr(stream, "tmpfile", None)) is not None and not text.closed:
        text.seek(0)
        text.truncate()


def capture_fds(config: pytest.Config) -> tuple[int, int]:
    """Return the descriptors of this process's capture files (stdout, stderr; -1 for none)."""
    capture: Any = config.pluginmanager.getplugin(_CAPTURE_MANAGER)
    streams = getattr(capture, "_global_capturing", None)
    return _capture_fd(getattr(streams, "out", None)), _capture_fd(getattr(streams, "err", None))


def _capture_fd(stream: Any) -> int:
    file = getattr(stream, "tmpfile", None)
    try:
        return int(file.fileno()) if file is not None else -1
    except (OSError, AttributeError, ValueError):  # ``sys`` capture keeps text in memory.
        return -1


def renew_faulthandler() -> tuple[int, IO[bytes] | None]:
    """Have Python stacks of crashes written to a file of this process; return its descriptor, and the file to keep.

    Nothing is done if the handler is off (``-p no:faulthandler``).
    """
    if not faulthandler.is_enabled():
        return -1, None
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  -- it lives as long as the worker
    faulthandler.enable(file)
    return file.fileno(), file


# --- Logging ----------------------------------------------------------------------------------------------------------


def log_handlers(config: pytest.Config) -> list[logging.Handler]:
    """Return what pytest has log records handled by: for reports, ``caplog``, the terminal and ``--log-file``."""
    plugin = config.pluginmanager.get_plugin("logging-plugin")
    names = ("report_handler", "caplog_handler", "log_cli_handler", "log_file_handler")
    found = [getattr(plugin, name, None) for name in names]
    return [handler for handler in found if isinstance(handler, logging.Handler)]


def log_format(handler: logging.Handler) -> str:
    """Return the format of a handler's lines."""
    return getattr(getattr(handler.formatter, "_style", None), "_fmt", None) or ""


def log_file_handler(config: pytest.Config) -> logging.FileHandler | None:
    """Return what writes ``--log-file``, if there is one."""
    handler = getattr(config.pluginmanager.get_plugin("logging-plugin"), "log_file_handler", None)
    # Not by the handler's own name for it: a conftest may have called ``set_log_path``.
    name = getattr(getattr(handler, "stream", None), "name", os.devnull)
    return handler if isinstance(handler, logging.FileHandler) and name != os.devnull else None


# --- Plugins and hooks ------------------------------------------------------------------------------------------------


def forget_recorded_warnings(config: pytest.Config) -> None:
    """Keep the controller's collection warnings out of this process.

    ``pytest_warning_recorded`` is historic: registering anything would report every one of them once more.
    """
    history = getattr(config.hook.pytest_warning_recorded, "_call_history", None)
    if history is not None:
        history.clear()


def drop_junitxml(config: pytest.Config) -> None:
    """Unregister the controller's XML report here, and forget it, so that no test writes to the copy."""
    from _pytest import junitxml

    key: Any = getattr(junitxml, "xml_key", None)
    xml = config.stash.get(key, None) if key is not None else None
    if xml is not None:
        del config.stash[key]
        config.pluginmanager.unregister(xml)


def silence_terminal(config: pytest.Config) -> None:
    """Send what this process's terminal reporter writes nowhere. It stays registered: plugins look for it."""
    terminal: Any = config.pluginmanager.getplugin(_TERMINAL_REPORTER)
    writer = getattr(terminal, "_tw", None)
    if writer is None:
        return
    writer._file = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  -- it lives as long as the worker
    # Its statistics would only grow: nobody reads them here.
    for name in ("pytest_runtest_logreport", "pytest_runtest_logstart", "pytest_runtest_logfinish"):
        hook: Any = getattr(config.hook, name)
        if any(impl.plugin is terminal for impl in hook.get_hookimpls()):
            hook._remove_plugin(terminal)


def drop_terminal_summary(config: pytest.Config) -> None:
    """Have the terminal reporter not ask for the lines that plugins write at the end: the controller's does."""
    terminal: Any = config.pluginmanager.getplugin(_TERMINAL_REPORTER)
    hook: Any = config.hook.pytest_sessionfinish
    if any(impl.plugin is terminal for impl in hook.get_hookimpls()):
        hook._remove_plugin(terminal)


def wrappers_around(hook: str, config: pytest.Config) -> list[object]:
    """Return pytest's own plugins that have to stand around a hook for it to be what it is in a plain run.

    Warnings are recorded there, and log lines written to ``--log-file``.
    """
    if hook not in ("pytest_sessionstart", "pytest_sessionfinish"):
        return []
    found = [config.pluginmanager.get_plugin(name) for name in ("logging-plugin", "warnings")]
    return [plugin for plugin in found if plugin is not None]


def renew_cleanups(config: pytest.Config) -> Callable[[], None]:
    """Leave what was to be cleaned up so far to the controller, and return what does it for all that comes."""
    if hasattr(config, "_cleanup_stack"):
        # Kept: to free what is shared with the controller is to copy it.
        config.stash[_CONTROLLERS_CLEANUPS] = config._cleanup_stack
        config._cleanup_stack = stack = contextlib.ExitStack()
        return stack.close
    functions: list[Callable[[], object]] = []  # Before pytest 8.4.
    config._cleanup = functions  # type: ignore[attr-defined]

    def clean_up() -> None:
        while functions:
            functions.pop()()

    return clean_up


def begin_line(reporter: Any) -> None:
    """End the line that the terminal reporter is writing, if it is.

    Its own ``ensure_newline`` knows lines that begin with a file's name, not those of results only.
    """
    writer: Any = getattr(reporter, "_tw", None)
    if getattr(writer, "width_of_current_line", 0):
        writer.line()
    reporter.currentfspath = None


def core_terminal_reporters(config: pytest.Config) -> list[object]:
    """Return the terminal reporter, in a list, if it is pytest's own; plugins put others in its place."""
    from _pytest.terminal import TerminalReporter

    terminal = config.pluginmanager.getplugin(_TERMINAL_REPORTER)
    return [terminal] if type(terminal) is TerminalReporter else []


def hook_without(config: pytest.Config, name: str, item: pytest.Item, plugins: list[object]) -> Any:
    """Return the caller of an item's hook that leaves out some plugins, and conftests that do not hold for the item."""
    manager: Any = config.pluginmanager
    others = manager._conftest_plugins.difference(manager._getconftestmodules(item.path))
    return manager.subset_hook_caller(name, [*plugins, *others])


# --- Reports ----------------------------------------------------------------------------------------------------------


def failed_subtests(config: pytest.Config) -> Mapping[object, int]:
    """Return how many subtests of which test have failed in this process, kept up to date; empty without subtests.

    A test that passes, but has some, is failed by ``pytest_report_teststatus``, which the terminal reporter calls.
    """
    key: Any = getattr(sys.modules.get("_pytest.subtests"), "failed_subtests_key", None)
    found: Mapping[object, int] = config.stash.get(key, {}) if key is not None else {}
    return found


# --- Temporary directories --------------------------------------------------------------------------------------------


def base_temp(config: pytest.Config) -> Path | None:
    """Return the run's base directory for temporary files, making it if need be; None without pytest's ``tmpdir``."""
    factory = getattr(config, "_tmp_path_factory", None)
    return factory.getbasetemp() if factory is not None else None


def renew_temp_path_factory(config: pytest.Config, find_directory: Callable[[], Path | None]) -> None:
    """Have ``tmp_path`` and its kin live in a directory that is found when it is first needed.

    It is made if need be and never emptied: a replacement keeps its predecessor's, which ``getbasetemp`` of a *given*
    directory would remove.

    Args:
        config: Pytest's.
        find_directory: Returns the directory, or None to have pytest make one of its own.
    """
    old: Any = getattr(config, "_tmp_path_factory", None)
    if old is None:
        return
    new = type(old)(
        given_basetemp=None,
        retention_count=old._retention_count,
        retention_policy=old._retention_policy,
        trace=old._trace,
        _ispytest=True,
    )

    is_found = False

    def getbasetemp() -> Any:
        nonlocal is_found
        if not is_found and new._basetemp is None:
            directory = find_directory()
            if directory is not None:
                directory.mkdir(mode=0o700, exist_ok=True)
                new._basetemp = directory
                config.option.basetemp = str(directory)
            is_found = True
        return type(new).getbasetemp(new)  # Who takes it away from the factory gets what pytest makes.

    new.getbasetemp = getbasetemp
    config._tmp_path_factory = new  # type: ignore[attr-defined]
    legacy: Any = getattr(config, "_tmpdirhandler", None)
    if legacy is not None:
        legacy._tmppath_factory = new


# --- Phases of a test -------------------------------------------------------------------------------------------------


def raise_unraisable(item: pytest.Item) -> None:
    """Have pytest look, once more in an item's teardown, for exceptions that nobody could be given.

    Before pytest 8.4 it looks when all hooks of a phase are through, and needs no asking.

    Raises:
        Exception: Pytest's warning of one, if such warnings are errors; several of them are a group.
    """
    look = getattr(item.config.pluginmanager.get_plugin("unraisableexception"), "pytest_runtest_teardown", None)
    if look is not None and not inspect.isgeneratorfunction(look):
        look(item)


# --- Fixtures ---------------------------------------------------------------------------------------------------------


def has_standing_fixtures(session: pytest.Session) -> bool:
    """Whether something is set up that is not torn down yet."""
    return bool(session._setupstate.stack)


def tear_down_all(session: pytest.Session, item: pytest.Item | None) -> None:
    """Tear down everything that stands, as pytest does when the session ends.

    Args:
        session: Pytest's.
        item: Whose report shows what is printed meanwhile; captured like the teardown of that item.

    Raises:
        BaseException: What the teardown raised.
    """
    capture: Any = session.config.pluginmanager.getplugin(_CAPTURE_MANAGER)
    has_capture = item is not None and hasattr(capture, "item_capture")
    with capture.item_capture("teardown", item) if has_capture else contextlib.nullcontext():
        session._setupstate.teardown_exact(None)


def requesting_item(request: pytest.FixtureRequest) -> pytest.Item:
    """Return the item for which a fixture is set up; ``request.node`` is the session for one of that scope."""
    item: pytest.Item = request._pyfuncitem
    return item


def fixture_under_way(request: pytest.FixtureRequest) -> pytest.FixtureDef[Any] | None:
    """Return the fixture whose function has asked for this one by ``getfixturevalue``, at whatever distance, if any.

    One that has it as an argument is not set up before it has it.
    """
    chain: list[Any] = list(request._iter_chain())
    for asked, asking in itertools.pairwise(chain):
        if asked.fixturename not in asking._fixturedef.argnames:
            fixturedef: pytest.FixtureDef[Any] = asking._fixturedef
            return fixturedef
    return None


def current_phase() -> str:
    """Return what is under way of a test: ``setup``, ``call`` or ``teardown``."""
    _, _, phase = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")
    return phase.rstrip(")") if phase else "setup"
