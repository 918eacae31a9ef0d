"""The fixtures: where a test runs, under the names that pytest-xdist gave them, and the objects that all tests share.

Nothing of ``sync`` is imported before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_parpool import sharing
from pytest_parpool.stash import SETTINGS, TESTRUNUID

if TYPE_CHECKING:
    from pytest_parpool.sync.event import Event
    from pytest_parpool.sync.lock import Lock
    from pytest_parpool.sync.objects import SharedObjects
    from pytest_parpool.sync.value import Value


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
