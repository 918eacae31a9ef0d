"""What pytest calls in a controller that has workers: everything between configuration and the run loop."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_parpool.compat import native_threads, random_state
from pytest_parpool.compat.rerun_plan import REGISTRATIONS, RerunPlan
from pytest_parpool.compat.rerun_plan import make_plan as make_rerun_plan
from pytest_parpool.controller import durations, garbage
from pytest_parpool.controller.nodes import Nodes
from pytest_parpool.controller.planning import make_plan
from pytest_parpool.controller.terminal import TerminalLines
from pytest_parpool.errors import BadSettingError
from pytest_parpool.limits import check_open_files
from pytest_parpool.model.plan import Plan
from pytest_parpool.runtime.pool import WorkerPool
from pytest_parpool.runtime.spawner import WorkerMain
from pytest_parpool.settings import Settings, publish
from pytest_parpool.stash import MEASUREMENT

if TYPE_CHECKING:
    from pytest_parpool.controller.run import ParallelRun
    from pytest_parpool.policy.dispatcher import Dispatcher
    from pytest_parpool.policy.schedulers.protocol import Scheduler

# How long a worker may take to tear down and leave, if the user did not say: the first after Ctrl-C, where somebody
# waits; the second at a run's normal end, where a session fixture may have a database to put away.
INTERRUPTED_SHUTDOWN_SECONDS = 5.0
SHUTDOWN_SECONDS = 60.0


class MakeWorkerMain(Protocol):
    """Makes what a worker does, in the controller, before the fork that carries it over."""

    def __call__(
        self,
        session: pytest.Session,
        *,
        random_state: random_state.RandomState | None,
        controller_plugins: tuple[object, ...],
        initialize: Callable[[], None],
        is_stop_watched: bool,
        reruns: RerunPlan,
    ) -> WorkerMain:
        """Return it.

        Args:
            session: Pytest's, collected.
            random_state: What ``random`` is to be in each worker, or None to leave it reseeded by the fork.
            controller_plugins: To be dropped in a worker.
            initialize: Calls the pool's initializer.
            is_stop_watched: Whether a failure may stop the run.
            reruns: Which plugins' hooks are run again in a worker.
        """
        ...


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
        return [f"parpool: {workers} ({settings.start_method}), {settings.dist}", *self._notes]

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

    # --- The run -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def started(self, session: pytest.Session) -> Iterator[None]:
        """Fork the template, and have the run loop run there; at the end everything is as it was found.

        Raises:
            pytest.UsageError: If something asked for is not possible.
        """
        config = self._config
        settings = self._fit(len(session.items))
        known_durations = durations.load(config)
        plan = make_plan(session.items, known_durations)
        if settings.dist == "each":
            plan = plan.repeated(settings.processes)
        self._look_around(settings)
        initializers = [initializer.load() for initializer in settings.initializers]
        pool = WorkerPool(
            settings.processes,
            initializer=_call_all if initializers else None,
            initargs=(initializers,),
            maxtasksperchild=settings.max_tasks_per_child,
        )
        own_scheduler = self._ask_for_scheduler(plan)
        nodes = Nodes(config, pool.workers, settings.testrunuid, plan.nodeids)
        nodes.setup()
        is_stop_watched = _is_stop_watched(config)
        reruns = make_rerun_plan(config, settings)
        for line in reruns.lines:
            self._lines.say(line)
        main = self._make_worker_main(
            session,
            random_state=random_state.for_workers(self._random_snapshot),
            controller_plugins=(self, self._wrapper, self._loop),
            initialize=pool.initialize,
            is_stop_watched=is_stop_watched,
            reruns=reruns,
        )
        timeout = settings.shutdown_timeout
        shutdown_seconds = (timeout, timeout) if timeout else (INTERRUPTED_SHUTDOWN_SECONDS, SHUTDOWN_SECONDS)
        if settings.gc_freeze:
            garbage.freeze(config)
        with self._measured(), pool.start(main) as running:
            running.spawn_ahead(pool.workers)
            # Only now, while the workers are being born, what they have no use for is loaded.
            from pytest_parpool.controller.run import ParallelRun

            dispatcher = self._make_dispatcher(plan, own_scheduler, pool, is_stop_watched=is_stop_watched)
            run = ParallelRun(session, running, dispatcher, nodes, self._lines, shutdown_seconds=shutdown_seconds)
            self._loop.run = run
            try:
                yield
            finally:
                self._loop.run = None
                self._closing_line = run.statistics.closing_line()
                durations.save(config, known_durations, run.statistics.measured)

    def _measured(self) -> contextlib.AbstractContextManager[None]:
        """Have workers measured if coverage measures us. Who measures nothing does not pay for looking."""
        coverage_type = getattr(sys.modules.get("coverage"), "Coverage", None)
        current = coverage_type.current() if coverage_type is not None else None
        if current is None:
            return contextlib.nullcontext()
        from pytest_parpool.coverage.measurement import measured_workers

        return measured_workers(self._config, current, say=self._lines.say)

    def _fit(self, item_count: int) -> Settings:
        """Return the settings with no more workers than items, and publish the real number."""
        settings = self._settings
        if settings.dist != "each":
            settings = settings.replace(processes=min(settings.processes, item_count))
        publish(settings, self._config.option)
        return settings

    def _look_around(self, settings: Settings) -> None:
        """See whether a fork can go well.

        Raises:
            pytest.UsageError: If there are not enough file descriptors.
        """
        unsafe = native_threads.scan(settings.native_threads_safe)
        if unsafe:
            self._lines.say(native_threads.warning_line(unsafe))
        if sys.platform != "win32":
            import resource

            soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            try:
                check_open_files(settings.processes, soft_limit, _count_open_files())
            except BadSettingError as error:
                raise pytest.UsageError(str(error)) from None

    def _ask_for_scheduler(self, plan: Plan) -> Scheduler | None:
        """Return the scheduler that a plugin or conftest offers, if one does.

        Raises:
            pytest.UsageError: If it offers something else.
        """
        own: object = self._config.hook.pytest_parpool_make_scheduler(config=self._config, plan=plan)
        if own is None:
            return None
        from pytest_parpool.policy.schedulers.protocol import Scheduler

        if not isinstance(own, Scheduler):
            raise pytest.UsageError(
                f"pytest_parpool_make_scheduler: {own!r} is not allowed; return None or an object with the methods of "
                "pytest_parpool.policy.schedulers.protocol.Scheduler"
            )
        return own

    def _make_dispatcher(
        self, plan: Plan, own_scheduler: Scheduler | None, pool: WorkerPool, *, is_stop_watched: bool
    ) -> Dispatcher:
        from pytest_parpool.policy.dispatcher import Dispatcher
        from pytest_parpool.policy.estimates import Estimates
        from pytest_parpool.policy.limits import Limits
        from pytest_parpool.policy.schedulers.registry import SCHEDULERS

        scheduler = own_scheduler or SCHEDULERS[self._settings.dist](
            plan, pool.workers, reorder=self._settings.loadscope_reorder
        )
        estimates = Estimates(plan)
        chunk = self._settings.max_sched_chunk
        return Dispatcher(
            scheduler,
            pool.workers,
            expected=estimates.expected,
            observe=estimates.observe,
            limits=Limits(
                restarts=self._settings.max_worker_restart,
                tasks_per_child=pool.maxtasksperchild,
                hand=chunk - 1 if chunk is not None else None,
                is_stop_watched=is_stop_watched,
            ),
        )


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


def _is_stop_watched(config: pytest.Config) -> bool:
    """Whether a failure may stop the run, so that no worker may run ahead (``-x``, ``--maxfail``, ``--stepwise``)."""
    return bool(config.getoption("maxfail", 0)) or bool(config.getoption("stepwise", default=False))


def _call_all(functions: list[functools.partial[object]]) -> None:
    for function in functions:
        function()


def _count_open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 16  # No /proc to count in; about what Python and pytest have open.
