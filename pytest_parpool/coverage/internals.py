"""Everything of coverage's that is private, in one place.

``Coverage`` has no public word for "record elsewhere from now on", nor for "record now, and leave it at that": its
``save`` looks through the source folders each time, for files that were never run.
"""

from __future__ import annotations

import copy
import os
import pickle
import sys
import threading
from typing import TYPE_CHECKING, Any

from coverage import Coverage

from pytest_parpool.coverage.monitoring import Measured

if TYPE_CHECKING:
    from coverage import CoverageData


def missing_internals(cov: Coverage) -> tuple[str, ...]:
    """Return the names of what is used here and not there; without it workers cannot be measured."""
    collector = getattr(cov, "_collector", None)
    data = getattr(cov, "_data", None)
    wanted = [
        (cov, "_started"),
        (collector, "_clear_data"),
        (collector, "flush_data"),
        (collector, "covdata"),
        (collector, "pid"),
        (cov, "config"),
        (data, "_current_context"),
        (data, "_filename"),
    ]
    return tuple(name for owner, name in wanted if not hasattr(owner, name))


def data_of(cov: Coverage) -> CoverageData:
    """Return what ``cov`` records to. ``Coverage.get_data`` would do more than return it."""
    data: CoverageData = _private(cov)._data
    return data


def flush(cov: Coverage) -> None:
    """Have everything that was measured up to now recorded in the data."""
    _private(cov)._collector.flush_data()


def record_to(cov: Coverage, data: CoverageData) -> None:
    """Have everything that is measured from now on recorded in ``data``, under the same context."""
    private = _private(cov)
    data.set_context(private._data._current_context)
    private._collector.covdata = data
    private._data = data


def take_over_after_fork(cov: Coverage, data: CoverageData) -> None:
    """Go on measuring in a forked child, and record to ``data`` what happens here.

    The tracer is inherited and runs on. What the parent measured before the fork is dropped: the parent records it.
    """
    collector = _private(cov)._collector
    collector._clear_data()
    # Else it is taken for a parent's when something else starts measuring here, and is not resumed afterwards.
    collector.pid = os.getpid()
    if getattr(collector, "data_lock", None) is not None:
        # Another thread of the parent may have held it.
        collector.data_lock = threading.Lock()
    record_to(cov, data)
    if not _private(cov)._started:
        # ``patch = fork`` has stopped it.
        successor: Any = Coverage.current()
        if successor is not None and successor._collector.pid == os.getpid():
            # And has started another in its place, which does not know what the first was told by its user. Whoever
            # saves that one (``patch = _exit``) saves ours.
            successor.stop()
            successor._collector.reset()
            successor._data = data
        _private(cov)._warn_preimported_source = False  # What is imported is known, and was measured.
        cov.start()


def settings_of(cov: Coverage) -> bytes:
    """Return all that ``cov`` was told, for ``made_alike`` in another process.

    Not its configuration file: whoever made it has added to that (pytest-cov's options, arguments of ``Coverage``).

    Raises:
        Exception: If something was given that cannot be pickled.
    """
    settings = vars(cov.config).copy()
    # Where it looks for them depends on the directory that a process is in when it starts to measure.
    settings["data_file"] = data_of(cov).base_filename()
    return pickle.dumps((settings, getattr(cov, "_plugin_override", None)))


def made_alike(settings: bytes, data: CoverageData) -> Coverage:
    """Return a ``Coverage`` that was told the same and records to ``data``, ready to start."""
    told, plugins = pickle.loads(settings)
    cov = Coverage(config_file=False)
    private = _private(cov)
    vars(private.config).update(told)
    private._plugin_override = plugins
    private._data = data
    # What is not imported or not run here is so elsewhere, and what was imported before is not measured in a plain run.
    private._warn_no_data = private._warn_unimported_source = private._warn_preimported_source = False
    return cov


def measured_by(cov: Coverage, *, has_contexts: bool) -> Measured | None:
    """Return what ``cov`` measures, which has been started; or None if too little is there to measure it otherwise.

    Args:
        cov: To look at.
        has_contexts: Whether something else than coverage itself changes the context.
    """
    private = _private(cov)
    collector = private._collector
    wanted = [
        (collector, "should_start_context"),
        (collector, "tracers"),
        (collector, "pause"),
        (collector, "reset"),
        (collector, "_start_tracer"),
        (collector, "switch_context"),
        (getattr(collector, "core", None), "tracer_class"),
        (getattr(collector, "core", None), "systrace"),
        (getattr(private, "_plugins", None), "file_tracers"),
        (private.config, "core"),
    ]
    if not all(hasattr(owner, name) for owner, name in wanted) or _resuming_monitor() is None:
        return None
    return Measured(
        chosen_core=private.config.core,
        tracer=collector.core.tracer_class.__name__,
        has_branches=bool(private.config.branch),
        has_contexts=has_contexts or collector.should_start_context is not None,
        has_plugins=bool(private._plugins.file_tracers),
        concurrency=tuple(private.config.concurrency),
    )


def monitor(cov: Coverage) -> None:
    """Measure by ``sys.monitoring`` from now on, in this process, which ``cov`` traces; go on tracing if that fails.

    It tells of a line once. So whoever changes the context gets the tracing back first.
    """
    collector = _private(cov)._collector
    traced, switch_context = collector.core, collector.switch_context
    monitored = copy.copy(traced)
    monitored.tracer_class, monitored.tracer_kwargs = _resuming_monitor(), {}
    monitored.packed_arcs = monitored.systrace = False
    try:
        _change_core(cov, monitored)
    except Exception:  # noqa: BLE001  -- all places may be taken by other tools; a later coverage may be another
        _change_core(cov, traced)
        return

    def trace_and_switch_context(new_context: str | None) -> object:
        collector.switch_context = switch_context
        collector.flush_data()
        _change_core(cov, traced)
        return switch_context(new_context)

    collector.switch_context = trace_and_switch_context


def _change_core(cov: Coverage, core: Any) -> None:
    """Measure by another core; not yet if measuring is interrupted (pytest-cov's ``no_cover``)."""
    collector = _private(cov)._collector
    collector.pause()
    collector.core = core
    collector.reset()
    if not _private(cov)._started:
        return
    collector._start_tracer()
    if core.systrace and collector.threading is not None:
        collector.threading.settrace(collector._installation_trace)


def _resuming_monitor() -> type[Any] | None:
    """Return coverage's class, made to see generators, too, that began before it; None if it is not as we know it."""
    monitoring: Any = getattr(sys, "monitoring", None)  # since CPython 3.12
    monitor_type: Any = getattr(sys.modules.get("coverage.sysmon"), "SysMonitor", None)
    if monitoring is None or not hasattr(monitor_type, "sysmon_py_start"):
        return None

    class ResumingMonitor(monitor_type):  # type: ignore[misc]  # its base is not typed here
        def start(self) -> None:
            super().start()
            events = monitoring.events
            monitoring.register_callback(self.myid, events.PY_RESUME, self.sysmon_py_start)
            monitoring.set_events(self.myid, events.PY_START | events.PY_RESUME)

    try:
        is_like_that = hasattr(ResumingMonitor(), "myid")
    except TypeError:  # It was made with an argument before coverage 7.15, and may be again.
        is_like_that = False
    return ResumingMonitor if is_like_that else None


def set_filename(data: CoverageData, path: str) -> None:
    """Have the data stored there. A child that is forked later chooses a name of its own, as always."""
    private: Any = data
    private._filename = path


def expect_unimported_source(cov: Coverage) -> None:
    """Have it not complain of packages that were not imported in this process; they may have been in workers."""
    _private(cov)._warn_unimported_source = False


def _private(cov: Coverage) -> Any:
    return cov
