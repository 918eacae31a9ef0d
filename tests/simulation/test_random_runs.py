"""Nothing is lost and nothing hangs, whatever happens in whatever order."""

from __future__ import annotations

import collections
from typing import get_args

import pytest

from pytest_parpool.model.actions import Action
from pytest_parpool.model.messages import Event
from pytest_parpool.model.notices import Notice
from tests.simulation.worlds import FACTORIES, simulate

RUNS = 600  # Per scheduler; all of them together take two to three seconds.

NEVER_SEEN = {
    "Heard",  # Counted by its event.
    "WarningSeen",  # Says nothing to the dispatcher, as the next two.
    "BaseTempAsked",
    "Collected",
}


@pytest.mark.parametrize("mode", sorted(FACTORIES))
def test_random_runs(mode: str) -> None:
    """Every item is over, crashed or not run, exactly once; none runs twice; stops stop, and every run ends."""
    for seed in range(RUNS):
        simulate(mode, seed)


@pytest.mark.parametrize(("mode", "seed"), [("patient", 605), ("patient", 4407), ("worksteal", 3202)])
def test_what_a_worker_that_waits_is_given_and_loses(mode: str, seed: int) -> None:
    """It was told to wait while it tore down, was given what a dead one had left, and lost that: it has to ask again.

    Some of the few random runs in which this comes about; nobody ended the wait there.
    """
    simulate(mode, seed)


def test_the_simulation_sees_the_world() -> None:
    """The runs are as different as they are meant to be: whatever may happen does, in several of them."""
    seen: collections.Counter[str] = collections.Counter()
    for mode, seeds in (("load", RUNS), ("patient", RUNS // 10)):
        for seed in range(seeds):
            seen.update(simulate(mode, seed).seen.keys())
    often = {name for name, runs in seen.items() if runs >= 5}
    assert often >= {kind.__name__ for kind in (*get_args(Event), *get_args(Notice), *get_args(Action))} - NEVER_SEEN
    assert often >= {"Send(Run)", "Send(Wait)", "Send(Drain)", "Send(Proceed)", "late question"}
