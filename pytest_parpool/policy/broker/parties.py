"""Who uses shared objects: processes, and their connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from pytest_parpool.model.sync_moves import ConnectionId, PartyId

if TYPE_CHECKING:
    from pytest_parpool.policy.broker.calls import Call

GRANTS_KEPT = 64  # Per connection, one a lane; only the tasks of an event loop are ever that many.
PARTED_KEPT = 64  # Per party; of a closed connection only what was just under way can still be abandoned.

Lane: TypeAlias = tuple[PartyId, int]
"""A party and its thread or task: what can wait by itself, and what holds something."""


class Party:
    """A living process.

    Attributes:
        name: What it is called in messages.
        pid: Its process id.
        connections: Those that are open.
        parted: Closed ones, the oldest first, on which something was given or waited for that may yet be abandoned.
    """

    __slots__ = ("connections", "id", "name", "parted", "pid")

    def __init__(self, party_id: PartyId, name: str, pid: int) -> None:
        self.id = party_id
        self.name = name
        self.pid = pid
        self.connections: dict[ConnectionId, Connection] = {}
        self.parted: dict[ConnectionId, Connection] = {}

    @property
    def blocked(self) -> list[Call]:
        """What its threads wait for, in which they can do nothing else."""
        return [
            call
            for connection in self.connections.values()
            if connection.is_blocking
            for call in connection.waiting.values()
        ]


class Connection:
    """A connection, open or closed.

    Attributes:
        is_blocking: Whether who asks on it does nothing else until it is answered.
        waiting: What waits on it, by the request's number.
        parted: What waited on it when it was closed.
        grants: By lane the number of the last request that was granted, and what undoes that.
        last_number: Of the last request that came; -1 if none did.
        abandoned_early: Numbers that were abandoned before they came: the two ways to the broker are not in order.
    """

    __slots__ = ("abandoned_early", "grants", "id", "is_blocking", "last_number", "parted", "party", "waiting")

    def __init__(self, connection_id: ConnectionId, party: Party, *, is_blocking: bool) -> None:
        self.id = connection_id
        self.party = party
        self.is_blocking = is_blocking
        self.waiting: dict[int, Call] = {}
        self.parted: dict[int, Call] = {}
        self.grants: dict[int, tuple[int, Callable[[], None]]] = {}
        self.last_number = -1
        self.abandoned_early: set[int] = set()

    def keep_grant(self, lane: int, number: int, undo: Callable[[], None]) -> None:
        """Remember how to undo what a lane was just granted, instead of what it was granted before."""
        # Removed first, so that the order is that of the grants.
        self.grants.pop(lane, None)
        self.grants[lane] = (number, undo)
        if len(self.grants) > GRANTS_KEPT:
            del self.grants[next(iter(self.grants))]

    def take_grant(self, number: int) -> Callable[[], None] | None:
        """Return, once, what undoes a granted request; None if it was not granted, or something was after it."""
        for lane, (granted, undo) in self.grants.items():
            if granted == number:
                del self.grants[lane]
                return undo
        return None
