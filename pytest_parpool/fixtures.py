"""The fixtures: where a test runs, under the names that pytest-xdist gave them, what all tests share, and pools.

Nothing of ``sync`` and ``workload`` is imported before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_parpool import sharing
from pytest_parpool.stash import SETTINGS, TESTRUNUID

if TYPE_CHECKING:
    from typing import Any, Protocol

    from pytest_parpool.sync.event import Event
    from pytest_parpool.sync.lock import Lock
    from pytest_parpool.sync.objects import SharedObjects
    from pytest_parpool.sync.value import Value
    from pytest_parpool.workload.arguments import Kind
    from pytest_parpool.workload.pool import Pool

    class PoolFactory(Protocol):
        """What ``parpool_pool_factory`` is."""

        def __call__(
            self,
            processes: int | None = None,
            kind: Kind = "process",
            initializer: Callable[..., object] | None = None,
            initargs: Iterable[Any] = (),
        ) -> Pool:
            """Return a new pool, which uses slots of the run that are free, and lives until the session ends.

            Args:
                processes: How many workers it may have; None for as many as the run has CPU slots.
                kind: As in ``Pool``.
                initializer: As in ``Pool``.
                initargs: As in ``Pool``.
            """
            ...


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """The id of the worker that runs the test, ``gw0`` and so on; ``master`` when there are no workers."""
    workerinput = getattr(request.config, "workerinput", None)
    return str(workerinput["workerid"]) if workerinput is not None else "master"


@pytest.fixture(scope="session")
def testrun_uid(request: pytest.FixtureRequest) -> str:
    """An id that is the same for all tests of a run, in all workers, and different in every run."""
    workerinput = getattr(request.config, "workerinput", None)
    return str(workerinput["testrunuid"] if workerinput is not None else request.config.stash[TESTRUNUID])


@pytest.fixture(scope="session")
def parpool(request: pytest.FixtureRequest) -> Iterator[SharedObjects]:
    """The objects that all tests of a run share, by name: ``parpool.lock("db")``, ``parpool.counter("port")`` ..."""
    from pytest_parpool.leftovers import PartyPlugin
    from pytest_parpool.sync.objects import SharedObjects

    config = request.config
    party = sharing.join(config)
    plugin = PartyPlugin(party, is_error=config.stash[SETTINGS].leftovers == "error")
    plugin.begin_midway(request)
    config.pluginmanager.register(plugin, "parpool-party")
    yield SharedObjects(party)
    plugin.end()
    config.pluginmanager.unregister(plugin)


@pytest.fixture(scope="session")
def parpool_lock(parpool: SharedObjects) -> Lock:
    """A lock that is the same in all tests of a run; use it with ``with``."""
    return parpool.lock("parpool_lock")


@pytest.fixture(scope="session")
def parpool_event(parpool: SharedObjects) -> Event:
    """An event that is the same in all tests of a run; not set at first."""
    return parpool.event("parpool_event")


@pytest.fixture(scope="session")
def parpool_value(parpool: SharedObjects) -> Value:
    """A value that is the same in all tests of a run; 0 at first."""
    return parpool.value("parpool_value", 0)


@pytest.fixture(scope="session")
def parpool_pool_factory() -> Iterator[PoolFactory]:
    """Makes pools for fixtures that many tests use, on CPU slots that tests leave free; ended with the session."""
    from pytest_parpool.workload.pool import BudgetedPool

    pools: list[Pool] = []

    def make_pool(
        processes: int | None = None,
        kind: Kind = "process",
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> Pool:
        pool = BudgetedPool(processes, initializer, initargs, kind=kind)
        pools.append(pool)
        return pool

    yield make_pool
    for pool in reversed(pools):
        _end_pool(pool)


@pytest.fixture
def parpool_pool() -> Iterator[Pool]:
    """A pool for this test, on CPU slots that tests leave free; what it has not done when the test ends, is ended."""
    from pytest_parpool.workload.pool import BudgetedPool

    pool = BudgetedPool()
    yield pool
    _end_pool(pool)


def _end_pool(pool: Pool) -> None:
    pool.terminate()
    pool.join()
