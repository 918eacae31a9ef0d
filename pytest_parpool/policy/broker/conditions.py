"""Conditions: who waits to be notified. The lock behind a condition is among the locks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_parpool.model.sync_requests import EnlistCondition, NotifyCondition, Status, WaitCondition
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind
from pytest_parpool.policy.broker.lock_table import CONDITION_PREFIX
from pytest_parpool.policy.broker.parties import Lane, Party
from pytest_parpool.policy.broker.waiting import WaitingList


class _Ticket:
    """Somebody's place.

    Attributes:
        call: What waits with it, if it does already.
        is_notified: Whether it was notified before it waited.
        broken: Who died with the lock before it waited; empty if nobody did.
    """

    __slots__ = ("broken", "call", "is_notified", "lane", "party")

    def __init__(self, party: Party, lane: Lane) -> None:
        self.party = party
        self.lane = lane
        self.call: Call | None = None
        self.is_notified = False
        self.broken = ""


class _Condition:
    """One condition; its tickets in the order in which they were given, until they are used up."""

    __slots__ = ("last_ticket", "tickets", "waiting")

    def __init__(self) -> None:
        self.tickets: dict[int, _Ticket] = {}
        self.waiting = WaitingList()
        self.last_ticket = 0


class Conditions(ObjectKind):
    """All conditions.

    Args:
        desk: Where calls are answered.
        probe: Finds out whether somebody died with a lock, by its name.
    """

    def __init__(self, desk: Desk, probe: Callable[[str], None]) -> None:
        super().__init__(desk)
        self._probe = probe
        self._conditions: dict[str, _Condition] = {}

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {EnlistCondition: self._enlist, WaitCondition: self._wait, NotifyCondition: self._notify}

    def forget_name(self, name: str) -> None:
        """See `ObjectKind.forget_name`."""
        condition = self._conditions.get(name)
        if condition is not None and not condition.waiting:
            del self._conditions[name]

    def _enlist(self, call: Call, request: EnlistCondition) -> None:
        condition = self._condition(request.name)
        # A lane waits for one thing at a time: an older ticket was interrupted before it was used.
        for number, ticket in list(condition.tickets.items()):
            if ticket.lane == call.lane and ticket.call is None:
                self._discard(condition, number)
        condition.last_ticket += 1
        number = condition.last_ticket
        condition.tickets[number] = _Ticket(call.party, call.lane)
        self._desk.grant(call, number, lambda: self._discard(condition, number))

    def _wait(self, call: Call, request: WaitCondition) -> None:
        condition = self._condition(request.name)
        ticket = condition.tickets.get(request.ticket)
        if ticket is None or ticket.call is not None:
            self._desk.refuse(
                call, Status.UNFIT, f"{self.title(call)} has no ticket {request.ticket} that is not used up"
            )
        elif ticket.broken:
            del condition.tickets[request.ticket]
            self._desk.refuse(call, Status.BROKEN, ticket.broken)
        elif ticket.is_notified:
            del condition.tickets[request.ticket]
            self._end(condition, call)
        else:
            ticket.call = call
            self._desk.wait(call, condition.waiting, request.timeout)

    def _notify(self, call: Call, request: NotifyCondition) -> None:
        condition = self._condition(request.name)
        count = len(condition.tickets) if request.count < 0 else request.count
        notified = self._notify_first(condition, count)
        if notified:
            self._desk.change()
        self._desk.answer(call, notified)

    def _notify_first(self, condition: _Condition, count: int) -> int:
        """Notify those who came first, and return how many that were."""
        notified = 0
        for number, ticket in list(condition.tickets.items()):
            if notified >= count:
                break
            if ticket.is_notified or ticket.broken:
                continue
            notified += 1
            if ticket.call is None:
                ticket.is_notified = True
            else:
                del condition.tickets[number]
                self._end(condition, ticket.call)
        return notified

    def _end(self, condition: _Condition, call: Call) -> None:
        """Tell a call that it was notified; should it not look, the next one is."""

        def undo() -> None:
            self._notify_first(condition, 1)

        self._desk.grant(call, None, undo)

    def _discard(self, condition: _Condition, number: int) -> None:
        """Take back a ticket that nobody uses; if it was notified, the next one is."""
        ticket = condition.tickets.pop(number, None)
        if ticket is not None and ticket.is_notified:
            self._notify_first(condition, 1)

    # --- Deaths ------------------------------------------------------------------------------------------------------

    def bury(self, party: Party, how: str) -> None:
        """See `ObjectKind.bury`. Whether the party had taken a condition's lock by itself is found out."""
        for name, condition in self._conditions.items():
            for number in [number for number, ticket in condition.tickets.items() if ticket.party is party]:
                self._discard(condition, number)
            if condition.tickets:
                self._probe(CONDITION_PREFIX + name)

    def lose_lock(self, lock_name: str, text: str) -> None:
        """Tell those who wait that somebody died with the lock: it may have been about to notify them."""
        condition = self._conditions.get(lock_name[len(CONDITION_PREFIX) :])
        if condition is None or not lock_name.startswith(CONDITION_PREFIX):
            return
        for number, ticket in list(condition.tickets.items()):
            if ticket.call is None:
                ticket.broken = ticket.broken or ("" if ticket.is_notified else text)
            else:
                del condition.tickets[number]
                self._desk.refuse(ticket.call, Status.BROKEN, text)

    # --- Waiting -----------------------------------------------------------------------------------------------------

    def forget(self, call: Call) -> None:
        """See `ObjectKind.forget`."""
        assert isinstance(call.request, WaitCondition)
        self._discard(self._condition(call.name), call.request.ticket)

    def title(self, call: Call) -> str:
        """See `ObjectKind.title`."""
        return f"condition {call.name!r}"

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        ahead = explanations.ahead(self._condition(call.name).waiting.before(call))
        return f"{self.title(call)} was not notified{ahead}"

    def _condition(self, name: str) -> _Condition:
        condition = self._conditions.get(name)
        if condition is None:
            condition = self._conditions[name] = _Condition()
        return condition
