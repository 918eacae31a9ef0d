"""Decides whether workers can be forked from this controller, and gives the reasons if they cannot.

A forked worker is a copy of the controller after collection. That is right as long as nothing in it was made for one
process: no answer to the question for the worker's id, no thread that is left behind, no connection that two processes
would speak on. What there is, is found by the modules for each; here it is put in order and into words.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from pytest_parpool.compat import identity_reads, open_sockets
from pytest_parpool.model.records import Record, record

if TYPE_CHECKING:
    import pytest

    from pytest_parpool.compat.identity_reads import IdentityRead
    from pytest_parpool.compat.native_threads import UnsafeLibrary
    from pytest_parpool.compat.python_threads import FoundThread

_PLATFORMS = {
    "darwin": "forking is not safe on macOS, whose own libraries start threads",
    "win32": "Windows cannot fork",
}


@record(kw_only=True)
class Findings(Record):
    """What was found in a controller after collection.

    Attributes:
        reads: Of a worker's identity.
        threads: Of Python.
        libraries: With native threads.
        sockets: That would be shared, each to be read behind "the".
    """

    reads: tuple[IdentityRead, ...] = ()
    threads: tuple[FoundThread, ...] = ()
    libraries: tuple[UnsafeLibrary, ...] = ()
    sockets: tuple[str, ...] = ()


def decide(findings: Findings, platform: str) -> list[str]:
    """Return why workers should be spawned, each reason to be read behind "because"; empty if a fork is safe.

    The most important comes first. A wrong identity makes wrong results, silently; threads that are missing make tests
    hang, those of Python more likely than those of libraries, which may be loaded and never used again.

    Args:
        findings: What there is.
        platform: As ``sys.platform``.
    """
    reasons: list[str] = []
    if platform != "linux":
        reasons.append(_PLATFORMS.get(platform) or f"it is not known whether forking is safe on {platform}")
    reasons += [
        f"{read.place} reads {read.variable} {read.moment}, which forked ones do not repeat" for read in findings.reads
    ]
    reasons += [
        f"the thread {thread.name!r} ({thread.runs}) would be missing in forked ones" for thread in findings.threads
    ]
    if findings.libraries:
        named = ", ".join(f"{library.name} ({library.reason})" for library in findings.libraries)
        reasons.append(f"native threads would be missing in forked ones: {named}")
    reasons += [f"the {socket} would be shared by forked ones" for socket in findings.sockets]
    return reasons


class _Begun:
    """What is known from the beginning of a watch on."""

    def __init__(self) -> None:
        self.identity = identity_reads.Watch()
        self.inherited_sockets = open_sockets.inodes()


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
    if sys.platform != "linux":
        return decide(Findings(), sys.platform)
    from pytest_parpool.budget.limiting import environ_at_load
    from pytest_parpool.compat import native_threads
    from pytest_parpool.compat.code_places import CodePlaces

    # What follows is not loaded, and no directory is read, for a suite that did nothing of that kind.
    reads: tuple[IdentityRead, ...] = ()
    if _begun is not None and _begun.identity.has_noted():
        reads = _begun.identity.reads(CodePlaces.of(str(config.rootpath), sys.path))
    threads: tuple[FoundThread, ...] = ()
    accepted_sockets: frozenset[int] = frozenset()
    if threading.active_count() > 1:
        from pytest_parpool.compat import python_threads

        found = python_threads.scan(allowed, CodePlaces.of(str(config.rootpath), sys.path))
        threads, accepted_sockets = found.unknown, found.sockets
    libraries = native_threads.scan(allowed, environ=environ_at_load(config))
    sockets = open_sockets.scan(_begun.inherited_sockets, accepted_sockets) if _begun is not None else ()
    return decide(Findings(reads=reads, threads=threads, libraries=libraries, sockets=sockets), sys.platform)
