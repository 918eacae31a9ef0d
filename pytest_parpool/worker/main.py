"""A worker's whole life, from the fork to its last message."""

from __future__ import annotations

import atexit
import marshal
import os
import signal
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from pytest_parpool.compat import pytest_internals
from pytest_parpool.compat.random_state import RandomState
from pytest_parpool.hookspecs import StartedWorker
from pytest_parpool.model.exits import CHANNEL_LOST_CODE
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Broken, Draining, ExitAsked, Interrupted, Left, Ready
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.wire import plain
from pytest_parpool.worker.birth import Heritage, become_worker, leave_controller
from pytest_parpool.worker.executor import Executor
from pytest_parpool.worker.last_teardown import tear_down_as_report
from pytest_parpool.worker.reporter import TroubleTeller, WorkerReporter

_exit = os._exit


class WorkerMain:
    """What a new worker does. Made in the controller before the fork, so that it is inherited.

    Args:
        session: Pytest's, collected.
        random_state: What ``random`` is to be, or None to leave it reseeded by the fork.
        controller_plugins: To be dropped here.
        initialize: Calls the pool's initializer.
        is_stop_watched: Whether a failure may stop the run.
    """

    def __init__(
        self,
        session: pytest.Session,
        *,
        random_state: RandomState | None,
        controller_plugins: tuple[object, ...],
        initialize: Callable[[], None],
        is_stop_watched: bool,
    ) -> None:
        self._session = session
        self._config = session.config
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
        # All that can be done before somebody says who this is; meanwhile the controller, too, gets ready.
        birth = leave_controller(config, self._heritage)
        reporter = WorkerReporter(config, link, is_stop_watched=self._is_stop_watched)
        config.pluginmanager.register(reporter, "parpool-worker-reporter")
        if self._is_stop_watched:
            config.pluginmanager.register(TroubleTeller(link, reporter), "parpool-trouble-teller")
        executor = Executor(self._session, link, reporter)
        loop = _WorkerLoop(executor)
        config.pluginmanager.register(loop, "parpool-worker-loop")
        while link.inbox.identity is None:
            link.receive()
        become_worker(config, link, marshal.loads(link.inbox.identity))
        if self._is_started(link):
            link.post(Ready(os.getpid(), birth.output_fds))
            link.flush()
            self._run(link, executor, worker)
        self._leave(link, executor, reporter)

    def _is_started(self, link: WorkerLink) -> bool:
        """Call what users want called in each new worker; whether that went well."""
        workerinput = self._config.workerinput  # type: ignore[attr-defined]
        me = StartedWorker(WorkerId(workerinput["workerid"]), workerinput["workercount"], workerinput["testrunuid"])
        try:
            self._initialize()
            self._config.hook.pytest_parpool_worker_started(config=self._config, worker=me)
        except pytest.exit.Exception as error:
            link.post(_exit_asked(error))
        except KeyboardInterrupt as error:
            link.post(Interrupted(None, _innermost_place(error)))
        except BaseException:  # noqa: BLE001  -- the user's code; whatever it raises ends the run with its traceback
            link.post(Broken(f"starting worker {me.id!r} failed", traceback.format_exc()))
        else:
            return True
        return False

    def _run(self, link: WorkerLink, executor: Executor, worker: WorkerId) -> None:
        """Run items through a fresh call of pytest's own hook, so that its wrappers (logging, coverage) run here."""
        try:
            self._config.hook.pytest_runtestloop(session=self._session)
        except LinkLostError:
            raise
        except KeyboardInterrupt as error:
            link.post(Interrupted(executor.running, _innermost_place(error)))
        except pytest.exit.Exception as error:
            link.post(_exit_asked(error))
        except BaseException as error:  # A fault of a plugin's, or of ours: INTERNALERROR, as pytest says.
            if not link.is_own_process:
                _exit(1)
            if not link.is_connected():
                raise LinkLostError from error
            link.post(Broken(f"INTERNALERROR in worker {worker!r}", traceback.format_exc()))
        link.flush()

    def _leave(self, link: WorkerLink, executor: Executor, reporter: WorkerReporter) -> None:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _disregard)
        link.post(Draining())
        link.flush()
        if pytest_internals.has_standing_fixtures(self._session):
            tear_down_as_report(self._session, executor, reporter)
        # Handlers that tests registered; those of the controller were cleared at birth.
        atexit._run_exitfuncs()  # noqa: SLF001  -- there is no public word for it
        output, _ = plain.dumps(self._config.workeroutput)  # type: ignore[attr-defined]
        link.post(Left(output))
        link.flush()


class _WorkerLoop:
    """Takes the place of pytest's own loop."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool:
        """Run this worker's items."""
        self._executor.run()
        return True


def _disregard(number: int, frame: FrameType | None) -> None:
    """Take no notice of Ctrl-C: the worker is leaving already, and what hangs is ended by the controller.

    A function, and not SIG_IGN: what a teardown starts would inherit that.
    """


def _exit_asked(error: Any) -> ExitAsked:
    """Return what tells of ``pytest.exit()``. Its code may be an ``IntEnum``, which cannot travel."""
    return ExitAsked(str(error.msg), int(error.returncode) if error.returncode is not None else None)


def _innermost_place(error: BaseException) -> str:
    """Return ``file:line`` of where an exception was raised."""
    last = None
    trace = error.__traceback__
    while trace is not None:
        last, trace = trace, trace.tb_next
    return f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last is not None else ""
