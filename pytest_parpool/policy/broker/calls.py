"""A request under way, and what somebody holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parpool.model.sync_requests import AwaitChange, ForgetNames, Origin, Request
from pytest_parpool.policy.broker.parties import Connection, Lane, Party

if TYPE_CHECKING:
    from pytest_parpool.policy.broker.deadlines import Deadline
    from pytest_parpool.policy.broker.kinds import ObjectKind
    from pytest_parpool.policy.broker.waiting import WaitingList


class Call:
    """A request that came and is not answered, or was just now.

    Attributes:
        lane: Which thread or task asks.
        kind: The objects that it is about.
        order: How many calls came before it, of all parties.
        since: When it came.
        timeout: Seconds it may wait, or None; known once it waits.
        place: Where it waits, or waited last; None if it never did.
        is_waiting: Whether it waits there now.
        deadline: Its entry among the deadlines, if it has one.
    """

    __slots__ = (
        "connection",
        "deadline",
        "is_waiting",
        "kind",
        "lane",
        "number",
        "order",
        "origin",
        "place",
        "request",
        "since",
        "timeout",
    )

    def __init__(
        self,
        connection: Connection,
        number: int,
        origin: Origin,
        request: Request,
        kind: ObjectKind,
        order: int,
        since: float,
    ) -> None:
        self.connection = connection
        self.number = number
        self.origin = origin
        self.lane: Lane = (connection.party.id, origin.lane)
        self.request = request
        self.kind = kind
        self.order = order
        self.since = since
        self.timeout: float | None = None
        self.place: WaitingList | None = None
        self.is_waiting = False
        self.deadline: Deadline | None = None

    @property
    def party(self) -> Party:
        """Who asks."""
        return self.connection.party

    @property
    def name(self) -> str:
        """The name of the object that it is about; empty if it is about more than one."""
        return "" if isinstance(self.request, (AwaitChange, ForgetNames)) else self.request.name


class Hold:
    """Somebody has something.

    Attributes:
        name: The party's.
        party: It; None if it does not speak with the broker, or not any more.
        lane: Which thread or task has it, if the party is known.
        role: How it has it, in front of its name.
    """

    __slots__ = ("lane", "name", "origin", "party", "role", "since")

    def __init__(self, name: str, party: Party | None, origin: Origin, since: float, role: str = "held by") -> None:
        self.lane: Lane | None = None if party is None else (party.id, origin.lane)
        self.name = name
        self.party = party
        self.origin = origin
        self.since = since
        self.role = role

    @staticmethod
    def of(call: Call, since: float, role: str = "held by") -> Hold:
        """Return what whoever asks has from now on."""
        party = call.connection.party
        return Hold(party.name, party, call.origin, since, role)
