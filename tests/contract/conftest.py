"""A run of its own for each test of shared objects."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.party import Party, _parties, join
from tests.sharing import brokers, until


@pytest.fixture
def token() -> str:
    """A run's token."""
    return os.urandom(8).hex()


@pytest.fixture
def party(token: str) -> Iterator[Party]:
    """This process in a run of its own; the broker is started when it is needed, and ends afterwards."""
    party = join(token, os.getpid(), "gw0")
    yield party
    party.service.say_goodbye()
    until(lambda: brokers(token) == [], "the broker did not end")
    # What it has open is closed when nobody knows it any more; there are many runs in one process here.
    del _parties[token]


@pytest.fixture
def objects(party: Party) -> SharedObjects:
    """The shared objects of that run."""
    return SharedObjects(party)
