"""Command line and ini values, checked once and put into one frozen ``Settings``.

Every complaint is one line that names the option, the value and what is allowed. How many workers there really will be
is the caller's business: never more than items, and none when pytest only collects or shows something.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, cast

from pytest_parpool.errors import BadSettingError
from pytest_parpool.model.records import Record, record

if TYPE_CHECKING:
    from pytest_parpool.initializers import InitializerSpec

DIST_MODES = ("load", "worksteal", "loadscope", "loadfile", "loadgroup", "each", "no")

RESTARTS_PER_WORKER = 4  # pytest-xdist's default for --max-worker-restart


@record(kw_only=True)
class Settings(Record):
    """What the user asked for.

    Attributes:
        processes: Number of workers; 0 runs all tests in this process.
        dist: One of ``DIST_MODES``; "no" exactly if ``processes`` is 0.
        max_worker_restart: How many crashed workers may be replaced in the whole run.
        max_sched_chunk: At most so many items are handed to a worker at once, or None for no limit.
        loadscope_reorder: Whether ``loadscope`` begins with the scopes that have the most items.
        testrunuid: Not empty; the same in all workers.
        start_method: How workers are started; "auto" is decided after the collection.
        max_tasks_per_child: A worker is replaced after so many items, or None for never.
        initializers: Called in each new worker, in this order.
        shutdown_timeout: Seconds, greater than 0; None leaves the defaults of the two kinds of shutdown in place.
        gc_freeze: Whether ``gc.freeze`` is called before the fork.
        native_threads_safe: Native libraries, and patterns of names of Python threads, that do not keep from a fork.
        leftovers: What comes of a test that ends while it holds a shared lock.
        rerun_hooks: Plugins whose hooks are run again in each worker, whatever they look at.
        keep_hooks: Plugins whose hooks are not.
        explain_workers: Whether to say what was run again, and why.
        cpus: Slots that tests share with what they start, or None for as many as workers.
        limit_native_threads: Whether native libraries are told how many threads they may use.
        jobserver: Whether make and its like are.
    """

    processes: int
    dist: str
    max_worker_restart: int
    max_sched_chunk: int | None
    loadscope_reorder: bool
    testrunuid: str
    start_method: Literal["auto", "fork", "spawn"]
    max_tasks_per_child: int | None
    initializers: tuple[InitializerSpec, ...]
    shutdown_timeout: float | None
    gc_freeze: bool
    native_threads_safe: tuple[str, ...]
    leftovers: Literal["error", "warn"]
    rerun_hooks: tuple[str, ...]
    keep_hooks: tuple[str, ...]
    explain_workers: bool
    cpus: int | None
    limit_native_threads: bool
    jobserver: bool

    @property
    def cpu_slots(self) -> int:
        """How much of the machine a run with workers may keep busy, in CPUs: ``-n`` says it, if nothing else does.

        There may be fewer slots than workers, for tests that mostly wait.
        """
        return self.cpus or self.processes


def read_settings(
    option: argparse.Namespace,
    getini: Callable[[str], object],
    *,
    auto_count: Callable[[], int],
    new_testrunuid: Callable[[], str] = lambda: os.urandom(16).hex(),
    has_fork: bool = hasattr(os, "fork"),
    has_workers: bool = hasattr(os, "fork") or sys.platform == "win32",
) -> Settings:
    """Check everything that the user gave.

    Args:
        option: ``config.option`` with the dests of ``options``, and pytest's ``usepdb``, ``trace`` and ``collectonly``.
        getini: ``config.getini``.
        auto_count: Number of workers for ``-n auto`` and ``-n logical``; called at most once, after all other checks.
        new_testrunuid: Makes the run's id if none was given.
        has_fork: Whether this platform offers ``os.fork``.
        has_workers: Whether this platform has processes that can be workers.

    Raises:
        BadSettingError: If a value is not allowed.
    """
    _refuse_unoffered(option)
    dist = _read_dist(option)
    own = _OwnValues(option, getini)
    restarts = _Given("--max-worker-restart", option.maxworkerrestart).whole_number(least=0)
    max_sched_chunk = _Given("--maxschedchunk", option.maxschedchunk).whole_number(least=1)
    max_tasks_per_child = own.find("parpool_maxtasksperchild", "--maxtasksperchild").whole_number(least=1)
    start_method = own.find("parpool_start_method", "--start-method")
    start_method.check_choice(("auto", "fork", "spawn") if has_fork else ("auto", "spawn"))
    shutdown_timeout = own.find("parpool_shutdown_timeout", "--shutdown-timeout").seconds()
    initializers = own.initializers()
    gc_freeze = bool(own.ini("parpool_gc_freeze", "true or false"))
    native_threads_safe = own.ini_lines("parpool_native_threads_safe")
    cpus = own.find("parpool_cpus", "--parpool-cpus").whole_number(least=1)
    limit_native_threads = bool(own.ini("parpool_limit_native_threads", "true or false"))
    jobserver = bool(own.ini("parpool_jobserver", "true or false"))
    leftovers = own.find_ini("parpool_leftovers")
    leftovers.check_choice(("error", "warn"))
    rerun_hooks, keep_hooks = own.ini_lines("parpool_rerun_hooks"), own.ini_lines("parpool_keep_hooks")
    for plugin in rerun_hooks:
        if plugin in keep_hooks:
            raise BadSettingError(
                f"ini options parpool_rerun_hooks and parpool_keep_hooks: {plugin!r} is not allowed in both; "
                "take it out of one"
            )

    processes = _read_processes(option, dist, auto_count)
    if processes and not has_workers:
        raise BadSettingError(
            f"-n/--numprocesses: {processes} is not allowed, because there are no workers on this platform; give -n 0"
        )
    return Settings(
        processes=processes,
        dist=dist if processes else "no",
        max_worker_restart=RESTARTS_PER_WORKER * processes if restarts is None else restarts,
        max_sched_chunk=max_sched_chunk,
        loadscope_reorder=option.loadscopereorder,
        # An empty text counts as none: ``--testrunuid "$CI_RUN"`` must not make all runs look like one.
        testrunuid=option.testrunuid or new_testrunuid(),
        start_method=cast("Literal['auto', 'fork', 'spawn']", start_method.value or "auto"),
        max_tasks_per_child=max_tasks_per_child,
        initializers=initializers,
        shutdown_timeout=shutdown_timeout,
        gc_freeze=gc_freeze,
        native_threads_safe=native_threads_safe,
        leftovers="warn" if leftovers.value == "warn" else "error",
        rerun_hooks=rerun_hooks,
        keep_hooks=keep_hooks,
        explain_workers=option.parpool_explain_workers,
        cpus=cpus,
        limit_native_threads=limit_native_threads,
        jobserver=jobserver,
    )


def publish(settings: Settings, option: argparse.Namespace) -> None:
    """Write the answer back into ``config.option``, in the form in which pytest-xdist leaves it for other plugins.

    May be called again when the number of workers changes. ``numprocesses`` stays None if ``-n`` was not given.
    """
    option.dist = settings.dist if settings.processes else "no"
    option.tx = ["popen"] * settings.processes
    if option.numprocesses is not None:
        option.numprocesses = settings.processes


@record
class _Given(Record):
    """A value as it was given, None if it was not, with the name of the place it comes from."""

    source: str
    value: object

    def whole_number(self, *, least: int, also: str = "") -> int | None:
        """Return the number, or None if none was given; ``also`` says what else is allowed."""
        number = self.value
        if isinstance(number, str):
            try:
                number = int(number)
            except ValueError:
                raise self._refusal(f"a whole number >= {least}{also}") from None
        if number is None:
            return None
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise self._refusal(f"a whole number >= {least}{also}")
        return number

    def seconds(self) -> float | None:
        """Return a time span greater than 0, or None if none was given."""
        if self.value is None:
            return None
        try:
            seconds = float(str(self.value))
        except ValueError:
            seconds = math.nan
        if not (math.isfinite(seconds) and seconds > 0):
            raise self._refusal("seconds > 0, e.g. 5 or 0.5")
        return seconds

    def check_choice(self, choices: tuple[str, ...]) -> None:
        """Raise unless the value is one of these, or was not given."""
        if self.value is not None and self.value not in choices:
            raise self._refusal(f"one of {', '.join(choices)}")

    def _refusal(self, allowed: str) -> BadSettingError:
        return BadSettingError.for_value(self.source, self.value, allowed)


@record
class _OwnValues(Record):
    """Our own values: on the command line under the same name as in the ini file, which it overrides."""

    option: argparse.Namespace
    getini: Callable[[str], object]

    def find(self, name: str, flag: str) -> _Given:
        """Return what the command line says, or else the ini file."""
        value: object = getattr(self.option, name)
        if value is not None:
            return _Given(flag, value)
        given = self.find_ini(name)
        # The flag is what the user can then be told about.
        return _Given(flag, None) if given.value is None else given

    def find_ini(self, name: str) -> _Given:
        """Return what the ini file says; an empty value is one that was not given."""
        return _Given(_ini_source(name), self.ini(name, "a text, in TOML with quotes") or None)

    def initializers(self) -> tuple[InitializerSpec, ...]:
        """Return those of the ini file, then those of the command line."""
        name = "parpool_worker_initializer"
        in_ini, on_command_line = self.ini_lines(name), getattr(self.option, name)
        if not in_ini and not on_command_line:
            return ()
        from pytest_parpool.initializers import parse_initializer

        from_ini = (parse_initializer(text, source=_ini_source(name)) for text in in_ini)
        from_command_line = (parse_initializer(text) for text in on_command_line)
        return (*from_ini, *from_command_line)

    def ini_lines(self, name: str) -> tuple[str, ...]:
        """Return the lines of an ini value of type linelist."""
        lines = self.ini(name, "texts, one in a line, in TOML a list")
        assert isinstance(lines, list)
        return tuple(lines)

    def ini(self, name: str, allowed: str) -> object:
        """Return an ini value. pytest converts it only now, so this is where a wrong type shows."""
        try:
            return self.getini(name)
        # By version, pytest raises ValueError, TypeError or its own UsageError, not always with the option's name.
        except Exception as error:
            raise BadSettingError(f"{_ini_source(name)}: {error}; give {allowed}") from error


def _ini_source(name: str) -> str:
    return f"ini option {name}"


def _refuse_unoffered(option: argparse.Namespace) -> None:
    """Raise for the parts of pytest-xdist that this plugin has not."""
    if option.px:
        raise BadSettingError(f"--px: {option.px[0]!r} is not allowed; proxies are not offered, all workers are local")
    if option.rsyncdir:
        directory = option.rsyncdir[0]
        raise BadSettingError(f"--rsyncdir: {directory!r} is not allowed; rsync is not offered, all workers are local")
    if option.looponfail:
        raise BadSettingError("-f/--looponfail is not offered; run the last failures again with --lf")


def _read_dist(option: argparse.Namespace) -> str:
    """Return the mode asked for, whether or not there are workers to distribute to."""
    dist: str = option.dist
    _Given("--dist", dist).check_choice(DIST_MODES)
    return "load" if option.distload or (dist == "no" and option.numprocesses is not None) else dist


def _read_processes(option: argparse.Namespace, dist: str, auto_count: Callable[[], int]) -> int:
    """Return the number of workers, by the rules of pytest-xdist's ``pytest_cmdline_main``."""
    requested = _Given("-n/--numprocesses", option.numprocesses)
    limit = _Given("--maxprocesses", option.maxprocesses).whole_number(least=1)
    environments = _count_environments(option.tx)
    debugger = _debugger(option)
    if requested.value is None:
        processes = environments if dist != "no" else 0
    elif requested.value in ("auto", "logical"):
        processes = 0 if debugger else _checked_auto_count(auto_count())
    else:
        processes = requested.whole_number(least=0, also=", 'auto' or 'logical'") or 0
    if processes and debugger:
        source = "--tx" if requested.value is None else requested.source
        raise BadSettingError(f"{source}: {processes} is not allowed together with {debugger}; give -n 0 or -n auto")
    if limit is None or requested.value is None:
        return processes
    return min(processes, limit)


def _debugger(option: argparse.Namespace) -> str | None:
    """Return the option that asks for a debugger on this terminal, which no worker can have."""
    if option.collectonly:
        return None
    # With a default, because ``-p no:debugging`` takes these options away.
    if getattr(option, "usepdb", False):
        return "--pdb"
    return "--trace" if getattr(option, "trace", False) else None


def _checked_auto_count(count: object) -> int:
    """Return the number that a hook made by somebody else has answered."""
    hook = "hook pytest_xdist_auto_num_workers"
    number = _Given(hook, count).whole_number(least=0)
    if number is None:
        raise BadSettingError.for_value(hook, None, "a whole number >= 0")
    return number


def _count_environments(tx: list[str]) -> int:
    """Return how many workers ``--tx`` asks for."""
    count = 0
    for spec in tx:
        match = re.fullmatch(r"(?:([1-9][0-9]*)\*)?popen", spec)
        if match is None:
            raise BadSettingError.for_value("--tx", spec, "'popen' or 'N*popen'; all workers are local")
        count += int(match[1] or 1)
    return count
