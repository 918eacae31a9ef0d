"""The simulator finds bugs: it is worth something only if it does."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from pytest_parpool.policy.broker.broker import Broker
from tests.simulation.broker.bugs import BUGS
from tests.simulation.broker.worlds import simulate
from tests.simulation.promises import BrokenPromiseError

MOST_SEEDS = 4_000  # The rarest is found within some hundred.


def find(play: Callable[[int], object]) -> None:
    """Play runs until a promise is broken."""
    for seed in range(MOST_SEEDS):
        play(seed)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_bug_in_the_broker_is_found(bug: type[Broker]) -> None:
    """A broker with this bug breaks a promise in some run."""
    with pytest.raises(BrokenPromiseError):
        find(functools.partial(simulate, make_broker=bug))


def test_bug_in_the_process_around_is_found() -> None:
    """A process that tries to take a lock, and only then marks it, lets somebody wait though the lock is free."""
    with pytest.raises(BrokenPromiseError):
        find(functools.partial(simulate, is_marking_first=False))
