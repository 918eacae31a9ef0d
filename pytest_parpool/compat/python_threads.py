"""Finds the threads of Python that a fork would leave behind, and says who started them.

A fork copies the calling thread only. What another one did for the rest of the program, nobody does in a forked worker:
a queue is not emptied, an executor that believes in its idle threads never runs what it is given, and a lock that one
of them held stays locked. Whether a thread is a daemon makes no difference.

Not among them are the main thread, those that native code has started (``native_threads`` counts these), those of
libraries that get on without or start them anew (the table below), and those that a user allows.
"""

from __future__ import annotations

import fnmatch
import functools
import inspect
import sys
import threading
import time
from collections.abc import Collection, Iterator
from types import CodeType, FrameType

from pytest_parpool.compat.code_places import CodePlaces, is_standard_library
from pytest_parpool.model.records import Record, record
from pytest_parpool.runtime.native_threads import SETTLE_SECONDS
from pytest_parpool.runtime.sockets import RawSocket

# By the package or module of what the thread runs: names are for people, and change.
KNOWN_SAFE = {
    "pytest_parpool": "ours; a pool that runs in a thread forks from a template",
    "_pydevd_bundle": "pydevd replaces os.fork, and attaches the child to the debugger anew",
    "_pydev_bundle": "as above",
    "pydevd": "as above",
    "debugpy": "as above",
    "pytest_rerunfailures": "serves the workers from the controller, over a socket of its own",
    "pytest_retry": "as above",
    "tqdm": "only redraws bars that stand still; a bar without it is drawn by its next step",
    "sentry_sdk": "compares process ids, and starts its threads anew in a child",
    "opentelemetry.sdk": "starts its threads anew in a child (os.register_at_fork)",
}


@record
class FoundThread(Record):
    """A thread that a fork would leave behind.

    Attributes:
        name: Its name.
        runs: What it was started for, or runs now if that tells more, with the place.
    """

    name: str
    runs: str


@record
class Threads(Record):
    """What was found.

    Attributes:
        unknown: Those that are a reason not to fork.
        sockets: The descriptors of sockets that belong to the others, and are no reason either.
    """

    unknown: tuple[FoundThread, ...]
    sockets: frozenset[int]


def scan(allowed: Collection[str], places: CodePlaces) -> Threads:
    """Return what this process's threads mean for a fork now.

    Args:
        allowed: Patterns (``fnmatch``) of names of threads that a user knows to be of no use in workers.
        places: What is the project's.
    """
    threads = _look(allowed, places)
    if threads.unknown:
        time.sleep(SETTLE_SECONDS)  # Some were told to end just before.
        threads = _look(allowed, places)
    return threads


def _look(allowed: Collection[str], places: CodePlaces) -> Threads:
    unknown: list[FoundThread] = []
    sockets: set[int] = set()
    for thread in threading.enumerate():
        if thread in (threading.main_thread(), threading.current_thread()):
            continue
        if isinstance(thread, threading._DummyThread):  # noqa: SLF001 - what a native thread is in Python.
            continue
        target = _target(thread)
        if _is_known(thread, target) or any(fnmatch.fnmatchcase(thread.name, pattern) for pattern in allowed):
            sockets.update(_sockets_of(thread), _sockets_of(getattr(target, "__self__", None)))
        else:
            unknown.append(FoundThread(thread.name, _describe(thread, target, places)))
    return Threads(tuple(unknown), frozenset(sockets))


def _target(thread: threading.Thread) -> object:
    """Return the function that a thread was started for."""
    if isinstance(thread, threading.Timer):
        target: object = thread.function
    else:
        # Python forgets it when it has returned; and who overrides ``run`` needs none.
        target = getattr(thread, "_target", None) or thread.run
    while isinstance(target, functools.partial):
        target = target.func
    return inspect.unwrap(target) if callable(target) else target


def _is_known(thread: threading.Thread, target: object) -> bool:
    modules = (type(thread).__module__, getattr(target, "__module__", None) or "")
    return any(module == known or module.startswith(f"{known}.") for module in modules for known in KNOWN_SAFE)


def _sockets_of(owner: object) -> Iterator[int]:
    """Yield the descriptors of sockets that an object keeps as its attributes: a server does."""
    for value in getattr(owner, "__dict__", {}).values():
        if isinstance(value, RawSocket):
            yield value.fileno()


def _describe(thread: threading.Thread, target: object, places: CodePlaces) -> str:
    code = getattr(target, "__code__", None)
    if isinstance(code, CodeType) and not is_standard_library(code.co_filename):
        return f"{_name(target)}, {places.show(code.co_filename, code.co_firstlineno)}"
    # The standard library's, as in an executor: what it was given to do says more.
    running = _running(thread, places)
    if running is not None:
        return f"{_name(target)}, now in {running}"
    return _name(target)


def _running(thread: threading.Thread, places: CodePlaces) -> str | None:
    """Return the innermost place of the project, else of a library, where a thread is; None if it idles."""
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - the way to see it.
    found: str | None = None
    while frame is not None:
        filename = frame.f_code.co_filename
        if places.is_project(filename):
            return places.show(filename, frame.f_lineno)
        if found is None and not is_standard_library(filename):
            found = places.show(filename, frame.f_lineno)
        frame = frame.f_back
    return found


def _name(function: object) -> str:
    module = getattr(function, "__module__", None) or type(function).__module__
    qualified = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module}.{qualified}"
