"""The table of a worker's states is whole."""

from __future__ import annotations

import pytest

from pytest_parpool.policy.lifecycle import ALIVE, LEAVING, MOVES, RESUMED, STANDING, WorkerState

STATES = frozenset(WorkerState)
EMPTY = {WorkerState.VACANT, WorkerState.RETIRED}


def in_order(states: frozenset[WorkerState]) -> list[WorkerState]:
    """Return states as they stand in the enum, so that test ids are the same everywhere."""
    return [state for state in WorkerState if state in states]


def test_every_state_has_its_moves() -> None:
    """No state is forgotten in the table, and none stays where it is."""
    assert MOVES.keys() == STATES
    assert all(state not in targets for state, targets in MOVES.items())


def test_every_state_is_reached() -> None:
    """From an empty slot a worker comes to every state."""
    reached = {WorkerState.VACANT}
    while (more := reached.union(*(MOVES[state] for state in reached))) != reached:
        reached = more
    assert reached == STATES


def test_the_end() -> None:
    """Nothing follows on retirement, and it can follow on everything."""
    assert MOVES[WorkerState.RETIRED] == frozenset()
    assert all(WorkerState.RETIRED in MOVES[state] for state in STATES - {WorkerState.RETIRED})


@pytest.mark.parametrize("state", in_order(ALIVE))
def test_a_process_may_end_at_any_time(state: WorkerState) -> None:
    """Whatever a worker does, it can leave its slot empty, and be replaced."""
    assert WorkerState.VACANT in MOVES[state]


def test_births() -> None:
    """Only an empty slot can have a worker born into it."""
    assert [state for state in WorkerState if WorkerState.STARTING in MOVES[state]] == [WorkerState.VACANT]


@pytest.mark.parametrize("state", in_order(LEAVING))
def test_nobody_comes_back_from_leaving(state: WorkerState) -> None:
    """A worker that was told to leave is given nothing any more."""
    assert MOVES[state] <= LEAVING | EMPTY


@pytest.mark.parametrize("state", in_order(STANDING))
def test_who_stands_still_can_be_answered(state: WorkerState) -> None:
    """A worker that stands still can be given items or be drained."""
    assert MOVES[state] >= {WorkerState.BUSY, WorkerState.DRAINING}


@pytest.mark.parametrize("state", in_order(RESUMED))
def test_a_failed_report_is_waited_with_and_back(state: WorkerState) -> None:
    """A worker goes back to what it did before its failure was looked at."""
    assert WorkerState.AWAITING in MOVES[state]
    assert state in MOVES[WorkerState.AWAITING]


def test_groups_of_states() -> None:
    """What the groups are called is true of their members."""
    assert STATES - ALIVE == EMPTY
    assert (STANDING | RESUMED | LEAVING) <= ALIVE
    assert not LEAVING & (STANDING | RESUMED)
