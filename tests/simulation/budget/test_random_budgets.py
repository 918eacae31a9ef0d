"""Tests and tasks stay within the CPU slots, whatever happens in whatever order, and no slot is left unused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pytest_parpool.budget import account
from pytest_parpool.policy import budget
from pytest_parpool.policy.budget import Entry
from tests.simulation.budget.world import World
from tests.simulation.promises import BrokenPromiseError

RUNS, STEPS = 200, 100  # two seconds


def run_all() -> None:
    """Run all worlds; the seed is in the traceback."""
    for seed in range(RUNS):
        World(seed).run(STEPS)


def test_random_budgets() -> None:
    """Every run keeps all promises."""
    run_all()


def look_once(self: account.Account, share: account.PoolShare, wanted: int) -> int:
    """Claim without seeing whether somebody else did at the same time."""
    allowed = self._allowed(share, share.running, wanted)
    self.note(share, max(share.running, min(allowed, wanted)), wanted)
    return allowed


def ignore_others(entries: Sequence[Entry], place: int, slots: int) -> int:
    """Take one's share also while somebody else still has it."""
    free = slots - sum(entry.is_testing for entry in entries)
    return max(1, budget.fair_shares(free, [entry.wanted for entry in entries])[place])


def take_all(entries: Sequence[Entry], place: int, slots: int) -> int:
    """Take whatever nobody has."""
    free = slots - sum(entry.is_testing for entry in entries)
    running = sum(entry.running for entry in entries) - entries[place].running
    return max(1, free - running)


def take_one(entries: Sequence[Entry], place: int, slots: int) -> int:
    """Take nothing but what is guaranteed."""
    return 1


@pytest.mark.parametrize(
    ("place", "name", "bug"),
    [
        (account.Account, "claim", look_once),
        (account, "allowance", ignore_others),
        (account, "allowance", take_all),
        (account, "allowance", take_one),
    ],
    ids=["race", "too much", "unfair", "idle"],
)
def test_a_bug_is_found(place: object, name: str, bug: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes too much, too little, or does not look, does not get through."""
    monkeypatch.setattr(place, name, bug)
    with pytest.raises(BrokenPromiseError):
        run_all()
