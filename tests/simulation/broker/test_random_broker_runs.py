"""The broker keeps its promises in random runs, whatever happens in whichever order."""

from __future__ import annotations

import collections

import pytest

from tests.simulation.broker.worlds import simulate

RUNS = 1_500  # Some two seconds.
BLOCKS = 3


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_runs_keep_every_promise(block: int) -> None:
    """Nobody is in where somebody else is, nobody waits in vain, the first comes first, and no death takes a lock."""
    for seed in range(block, RUNS, BLOCKS):
        simulate(seed)


def test_random_runs_see_everything() -> None:
    """The runs are worth something: all that can happen to a broker happens in them."""
    seen: collections.Counter[str] = collections.Counter()
    for seed in range(400):
        seen += simulate(seed).seen
    everything = (
        "taken, not taken, interrupted wait, deadlock checked, standstill, DONE, TIMED_OUT, DEADLOCK, BROKEN, "
        "LockLetGo, AcquireLock, ReleaseLock, AcquireSemaphore, AcquireReadWrite, WaitEvent, WaitBarrier, PutOnQueue, "
        "GetFromQueue, BeginOnce, WaitCondition, NotifyCondition"
    )
    assert [name for name in everything.split(", ") if not seen[name]] == []
