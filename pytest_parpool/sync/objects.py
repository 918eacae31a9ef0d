"""Makes the proxies: what tests know as ``parpool``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from pytest_parpool.model.sync_requests import AwaitChange
from pytest_parpool.sync.array import Array
from pytest_parpool.sync.barrier import Barrier
from pytest_parpool.sync.checks import check_count, check_name
from pytest_parpool.sync.condition import Condition
from pytest_parpool.sync.dictionary import Dict
from pytest_parpool.sync.errors import LockTimeoutError
from pytest_parpool.sync.event import Event
from pytest_parpool.sync.lock import Lock
from pytest_parpool.sync.once import run_once
from pytest_parpool.sync.party import Party
from pytest_parpool.sync.queue import Queue
from pytest_parpool.sync.rlock import RLock
from pytest_parpool.sync.rwlock import RWLock
from pytest_parpool.sync.semaphore import Semaphore
from pytest_parpool.sync.system import System
from pytest_parpool.sync.value import Counter, Value

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_T = TypeVar("_T")

# How long a predicate that depends on something else than shared objects may wait to be looked at.
_LOOK_SECONDS: Final = 0.05


class SharedObjects:
    """The shared objects of a run. An object is made when it is first used, by whoever does; its name says which it is.

    Every method raises ValueError, naming the argument, for one that is not allowed.

    Args:
        party: This process.
    """

    def __init__(self, party: Party) -> None:
        self.party = party

    def lock(self, name: str) -> Lock:
        """Return a lock."""
        return Lock.of(self.party, check_name(name))

    def rlock(self, name: str) -> RLock:
        """Return a lock that its holder may take again."""
        return RLock.of(self.party, check_name(name))

    def semaphore(self, name: str, k: int) -> Semaphore:
        """Return a semaphore with ``k`` permits."""
        return Semaphore.of(self.party, check_name(name), check_count("k", k, 1))

    def rwlock(self, name: str) -> RWLock:
        """Return a lock that many may hold for reading, or one for writing."""
        return RWLock.of(self.party, check_name(name))

    def condition(self, name: str) -> Condition:
        """Return a condition, with a lock of its own."""
        return Condition.of(self.party, check_name(name))

    def event(self, name: str) -> Event:
        """Return an event."""
        return Event.of(self.party, check_name(name))

    def value(self, name: str, initial: object = 0) -> Value:
        """Return a value; it is ``initial`` if nobody has opened it before."""
        value = Value.of(self.party, check_name(name), initial)
        value.open()
        return value

    def counter(self, name: str) -> Counter:
        """Return a counter, which begins with 0."""
        counter = Counter.of(self.party, check_name(name))
        counter.open()
        return counter

    def barrier(self, name: str, parties: int) -> Barrier:
        """Return a barrier for so many."""
        return Barrier.of(self.party, check_name(name), parties)

    def queue(self, name: str, maxsize: int = 0) -> Queue:
        """Return a queue that holds so much; 0 for any number."""
        return Queue.of(self.party, check_name(name), maxsize)

    def dict(self, name: str) -> Dict:
        """Return a dictionary, empty at first."""
        return Dict.of(self.party, check_name(name))

    def array(self, name: str, dtype: Any, shape: int | tuple[int, ...] | list[int]) -> Array:
        """Return an array in shared memory, all zeros at first.

        Args:
            name: Its name.
            dtype: One of the typecodes ``b B h H i I l L q Q f d ?``, or anything that ``numpy.dtype`` accepts.
            shape: Its length, or several lengths.

        Raises:
            MismatchError: If it was opened with another type or shape before; a ValueError.
            NumpyMissingError: If the type is numpy's, and numpy is not installed; an ImportError.
        """
        array = Array.of(self.party, check_name(name), dtype, tuple(shape) if isinstance(shape, list) else shape)
        array.open()
        return array

    def once(self, name: str, fn: Callable[..., _T], *args: object, **kwargs: object) -> _T:
        """Return what ``fn`` returns, called by whoever comes first, for all who give this name; see ``run_once``."""
        result: _T = run_once(self.party, check_name(name), fn, *args, **kwargs)
        return result

    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Wait until a function returns something true, and return that.

        It is called whenever a shared object has changed, and twenty times a second.

        Raises:
            LockTimeoutError: If that took longer than so many seconds; a TimeoutError.
        """
        deadline = None if timeout is None else System.monotonic() + timeout
        seen = self.party.ask(AwaitChange(-1, 0))
        while True:
            if result := predicate():
                return result
            patience = _LOOK_SECONDS
            if deadline is not None:
                patience = min(patience, deadline - System.monotonic())
                if patience <= 0:
                    raise LockTimeoutError(f"{_name_of(predicate)} was not true within {timeout:g} s")
            try:
                seen = self.party.ask(AwaitChange(seen, patience))
            except LockTimeoutError:  # Nothing has changed that the broker knows of.
                pass


def _name_of(predicate: Callable[[], object]) -> str:
    code = getattr(predicate, "__code__", None)
    name = getattr(predicate, "__qualname__", repr(predicate))
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
