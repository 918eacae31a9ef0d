"""The fixtures that tell a test where it runs, under the names that pytest-xdist gave them."""

from __future__ import annotations

import pytest

from pytest_parpool.stash import TESTRUNUID


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
