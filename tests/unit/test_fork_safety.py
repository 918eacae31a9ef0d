"""In which order and words the reasons against a fork come."""

from __future__ import annotations

import os

import pytest

from pytest_parpool.compat import fork_safety
from pytest_parpool.compat.fork_reasons import Findings, decide
from pytest_parpool.compat.identity_reads import IMPORT, IdentityRead
from pytest_parpool.compat.python_threads import FoundThread
from pytest_parpool.runtime.native_threads import UnsafeLibrary

EVERYTHING = Findings(
    sockets=("connection from 127.0.0.1:40122 to 127.0.0.1:5432",),
    libraries=(UnsafeLibrary("libgomp", "GNU OpenMP"), UnsafeLibrary("torch", "its thread pools")),
    threads=(FoundThread("poller", "conftest.poll, conftest.py:5"),),
    reads=(IdentityRead("PYTEST_XDIST_WORKER", "conftest.py:3", IMPORT),),
)


def test_nothing_found_is_no_reason() -> None:
    """On Linux, a controller in which nothing was found is forked."""
    assert decide(Findings(), "linux") == []


def test_the_most_important_reason_comes_first() -> None:
    """Wrong results before tests that hang, Python's threads before libraries', sockets last."""
    assert decide(EVERYTHING, "linux") == [
        "conftest.py:3 reads PYTEST_XDIST_WORKER at import, which forked ones do not repeat",
        "the thread 'poller' (conftest.poll, conftest.py:5) would be missing in forked ones",
        "native threads would be missing in forked ones: libgomp (GNU OpenMP), torch (its thread pools)",
        "the connection from 127.0.0.1:40122 to 127.0.0.1:5432 would be shared by forked ones",
    ]


@pytest.mark.parametrize(
    ("platform", "reason"),
    [
        ("darwin", "forking is not safe on macOS, whose own libraries start threads"),
        ("win32", "Windows cannot fork"),
        ("freebsd14", "it is not known whether forking is safe on freebsd14"),
    ],
)
def test_only_linux_forks(platform: str, reason: str) -> None:
    """Elsewhere the platform is the first reason, whatever else there is."""
    assert decide(Findings(), platform) == [reason]
    assert decide(EVERYTHING, platform)[0] == reason


def test_a_watch_ends_when_the_next_begins() -> None:
    """A run that ended early, by a wrong option, has left its watch to the next one of the process."""
    before = os.environ.encodekey
    fork_safety.watch()
    fork_safety.watch()
    fork_safety.stop_watching()
    assert os.environ.encodekey is before
    fork_safety.stop_watching()


def test_elsewhere_nothing_is_watched(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    """Where workers are spawned anyway, the environment is left alone and nothing is looked for."""
    before = os.environ.encodekey
    monkeypatch.setattr("sys.platform", "darwin")
    fork_safety.watch()
    assert os.environ.encodekey is before
    assert len(fork_safety.reasons(pytestconfig, ())) == 1


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="there is no /proc")
def test_without_a_watch_only_threads_are_looked_for(pytestconfig: pytest.Config) -> None:
    """Which sockets are new cannot be told then; that is not taken for an error."""
    fork_safety.stop_watching()
    assert fork_safety.reasons(pytestconfig, ("*", "unknown native threads")) == []
