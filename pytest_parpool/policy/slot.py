"""What is known of any worker slot: its name, and the state of the process that is in it."""

from __future__ import annotations

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.policy.lifecycle import ALIVE, MOVES, WorkerState


class DispatchError(Exception):
    """A worker said something that cannot be true; a fault of ours."""


class Slot:
    """A slot, vacant in the beginning.

    Attributes:
        id: The slot's.
        state: Changed by ``move`` only.
        births: How many workers the slot has had.
    """

    __slots__ = ("births", "id", "state")

    def __init__(self, worker: WorkerId) -> None:
        self.id = worker
        self.state = WorkerState.VACANT
        self.births = 0

    @property
    def is_alive(self) -> bool:
        """Whether it has a process."""
        return self.state in ALIVE

    def move(self, state: WorkerState) -> None:
        """Go on to another state.

        Raises:
            DispatchError: If ``lifecycle.MOVES`` has no such move.
        """
        if state not in MOVES[self.state]:
            raise DispatchError(f"{self.id} cannot go from {self.state.name} to {state.name}")
        self.state = state
