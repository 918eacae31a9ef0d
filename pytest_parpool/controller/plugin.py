"""What pytest calls in a controller that has workers: everything between configuration and the run loop."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_parpool import garbage
from pytest_parpool.compat import random_state
from pytest_parpool.compat.rerun_plan import REGISTRATIONS
from pytest_parpool.controller.preparation import Preparation
from pytest_parpool.controller.terminal import TerminalLines
from pytest_parpool.settings import Settings
from pytest_parpool.stash import MEASUREMENT

if TYPE_CHECKING:
    from pytest_parpool.controller.preparation import MakeWorkerMain
    from pytest_parpool.controller.run import ParallelRun


class ControllerPlugin:
    """Known to other plugins as ``dsession``. Registered when the run is to have workers.

    Args:
        config: Pytest's.
        settings: What the user asked for.
        random_snapshot: ``random`` as it was when we were loaded.
        notes: Lines for the header.
        make_worker_main: Makes what a worker does. The controller knows it by this signature only.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        random_snapshot: random_state.Snapshot,
        notes: tuple[str, ...],
        make_worker_main: MakeWorkerMain,
    ) -> None:
        self._config = config
        self._settings = settings
        self._random_snapshot = random_snapshot
        self._notes = notes
        self._make_worker_main = make_worker_main
        self._lines = TerminalLines(config)
        self._closing_line: str | None = None
        self._wrapper = _OutermostWrapper(self)
        self._loop = _ControllerLoop()

    @pytest.hookimpl
    def pytest_report_header(self) -> list[str]:
        """Say who runs the tests."""
        settings = self._settings
        count = settings.processes
        workers = f"{count} worker{'s' if count != 1 else ''}"
        # How they start may not be known before everything is collected.
        method = "" if settings.start_method == "auto" else f" ({settings.start_method})"
        return [f"parpool: {workers}{method}, {settings.dist}", *self._notes]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Note what was registered until now; what comes next was made by who starts the session."""
        self._config.stash[REGISTRATIONS].session_starts()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Once everything is collected, get outside of all other plugins' wrappers of the run loop.

        Hook wrappers registered last are called first. A worker is forked there, and calls the hook afresh, so that the
        wrappers of logging and coverage run in it from their beginning.
        """
        with garbage.kept_out(self._config) if self._settings.gc_freeze else contextlib.nullcontext():
            result = yield
        self._config.pluginmanager.register(self._wrapper, "parpool-outermost")
        self._config.pluginmanager.register(self._loop, "parpool-controller-loop")
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, object, object]:
        """Write our lines at the end, behind pytest's short summary."""
        result = yield
        self._lines.summarize(terminalreporter, self._closing_line)
        return result

    @contextlib.contextmanager
    def started(self, session: pytest.Session) -> Iterator[None]:
        """Have the run loop run with workers; at the end everything is as it was found.

        Raises:
            pytest.UsageError: If something asked for is not possible.
        """
        preparation = Preparation(
            session,
            self._settings,
            self._random_snapshot,
            self._lines,
            self._make_worker_main,
            controller_plugins=(self, self._wrapper, self._loop),
        )
        with preparation.started() as run:
            self._loop.run = run
            try:
                yield
            finally:
                self._loop.run = None
                self._closing_line = run.statistics.closing_line()


class _OutermostWrapper:
    """Wraps pytest's run loop outside of everybody else."""

    def __init__(self, plugin: ControllerPlugin) -> None:
        self._plugin = plugin

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Start the pool, if there is anything to run."""
        has_errors = session.testsfailed and not session.config.option.continue_on_collection_errors
        if has_errors or session.config.option.collectonly or not session.items:
            return (yield)  # Pytest's own loop knows what to say.
        with self._plugin.started(session):
            return (yield)


class _ControllerLoop:
    """Takes the place of pytest's own loop."""

    run: ParallelRun | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run all items in the workers, if there are any."""
        if self.run is None:
            return None
        try:
            self.run.run()
        finally:
            if MEASUREMENT in session.config.stash:
                # Before pytest-cov, whose wrapper is around us, combines what it finds.
                session.config.stash[MEASUREMENT].gather()
        return True
