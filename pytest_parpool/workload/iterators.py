"""Results one after another, while inputs are read on: what ``imap`` and its kin return."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pytest_parpool.workload.callbacks import ServiceThread
from pytest_parpool.workload.engine import Job, Outcome
from pytest_parpool.workload.errors import PoolUsageError
from pytest_parpool.workload.feeds import Feed
from pytest_parpool.workload.outcomes import value_or_error
from pytest_parpool.workload.results import AsyncResult, Settling

if TYPE_CHECKING:
    from typing_extensions import Self

R = TypeVar("R")
T = TypeVar("T")
X = TypeVar("X")


class _Taking(ABC, Generic[X]):
    """The outer half of a feed: what the user has. Any thread may take from it; each result is given once.

    Args:
        feed: The inner half.
        owner: The pool, which has to stay alive until the end.
    """

    def __init__(self, feed: Feed, owner: object) -> None:
        self._feed = feed
        self._owner: object = owner
        self._pid = os.getpid()
        self._is_used = False
        self._ready: deque[X] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> X:
        return self.next()

    def next(self, timeout: float | None = None) -> X:
        """Return the next one.

        Args:
            timeout: How many seconds to wait, or None for as long as it takes.

        Raises:
            StopIteration: If there are no more.
            ResultTimeoutError: If there is none in time; it may be asked for again.
            BaseException: What reading the inputs raised; when all results before it have been taken.
            PoolUsageError: If this would wait for ever.
        """
        if os.getpid() != self._pid:
            raise PoolUsageError(f"these results come to process {self._pid}, which has forked this one")
        self._is_used = True
        while True:
            try:
                return self._ready.popleft()
            except IndexError:
                entry = self._feed.take(timeout)
            if entry is None:
                self._owner = None
                raise StopIteration
            self._ready.extend(self._unpack(*entry))

    def close(self) -> None:
        """Read no more inputs, and take back what has not begun. Results that are there can still be taken."""
        self._is_used = True
        self._feed.abandon()

    def __del__(self) -> None:
        # Whoever has never asked for a result wants what the tasks do besides: ``join`` will read on.
        # A forked child has a copy only.
        if getattr(self, "_is_used", False) and os.getpid() == self._pid:
            self._feed.abandon()

    @abstractmethod
    def _unpack(self, job: Job, outcome: Outcome) -> Iterable[X]:
        """Return what the user gets for a chunk."""


class ResultIterator(_Taking[R]):
    """Results one after another; ``next`` raises what a call raised, and can be called again for the next result.

    If a call of a chunk fails, that is the result of the whole chunk.
    """

    def _unpack(self, job: Job, outcome: Outcome) -> Iterable[R]:
        value, error = value_or_error(outcome, job)
        if error is None:
            values: Iterable[R] = value
            return values
        try:
            raise error
        finally:
            # The error's traceback refers to this frame.
            del error, self, outcome


class CompletedIterator(_Taking[tuple[T, AsyncResult[R]]], Generic[T, R]):
    """Pairs of an input and its result, as they are done. Nothing is raised but by the result's ``get``."""

    def _unpack(self, job: Job, outcome: Outcome) -> Iterable[tuple[T, AsyncResult[R]]]:
        ((item,), _) = job.calls[0]
        values, error = value_or_error(outcome, job)
        settling = Settling(_NOBODY)
        settling.settle(None if error else values[0], error)
        pair: tuple[Any, AsyncResult[R]] = item, AsyncResult(settling, None)
        return (pair,)


# The results of pairs are settled: nobody waits for them.
_NOBODY = ServiceThread()
