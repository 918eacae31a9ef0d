"""The proxies' arguments, names and errors: whatever needs no broker."""

from __future__ import annotations

import contextlib
import pickle
import queue
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from pytest_parpool.errors import ParpoolError
from pytest_parpool.sync import errors
from pytest_parpool.sync.acquiring import wait_seconds
from pytest_parpool.sync.caller import find_line, warn_at_line
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.party import Party
from pytest_parpool.sync.queue import Queue
from pytest_parpool.sync.services import SystemService

OWNER_PID = 1


@pytest.fixture
def objects() -> SharedObjects:
    """The shared objects of a run whose broker is never started."""
    return SharedObjects(Party(SystemService("unit", OWNER_PID), "gw0"))


@pytest.mark.parametrize(
    "make",
    [
        lambda objects, name: objects.lock(name),
        lambda objects, name: objects.rlock(name),
        lambda objects, name: objects.semaphore(name, 1),
        lambda objects, name: objects.event(name),
        lambda objects, name: objects.value(name),
        lambda objects, name: objects.counter(name),
        lambda objects, name: objects.barrier(name, 1),
        lambda objects, name: objects.queue(name),
        lambda objects, name: objects.once(name, int),
    ],
)
@pytest.mark.parametrize("name", ["", None, 5, b"x"])
def test_names_are_texts(objects: SharedObjects, make: Callable[[SharedObjects, Any], object], name: object) -> None:
    """Anything else is refused where it is given, and the message names the argument."""
    with pytest.raises(ValueError, match=r"^name: .* is not allowed"):
        make(objects, name)


@pytest.mark.parametrize("count", [0, -1, 1.5, None, "2"])
def test_counts_are_whole_numbers_from_one_on(objects: SharedObjects, count: Any) -> None:
    """Anything else is refused where it is given, and the message names the argument."""
    with pytest.raises(ValueError, match=r"^k: .* is not allowed"):
        objects.semaphore("s", count)
    with pytest.raises(ValueError, match=r"^parties: .* is not allowed"):
        objects.barrier("b", count)


def test_proxies_are_equal_by_kind_and_name(objects: SharedObjects) -> None:
    """Two proxies of an object are one key; another kind, name or run is another."""
    lock, elsewhere = objects.lock("a"), SharedObjects(Party(SystemService("other", OWNER_PID), "gw0"))
    assert lock == objects.lock("a")
    assert len({lock, objects.lock("a"), objects.rlock("a"), objects.lock("b"), objects.event("a")}) == 4
    assert lock != objects.rlock("a")
    assert lock != elsewhere.lock("a")
    assert lock != "a"


def test_proxies_show_their_kind_and_name(objects: SharedObjects) -> None:
    """A proxy in an assertion's message says what it is."""
    assert repr(objects.lock("a")) == "<Lock 'a'>"
    assert objects.semaphore("a", 1).shown == "semaphore 'a'"


@pytest.mark.parametrize(
    ("is_blocking", "timeout", "seconds"),
    [
        (True, None, None),
        (True, -1, None),
        (True, 0, 0),
        (True, 2.5, 2.5),
        (True, -2, 0),
        (False, None, 0),
        (False, -1, 0),
    ],
)
def test_wait_seconds(is_blocking: bool, timeout: float | None, seconds: float | None) -> None:
    """The arguments of both ``threading`` and ``multiprocessing`` are understood."""
    assert wait_seconds(timeout, is_blocking=is_blocking) == seconds


def test_a_timeout_for_what_does_not_wait(objects: SharedObjects) -> None:
    """It is refused, as in ``threading``."""
    with pytest.raises(ValueError, match="non-blocking"):
        objects.lock("a").acquire(False, 1)


def test_negative_sizes_are_no_limit(objects: SharedObjects) -> None:
    """As in ``queue.Queue``."""
    assert Queue.of(objects.party, "q", -3).maxsize == 0


def test_a_hold_belongs_to_its_test_in_all_phases() -> None:
    """A node id that another one begins with is not mixed up with it."""
    hold = Hold({}, 1, "lock 'a'", 1, "a.py::test_x (call)", "a.py:3")
    assert hold.is_of("a.py::test_x")
    assert hold.is_of("a.py::test_x (call)")
    assert not hold.is_of("a.py::test")
    assert str(hold) == "lock 'a', taken at a.py:3"


def test_a_hold_leaves_only_its_own_place() -> None:
    """When another one is there by now, that one stays."""
    table: dict[int, Hold] = {}
    first, second = (Hold(table, 1, "lock 'a'", lane, "", "") for lane in (1, 2))
    first.enter()
    second.enter()
    first.leave()
    assert table == {1: second}
    second.leave()
    assert table == {}


# --- Errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        (errors.DeadlockError, [RuntimeError]),
        (errors.NotHeldError, [RuntimeError, ValueError]),
        (errors.LockTimeoutError, [TimeoutError]),
        (errors.BrokenObjectError, [RuntimeError]),
        (errors.BrokenBarrierError, [threading.BrokenBarrierError, RuntimeError]),
        (errors.MismatchError, [ValueError]),
        (errors.UnfitError, [TypeError]),
        (errors.UnpicklableError, [TypeError]),
        (errors.BrokerLostError, []),
    ],
)
def test_errors_are_what_the_standard_library_raises(kind: type[ParpoolError], others: list[type[Exception]]) -> None:
    """Code that catches those catches ours; and they travel."""
    error = kind("text")
    assert issubclass(kind, (ParpoolError, *others))
    assert all(isinstance(error, other) for other in others)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == "text"


def test_the_queue_module_is_the_standard_one() -> None:
    """Our module of that name does not stand in its way."""
    assert queue.__name__ == "queue"
    assert not issubclass(Queue, queue.Queue)


# --- The user's line --------------------------------------------------------------------------------------------------


def test_the_users_line_is_this_one() -> None:
    """A path below the working directory is shown as one types it."""
    assert find_line().startswith("tests/unit/test_sync_objects.py:") or find_line().startswith(f"{__file__}:")


@pytest.mark.parametrize("file_name", [contextlib.__file__, errors.__file__])
def test_between_the_user_and_us(file_name: str) -> None:
    """Lines of ``contextlib``, which calls us for the user, and our own are passed over."""
    found: dict[str, object] = {"find_line": find_line}
    exec(compile("line = find_line()", file_name, "exec"), found)
    assert "test_sync_objects.py:" in str(found["line"])


def test_warnings_name_the_users_line() -> None:
    """A filter by module works, and the line is shown."""
    find_line()  # so that it is known which files are ours
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warn_at_line("text", errors.AbandonedLockWarning)
    assert seen[0].filename == __file__
    assert seen[0].category is errors.AbandonedLockWarning
