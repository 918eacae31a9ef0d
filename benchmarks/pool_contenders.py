"""The pools of worker processes that are measured, behind one interface.

Each loads what it needs and no more: what is loaded is copied into its workers, and some of it is woken up there.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

PROCESSES = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Calls:
    """What a started pool is asked for.

    Attributes:
        map: Takes a function, items, and how many of them are handed out together; returns the list of results.
        stream: Takes a function and items; gives one result after another, in order.
    """

    map: Callable[[Callable[[Any], Any], Sequence[Any], int], Iterable[Any]]
    stream: Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class PoolContender(abc.ABC):
    """One way to have calls made by worker processes.

    Attributes:
        name: As in ``--contenders``.
        module: What is imported for it before any clock runs.
        distribution: What brings it, None for the standard library.
        birth: How its workers are started.
    """

    name: str
    module: str
    distribution: str | None
    birth = "forked"

    def load(self) -> Any:
        """Return its module."""
        return importlib.import_module(self.module)

    @abc.abstractmethod
    def started(self) -> contextlib.AbstractContextManager[Calls]:
        """Start the pool for a block; behind it everything is done and all processes of the pool have ended."""


class ParpoolPool(PoolContender):
    """This project's ``Pool``, which is what the others are compared with."""

    name = "parpool.Pool"
    module = "pytest_parpool"
    distribution = "pytest-parpool"

    @contextlib.contextmanager
    def started(self) -> Iterator[Calls]:
        """As anybody would."""
        with self.load().Pool(PROCESSES, context="fork") as pool:
            yield Calls(pool.map, pool.imap)
            pool.close()
            pool.join()


class ParpoolExecutor(PoolContender):
    """This project's ``PoolExecutor``."""

    name = "parpool.PoolExecutor"
    module = "pytest_parpool"
    distribution = "pytest-parpool"

    @contextlib.contextmanager
    def started(self) -> Iterator[Calls]:
        """As anybody would."""
        with self.load().PoolExecutor(PROCESSES, "fork") as executor:
            yield _calls_of_executor(executor)


class MultiprocessingPool(PoolContender):
    """``multiprocessing.Pool``: waits for ever for what a dead worker had."""

    name = "multiprocessing.Pool"
    module = "multiprocessing.pool"
    distribution = None

    @contextlib.contextmanager
    def started(self) -> Iterator[Calls]:
        """As ours."""
        with importlib.import_module("multiprocessing").get_context("fork").Pool(PROCESSES) as pool:
            yield Calls(pool.map, pool.imap)
            pool.close()
            pool.join()


class StandardExecutor(PoolContender):
    """``concurrent.futures.ProcessPoolExecutor``: broken once a worker has died."""

    name = "ProcessPoolExecutor"
    module = "concurrent.futures.process"
    distribution = None

    @contextlib.contextmanager
    def started(self) -> Iterator[Calls]:
        """With the start method of the others."""
        context = importlib.import_module("multiprocessing").get_context("fork")
        with self.load().ProcessPoolExecutor(PROCESSES, mp_context=context) as executor:
            yield _calls_of_executor(executor)


class LokyExecutor(PoolContender):
    """``loky.ProcessPoolExecutor``, which sends functions by cloudpickle; it has no fork without exec."""

    name = "loky"
    module = "loky"
    distribution = "loky"
    birth = "fresh interpreters"

    @contextlib.contextmanager
    def started(self) -> Iterator[Calls]:
        """With its own start method."""
        with self.load().ProcessPoolExecutor(PROCESSES) as executor:
            yield _calls_of_executor(executor)


class Joblib(PoolContender):
    """``joblib.Parallel`` with its own backend, which is the loky that it brings."""

    name = "joblib"
    module = "joblib"
    distribution = "joblib"
    birth = "fresh interpreters"

    @contextlib.contextmanager
    def started(self) -> Iterator[Calls]:
        """Its workers outlive each ``Parallel``; the block's end ends them."""
        joblib = self.load()

        def calls(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
            delayed = joblib.delayed(function)
            return (delayed(item) for item in items)

        def run_all(function: Callable[[Any], Any], items: Sequence[Any], chunksize: int) -> Iterable[Any]:
            results: list[Any] = joblib.Parallel(PROCESSES, batch_size=chunksize)(calls(function, items))
            return results

        def stream(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
            results: Iterable[Any] = joblib.Parallel(PROCESSES, batch_size=1, return_as="generator")(
                calls(function, items)
            )
            return results

        try:
            yield Calls(run_all, stream)
        finally:
            importlib.import_module("joblib.externals.loky").get_reusable_executor().shutdown(wait=True)


def _calls_of_executor(executor: Any) -> Calls:
    def run_all(function: Callable[[Any], Any], items: Sequence[Any], chunksize: int) -> Iterable[Any]:
        return list(executor.map(function, items, chunksize=chunksize))

    return Calls(run_all, executor.map)


SUBJECT = ParpoolPool()

POOL_CONTENDERS = {
    contender.name: contender
    for contender in (
        SUBJECT,
        ParpoolExecutor(),
        MultiprocessingPool(),
        StandardExecutor(),
        LokyExecutor(),
        Joblib(),
    )
}
