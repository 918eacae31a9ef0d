"""Finds out whether workers can be forked from this controller, and gives the reasons if they cannot.

A forked worker is a copy of the controller after collection. That is right as long as nothing in it was made for one
process: no answer to the question for the worker's id, no thread that is left behind, no connection that two processes
would speak on. In most suites there is nothing of that kind, which can be told by four cheap questions. The modules
that find what there is, and the one that puts it into words, are loaded if an answer is yes.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from pytest_parpool.compat.identity_watch import Watch
from pytest_parpool.runtime.sockets import socket_inodes
from pytest_parpool.runtime.thread_counts import may_have_native_threads

if TYPE_CHECKING:
    import pytest

    from pytest_parpool.compat.code_places import CodePlaces
    from pytest_parpool.compat.identity_reads import IdentityRead
    from pytest_parpool.compat.python_threads import FoundThread
    from pytest_parpool.runtime.native_threads import UnsafeLibrary


class _Begun:
    """What is known from the beginning of a watch on."""

    def __init__(self) -> None:
        self.identity = Watch()
        self.inherited_sockets = socket_inodes()


_begun: _Begun | None = None


def watch() -> None:
    """Begin to note who reads a worker's identity, and which sockets are opened. Costs some 20 microseconds.

    To be called before conftests are loaded, in each run of this process; a watch that still goes on ends.
    """
    global _begun  # noqa: PLW0603 - what is watched, the environment and the descriptors, is the process's.
    stop_watching()
    if sys.platform == "linux":
        _begun = _Begun()


def stop_watching() -> None:
    """Put back everything as it was found. To be called before workers are started; without a watch it does nothing."""
    global _begun  # noqa: PLW0603 - see ``watch``.
    if _begun is not None:
        _begun.identity.stop()
    _begun = None


def reasons(config: pytest.Config, allowed: Collection[str]) -> list[str]:
    """Return why workers should be spawned, not forked, as of now; empty if a fork is safe.

    To be called when everything is collected, while the watch still goes on. Without one, only threads are looked for.
    Each reason completes "workers are spawned, not forked, because"; the first is the most important.

    Args:
        config: Pytest's.
        allowed: What the user knows to do no harm: names of native libraries, as for ``native_threads.find_unsafe``,
            and patterns (``fnmatch``) of names of Python threads, the sockets of whose objects are allowed as well.
    """
    reads: tuple[IdentityRead, ...] = ()
    threads: tuple[FoundThread, ...] = ()
    libraries: tuple[UnsafeLibrary, ...] = ()
    sockets: tuple[str, ...] = ()
    if sys.platform == "linux":
        if _begun is not None and _begun.identity.has_noted():
            reads = _begun.identity.reads(_places(config))
        accepted_sockets: frozenset[int] = frozenset()
        if threading.active_count() > 1:
            from pytest_parpool.compat import python_threads

            found = python_threads.scan(allowed, _places(config))
            threads, accepted_sockets = found.unknown, found.sockets
        if may_have_native_threads():
            from pytest_parpool.budget.limiting import environ_at_load
            from pytest_parpool.runtime import native_threads

            libraries = native_threads.scan(allowed, environ=environ_at_load(config))
        if _begun is not None and not socket_inodes() <= _begun.inherited_sockets:
            from pytest_parpool.compat import open_sockets

            sockets = open_sockets.scan(_begun.inherited_sockets, accepted_sockets)
        if not (reads or threads or libraries or sockets):
            return []
    from pytest_parpool.compat.fork_reasons import Findings, decide

    return decide(Findings(reads=reads, threads=threads, libraries=libraries, sockets=sockets), sys.platform)


def _places(config: pytest.Config) -> CodePlaces:
    from pytest_parpool.compat.code_places import CodePlaces

    return CodePlaces.of(str(config.rootpath), sys.path)
