"""Everything of coverage's that is private, in one place.

``Coverage`` has no public word for "record elsewhere from now on", nor for "record now, and leave it at that": its
``save`` looks through the source folders each time, for files that were never run.
"""

from __future__ import annotations

import os
import pickle
import threading
from typing import TYPE_CHECKING, Any

from coverage import Coverage

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


def set_filename(data: CoverageData, path: str) -> None:
    """Have the data stored there. A child that is forked later chooses a name of its own, as always."""
    private: Any = data
    private._filename = path


def expect_unimported_source(cov: Coverage) -> None:
    """Have it not complain of packages that were not imported in this process; they may have been in workers."""
    _private(cov)._warn_unimported_source = False


def _private(cov: Coverage) -> Any:
    return cov
