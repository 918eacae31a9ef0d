"""A spawned worker's whole life: pytest from its beginning to its end, in a fresh interpreter.

Nothing is inherited, so nothing has to be renewed: plugins are loaded, configured and unconfigured as in any pytest,
and find at each point what they know from pytest-xdist; see docs/explanation/spawned-workers.md. Only the run loop is
ours.
"""

from __future__ import annotations

import contextlib
import functools
import marshal
import os
import sys
from collections.abc import Generator, Sequence
from typing import IO, TYPE_CHECKING

import pytest

from pytest_parpool import garbage, sharing
from pytest_parpool.budget import membership
from pytest_parpool.compat import log_lines, main_module, pytest_internals, rerunfailures
from pytest_parpool.compat.spawned_worker import NAME
from pytest_parpool.model.exits import CHANNEL_LOST_CODE
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Broken, Collected, Left, Ready
from pytest_parpool.policy.matching import difference, places
from pytest_parpool.runtime import outputs
from pytest_parpool.runtime.launched import allow_interrupts
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.stash import SETTINGS
from pytest_parpool.wire import plain
from pytest_parpool.wire.launch_order import LaunchOrder, digest
from pytest_parpool.worker.executor import Executor
from pytest_parpool.worker.faults import told
from pytest_parpool.worker.identity import own_temp_directory, take_identity
from pytest_parpool.worker.initializing import initialize_worker
from pytest_parpool.worker.loop import WorkerLoop
from pytest_parpool.worker.refused_item import make_refused_item
from pytest_parpool.worker.reporter import TroubleTeller, WorkerReporter
from pytest_parpool.worker.unexpected_ends import ToldError, UnexpectedEnds
from pytest_parpool.worker.unused_memory import memory_to_give_back

if TYPE_CHECKING:
    from pytest_parpool.coverage.spawned import SpawnedMeasurement

_exit = os._exit


def live(link: WorkerLink, worker: WorkerId, order: bytes) -> None:
    """Be a worker. Returns when pytest is unconfigured and everything is told."""
    plugin = SpawnedWorker(link, worker, LaunchOrder.loads(order))
    try:
        plugin.run_pytest()
    except LinkLostError:
        # A test closed our descriptors, or the controller is gone. Nothing more can be told; the code says it.
        _exit(CHANNEL_LOST_CODE)


class SpawnedWorker:
    """The plugin that makes a pytest a worker. Registered by its ``__name__``, by which our own plugin finds it.

    Args:
        link: To the controller.
        worker: The slot.
        order: What the controller has said for all workers.
    """

    __name__ = NAME

    def __init__(self, link: WorkerLink, worker: WorkerId, order: LaunchOrder) -> None:
        self._link = link
        self._worker = worker
        self._order = order
        self._config: pytest.Config | None = None
        self._errors: list[str] = []
        self._stack_fd = -1
        self._stack_file: IO[bytes] | None = None  # kept open
        self._ends = UnexpectedEnds(link, self._fault)
        self._has_begun = False  # the tests

    def run_pytest(self) -> None:
        """Run pytest as the controller was run, and tell how that ended.

        Raises:
            LinkLostError: If the controller cannot be reached.
        """
        link = self._link
        with told(link, self._fault, None), contextlib.suppress(ToldError):
            allow_interrupts()
            main_module.take_identity(*self._order.main)
            measured = self._measured()
            code = pytest.main(list(self._order.arguments), plugins=[self, self._ends, *measured])
            for measurement in measured:
                measurement.finish()
            if not self._ends.is_told:
                text = f"pytest ended with exit code {int(code)} before it came to the tests"
                link.post(Broken(self._fault(), text))
        link.post(Left(plain.dumps(getattr(self._config, "workeroutput", {}))[0]))
        link.flush()

    def _measured(self) -> tuple[SpawnedMeasurement, ...]:
        """Begin to measure if coverage measures the controller. Who measures nothing does not pay for looking."""
        if not self._order.measurement:
            return ()
        from pytest_parpool.coverage.spawned import MeasurementOrder, SpawnedMeasurement

        return (SpawnedMeasurement(MeasurementOrder.loads(self._order.measurement)),)

    def _fault(self) -> str:
        """Return what has failed if something does now."""
        return _fault(self._worker) if self._has_begun else f"starting worker {str(self._worker)!r} failed"

    # --- Before the tests --------------------------------------------------------------------------------------------

    def begin(self, config: pytest.Config) -> None:
        """Wait to be told who this is. Called by our own plugin before anything is configured."""
        self._config = config
        config.add_cleanup(functools.partial(garbage.thaw, config))
        while self._link.inbox.identity is None:
            self._link.receive()
        take_identity(config, marshal.loads(self._link.inbox.identity))
        option = config.option
        # What the controller does, or has done, for all.
        option.cacheclear = False
        option.basetemp = option.pastebin = None
        option.log_file_mode = "a"
        option.clean_alluredir = False  # Of allure-pytest; else a replacement would lose what its predecessor found.
        order = self._order
        sharing.inherit(config, order.sharing_token, order.sharing_owner, order.sharing_lent)
        membership.inherit(config, order.budget)
        membership.join(config, self._worker)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Leave to the controller what is its own."""
        pytest_internals.silence_terminal(config)
        pytest_internals.drop_terminal_summary(config)
        own_temp_directory(config, self._link, self._worker)
        log_lines.keep_lines_whole(config)
        self._stack_fd, self._stack_file = pytest_internals.renew_faulthandler()
        if rerunfailures.PACKAGE in sys.modules:
            rerunfailures.adapt()

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what the controller may have to explain."""
        if report.failed:
            self._errors.append(str(report.longrepr))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Once everything is collected, get ready for the run loop, which is ours."""
        option = session.config.option
        # Errors of the collection are the controller's to report, and end nothing here, also with ``-x``.
        maxfail, option.maxfail = option.maxfail, 0
        with garbage.kept_out(session.config) if session.config.stash[SETTINGS].gc_freeze else contextlib.nullcontext():
            result = yield
        option.maxfail = maxfail
        session.testsfailed = 0
        link, is_stop_watched = self._link, self._order.is_stop_watched
        reporter = WorkerReporter(session.config, link, is_stop_watched=is_stop_watched)
        executor = Executor(session, link, reporter)
        loop = WorkerLoop(session, link, executor, reporter, memory_to_give_back(session.config))
        own: dict[str, object] = {"parpool-worker-reporter": reporter, "parpool-worker-loop": loop}
        if is_stop_watched:
            own["parpool-trouble-teller"] = TroubleTeller(link, reporter)
        # Outside of all other plugins' wrappers: those registered last are called first.
        own["parpool-outermost"] = _OutermostWrapper(self._worker, link, executor, loop)
        # What was warned of so far the controller has seen, too.
        pytest_internals.forget_recorded_warnings(session.config)
        with told(link, self._fault, executor):
            self._match(session)
            self._initialize(session.config)
            self._has_begun = True
        self._ends.is_told = True
        if not self._has_begun:
            session.items.clear()  # Pytest's own loop has nothing to do then.
            return result
        for name, plugin in own.items():
            session.config.pluginmanager.register(plugin, name)
        fds = (*pytest_internals.capture_fds(session.config), self._stack_fd)
        link.post(Ready(os.getpid(), outputs.tell_fds(fds)))
        link.flush()
        return result

    def _match(self, session: pytest.Session) -> None:
        """Compare what was collected with what the controller has, and put ``session.items`` into its order."""
        link, items = self._link, session.items
        nodeids: Sequence[str] = [item.nodeid for item in items]
        at: Sequence[int | None] = range(len(items))
        if digest(nodeids) == self._order.digest:
            link.post(Collected((), (0, ""), ()))
        else:
            found, nodeids = nodeids, marshal.loads(self._order.nodeids)
            at = places(nodeids, found)
            missing, surplus = difference(found, at)
            link.post(Collected(missing, surplus, tuple(self._errors)))
        link.flush()
        while link.inbox.refused is None and not link.inbox.is_drained:
            link.receive()
        matched = [items[place] if place is not None else None for place in at]
        for index, reason in link.inbox.refused or ():
            matched[index] = make_refused_item(session, nodeids[index], reason, matched[index])
        # Without an answer nothing will be run.
        session.items[:] = [item for item in matched if item is not None]

    def _initialize(self, config: pytest.Config) -> None:
        initializers = [initializer.load() for initializer in config.stash[SETTINGS].initializers]

        def initialize() -> None:
            for function in initializers:
                function()

        initialize_worker(config, initialize)


class _OutermostWrapper:
    """Wraps the run loop outside of everybody else: it is the run that ends by what is raised there, not this pytest.

    Args:
        worker: What the fault is named after.
        link: To the controller.
        executor: Knows which item runs.
        loop: Tears down what the exception has left.
    """

    def __init__(self, worker: WorkerId, link: WorkerLink, executor: Executor, loop: WorkerLoop) -> None:
        self._fault = _fault(worker)
        self._link = link
        self._executor = executor
        self._loop = loop

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Run, and tell what is raised."""
        try:
            with told(self._link, self._fault, self._executor):
                yield
            self._loop.tear_down_rest()
            self._loop.say_draining()
        except LinkLostError:
            # At once: what pytest would still write may have become a test's file (``live``).
            _exit(CHANNEL_LOST_CODE)
        return True


def _fault(worker: WorkerId) -> str:
    return f"INTERNALERROR in worker {str(worker)!r}"
