"""A worker's whole life, from the fork to its last message."""

from __future__ import annotations

import atexit
import marshal
import os
from collections.abc import Callable

import pytest

from pytest_parpool.budget import membership
from pytest_parpool.compat import log_lines, pytest_internals
from pytest_parpool.compat.random_state import RandomState
from pytest_parpool.compat.rerun_plan import RerunPlan
from pytest_parpool.model.exits import CHANNEL_LOST_CODE
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Left, Ready
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.stash import MEASUREMENT
from pytest_parpool.wire import plain
from pytest_parpool.worker.birth import Heritage, become_worker, leave_controller
from pytest_parpool.worker.executor import Executor
from pytest_parpool.worker.faults import told
from pytest_parpool.worker.initializing import initialize_worker
from pytest_parpool.worker.loop import WorkerLoop
from pytest_parpool.worker.reporter import TroubleTeller, WorkerReporter
from pytest_parpool.worker.reruns import Reruns
from pytest_parpool.worker.unused_memory import memory_to_give_back

_exit = os._exit


class WorkerMain:
    """What a new worker does. Made in the controller before the fork, so that it is inherited.

    Args:
        session: Pytest's, collected.
        random_state: What ``random`` is to be, or None to leave it reseeded by the fork.
        controller_plugins: To be dropped here.
        initialize: Calls the pool's initializer.
        is_stop_watched: Whether a failure may stop the run.
        reruns: Which plugins' hooks are run again here.
    """

    def __init__(
        self,
        session: pytest.Session,
        *,
        random_state: RandomState | None,
        controller_plugins: tuple[object, ...],
        initialize: Callable[[], None],
        is_stop_watched: bool,
        reruns: RerunPlan,
    ) -> None:
        log_lines.keep_lines_whole(session.config)
        self._session = session
        self._reruns = Reruns(session, reruns)
        self._config = session.config
        self._memory = memory_to_give_back(session.config)
        self._heritage = Heritage(random_state, controller_plugins)
        self._initialize = initialize
        self._is_stop_watched = is_stop_watched

    def __call__(self, link: WorkerLink, worker: WorkerId) -> None:
        """Live. Returns when everything is torn down and told."""
        try:
            self._live(link, worker)
        except LinkLostError:
            # A test closed our descriptors, or the controller is gone. Nothing more can be told; the code says it.
            _exit(CHANNEL_LOST_CODE)

    def _live(self, link: WorkerLink, worker: WorkerId) -> None:
        config = self._config
        measurement = config.stash.get(MEASUREMENT, None)
        part = measurement.begin_in_forked_worker() if measurement is not None else None
        # All that can be done before somebody says who this is; meanwhile the controller, too, gets ready.
        birth = leave_controller(config, self._heritage)
        reporter = WorkerReporter(config, link, is_stop_watched=self._is_stop_watched)
        executor = Executor(self._session, link, reporter)
        loop = WorkerLoop(self._session, link, executor, reporter, self._memory)
        own: dict[str, object] = {"parpool-worker-reporter": reporter, "parpool-worker-loop": loop}
        if self._is_stop_watched:
            own["parpool-trouble-teller"] = TroubleTeller(link, reporter)
        if self._reruns.is_empty:
            self._register(own)
        while link.inbox.identity is None:
            link.receive()
        become_worker(config, link, marshal.loads(link.inbox.identity))
        membership.join(config, worker)
        measured = measurement.in_forked_worker(worker, part) if measurement is not None and part is not None else None
        # What is to be cleaned up so far is the controller's.
        clean_up = pytest_internals.renew_cleanups(config)
        is_started = False
        with told(link, f"starting worker {worker!r} failed", executor):
            if not self._reruns.is_empty:
                self._reruns.begin()
                # Behind all others, and around them.
                self._register(own)
            initialize_worker(config, self._initialize)
            is_started = True
        if is_started:
            link.post(Ready(os.getpid(), birth.output_fds))
            link.flush()
            fault = f"INTERNALERROR in worker {worker!r}"
            # A fresh call of pytest's own hook, so that its wrappers (logging, coverage) run here.
            with told(link, fault, executor):
                config.hook.pytest_runtestloop(session=self._session)
            loop.tear_down_rest()  # If the loop was left by an exception.
            with told(link, fault, executor):
                if measured is not None:
                    measured.finish()
                self._finish(loop)
            with told(link, fault, executor):
                clean_up()
        loop.say_draining()
        self._leave(link)

    def _register(self, plugins: dict[str, object]) -> None:
        for name, plugin in plugins.items():
            self._config.pluginmanager.register(plugin, name)

    def _finish(self, loop: WorkerLoop) -> None:
        """End the session where that is not the controller's business alone."""
        session = self._session
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if session.testsfailed else pytest.ExitCode.OK
        if not self._reruns.is_empty:
            loop.say_draining()
            self._reruns.finish(session.exitstatus)

    def _leave(self, link: WorkerLink) -> None:
        # Handlers that tests registered; those of the controller were cleared at birth.
        atexit._run_exitfuncs()  # noqa: SLF001  -- there is no public word for it
        output, _ = plain.dumps(self._config.workeroutput)  # type: ignore[attr-defined]
        link.post(Left(output))
        link.flush()
