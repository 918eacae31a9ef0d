"""The simulation is worth something: it finds bugs that were put there."""

from __future__ import annotations

import itertools

import pytest

from pytest_parpool.policy.dispatcher import DispatchError
from pytest_parpool.policy.schedulers.protocol import Scheduler
from tests.simulation.seeded_bugs import DISPATCHERS, SCHEDULERS, WrappedScheduler
from tests.simulation.simulator import BrokenPromiseError, DispatcherFactory
from tests.simulation.worlds import FACTORIES, simulate

MOST_SEEDS = 3_000  # Most bugs are found within ten, all within some hundred.


def is_found(make_dispatcher: DispatcherFactory | None, wrap: type[WrappedScheduler] | None) -> bool:
    """Play runs with a bug in them until one breaks a promise, or the dispatcher contradicts itself."""
    for seed, mode in itertools.product(range(MOST_SEEDS), sorted(FACTORIES)):
        try:
            if make_dispatcher is not None:
                simulate(mode, seed, make_dispatcher=make_dispatcher)
            if wrap is not None:
                simulate(mode, seed, change_scheduler=wrap)
        except (BrokenPromiseError, DispatchError, ValueError):
            return True
    return False


@pytest.mark.parametrize("buggy", [kind for kinds in DISPATCHERS.values() for kind in kinds])
def test_bug_in_the_dispatcher(buggy: DispatcherFactory) -> None:
    """A dispatcher with one bug does not survive the simulation."""
    assert is_found(buggy, None)


@pytest.mark.parametrize("buggy", SCHEDULERS)
def test_bug_in_a_scheduler(buggy: type[WrappedScheduler]) -> None:
    """A scheduler that does not keep its promises does not survive the simulation."""
    assert is_found(None, buggy)


def test_wrapping_is_no_bug() -> None:
    """What is found in a wrapped scheduler is not the wrapping."""
    for seed in range(50):
        simulate("load", seed, change_scheduler=WrappedScheduler)


def test_wrapped_schedulers_are_schedulers() -> None:
    """The wrapper has all that a scheduler needs."""
    assert issubclass(WrappedScheduler, Scheduler)
