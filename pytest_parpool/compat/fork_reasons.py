"""Puts what was found in a controller into an order, and into words: why workers should be spawned, not forked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parpool.model.records import Record, record

if TYPE_CHECKING:
    from pytest_parpool.compat.identity_reads import IdentityRead
    from pytest_parpool.compat.python_threads import FoundThread
    from pytest_parpool.runtime.native_threads import UnsafeLibrary

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
