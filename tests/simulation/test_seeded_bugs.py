"""The simulation is worth something: it finds bugs that were put there."""

from __future__ import annotations

import itertools

import pytest

from pytest_parpool.policy.schedulers.protocol import Scheduler
from tests.simulation.bugs import late_reports, replacements, schedulers, stops, unbegun_items
from tests.simulation.bugs.schedulers import WrappedScheduler
from tests.simulation.promises import BrokenPromiseError
from tests.simulation.simulator import DispatcherFactory
from tests.simulation.worlds import FACTORIES, simulate

MOST_SEEDS = 3_000  # Most bugs are found within ten, all within some hundred.


def play_until_found(
    *, make_dispatcher: DispatcherFactory | None = None, wrapper: type[WrappedScheduler] | None = None
) -> None:
    """Play runs with a bug in them. Comes back only if none of them shows it.

    Raises:
        BrokenPromiseError: At the first that does.
    """
    for seed, mode in itertools.product(range(MOST_SEEDS), sorted(FACTORIES)):
        if make_dispatcher is not None:
            simulate(mode, seed, make_dispatcher=make_dispatcher)
        if wrapper is not None:
            simulate(mode, seed, change_scheduler=wrapper)


@pytest.mark.parametrize(
    "buggy",
    [*unbegun_items.BUGS, *late_reports.BUGS, *stops.BUGS, *replacements.BUGS],
)
def test_bug_in_the_dispatcher(buggy: DispatcherFactory) -> None:
    """A dispatcher with one bug does not survive the simulation."""
    with pytest.raises(BrokenPromiseError):
        play_until_found(make_dispatcher=buggy)


@pytest.mark.parametrize("buggy", schedulers.BUGS)
def test_bug_in_a_scheduler(buggy: type[WrappedScheduler]) -> None:
    """A scheduler that does not keep its promises does not survive the simulation."""
    with pytest.raises(BrokenPromiseError):
        play_until_found(wrapper=buggy)


def test_wrapping_is_no_bug() -> None:
    """What is found in a wrapped scheduler is not the wrapping."""
    assert issubclass(WrappedScheduler, Scheduler)
    for seed in range(50):
        simulate("load", seed, change_scheduler=WrappedScheduler)
