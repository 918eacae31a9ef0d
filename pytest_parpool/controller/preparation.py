"""Gets a run ready, once everything is collected: looks around, decides how workers start, and starts the pool."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_parpool import garbage
from pytest_parpool.compat import random_state, source_lookup
from pytest_parpool.compat.rerun_plan import RerunPlan
from pytest_parpool.compat.rerun_plan import make_plan as make_rerun_plan
from pytest_parpool.controller import durations, start_method
from pytest_parpool.controller.nodes import Nodes
from pytest_parpool.controller.planning import make_plan
from pytest_parpool.controller.shown_items import ShownItems
from pytest_parpool.controller.terminal import TerminalLines
from pytest_parpool.errors import BadSettingError
from pytest_parpool.limits import check_open_files
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.estimates import Estimates
from pytest_parpool.runtime import heap_holes
from pytest_parpool.runtime.pool import WorkerPool
from pytest_parpool.runtime.running_pool import RunningPool
from pytest_parpool.runtime.spawner import WorkerMain
from pytest_parpool.settings import Settings, publish

if TYPE_CHECKING:
    from typing import Protocol

    from pytest_parpool.controller.matching import CollectionMatch
    from pytest_parpool.controller.run import ParallelRun
    from pytest_parpool.policy.dispatcher import Dispatcher
    from pytest_parpool.policy.schedulers.protocol import Scheduler

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


# How long a worker may take to tear down and leave, if the user did not say: the first after Ctrl-C, where somebody
# waits; the second at a run's normal end, where a session fixture may have a database to put away.
INTERRUPTED_SHUTDOWN_SECONDS = 5.0
SHUTDOWN_SECONDS = 60.0


class Preparation:
    """What is done once, between collection and run loop.

    Args:
        session: Pytest's, collected.
        settings: What the user asked for.
        random_snapshot: ``random`` as it was when we were loaded.
        lines: Lines of our own on the terminal.
        make_worker_main: Makes what a forked worker does.
        controller_plugins: To be dropped in a forked worker.
    """

    def __init__(
        self,
        session: pytest.Session,
        settings: Settings,
        random_snapshot: random_state.Snapshot,
        lines: TerminalLines,
        make_worker_main: MakeWorkerMain,
        *,
        controller_plugins: tuple[object, ...],
    ) -> None:
        self._session = session
        self._config = session.config
        self._settings = settings
        self._random_snapshot = random_snapshot
        self._lines = lines
        self._make_worker_main = make_worker_main
        self._controller_plugins = controller_plugins

    @contextlib.contextmanager
    def started(self) -> Iterator[ParallelRun]:
        """Start what starts the workers, and give out the run; at the end everything is as it was found.

        Raises:
            pytest.UsageError: If something asked for is not possible.
        """
        config, items = self._config, self._session.items
        settings = self._fit(len(items))
        known_durations = durations.load(config)
        plan = make_plan(items, known_durations)
        nodeids = plan.nodeids
        shown_items = ShownItems(items, nodeids)
        if settings.dist == "each":
            plan = plan.repeated(settings.processes)
        _check_open_files(settings)
        method = start_method.decide(config, settings, self._lines.say)
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
        estimates = Estimates(plan)
        is_stop_watched = _is_stop_watched(config)
        if method == "fork":
            start = self._prepare_fork(settings, pool, is_stop_watched=is_stop_watched)
        else:
            start = self._prepare_spawn(settings, pool, nodeids, is_stop_watched=is_stop_watched)
        timeout = settings.shutdown_timeout
        shutdown_seconds = (timeout, timeout) if timeout else (INTERRUPTED_SHUTDOWN_SECONDS, SHUTDOWN_SECONDS)
        with self._measured(), start() as running:
            running.spawn_ahead(pool.workers)
            # Only now, while the workers are being born, what they have no use for is loaded.
            from pytest_parpool.controller.run import ParallelRun

            run = ParallelRun(
                self._session,
                running,
                self._make_dispatcher(plan, own_scheduler, estimates, pool, is_stop_watched=is_stop_watched),
                nodes,
                self._lines,
                shown_items,
                shutdown_seconds=shutdown_seconds,
                collection_match=self._make_collection_match(nodeids, running) if method == "spawn" else None,
            )
            try:
                yield run
            finally:
                durations.save(config, known_durations, run.statistics.measured)

    # --- How workers start -------------------------------------------------------------------------------------------

    def _prepare_fork(
        self, settings: Settings, pool: WorkerPool, *, is_stop_watched: bool
    ) -> Callable[[], contextlib.AbstractContextManager[RunningPool]]:
        """Return what forks the template from what this process is now."""
        reruns = make_rerun_plan(self._config, settings)
        for line in reruns.lines:
            self._lines.say(line)
        main = self._make_worker_main(
            self._session,
            random_state=random_state.for_workers(self._random_snapshot),
            controller_plugins=self._controller_plugins,
            initialize=pool.initialize,
            is_stop_watched=is_stop_watched,
            reruns=reruns,
        )
        source_lookup.remember_modules()
        if settings.gc_freeze:
            garbage.freeze(self._config)
        return functools.partial(_forking, pool, main)

    def _prepare_spawn(
        self, settings: Settings, pool: WorkerPool, nodeids: Sequence[str], *, is_stop_watched: bool
    ) -> Callable[[], RunningPool]:
        """Return what starts fresh interpreters."""
        from pytest_parpool.controller.launching import make_launch

        if settings.explain_workers:
            self._lines.say("workers are spawned: every hook of every plugin runs in each of them")
        # Made when workers are started: by then it is known whether they are to be measured.
        return lambda: pool.launch(make_launch(self._config, settings, nodeids, is_stop_watched=is_stop_watched))

    def _make_collection_match(self, nodeids: Sequence[str], running: RunningPool) -> CollectionMatch:
        from pytest_parpool.controller.matching import CollectionMatch

        return CollectionMatch(nodeids, running, self._lines.say)

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
        self,
        plan: Plan,
        own_scheduler: Scheduler | None,
        estimates: Estimates,
        pool: WorkerPool,
        *,
        is_stop_watched: bool,
    ) -> Dispatcher:
        from pytest_parpool.policy.dispatcher import Dispatcher
        from pytest_parpool.policy.limits import Limits
        from pytest_parpool.policy.schedulers.registry import SCHEDULERS

        scheduler = own_scheduler or SCHEDULERS[self._settings.dist](
            plan, pool.workers, reorder=self._settings.loadscope_reorder
        )
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


@contextlib.contextmanager
def _forking(pool: WorkerPool, main: WorkerMain) -> Iterator[RunningPool]:
    """Start the pool by forks, which share memory without holes: for a single worker that does not pay."""
    holes = heap_holes.filled() if len(pool.workers) > 1 else contextlib.nullcontext()
    with holes, pool.start(main) as running:
        yield running


def _is_stop_watched(config: pytest.Config) -> bool:
    """Whether a failure may stop the run, so that no worker may run ahead (``-x``, ``--maxfail``, ``--stepwise``)."""
    return bool(config.getoption("maxfail", 0)) or bool(config.getoption("stepwise", default=False))


def _call_all(functions: list[functools.partial[object]]) -> None:
    for function in functions:
        function()


def _check_open_files(settings: Settings) -> None:
    """See whether there are enough file descriptors.

    Raises:
        pytest.UsageError: If not.
    """
    if sys.platform != "win32":
        import resource

        soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            check_open_files(settings.processes, soft_limit, _count_open_files())
        except BadSettingError as error:
            raise pytest.UsageError(str(error)) from None


def _count_open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 16  # No /proc to count in; about what Python and pytest have open.
