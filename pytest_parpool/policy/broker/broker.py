"""The broker: notices in, moves out.

It knows who is there, and hands what is asked to the kind of objects it is about. What belongs together, as a request
and all that it brings about for others, is done within one notice.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from typing import Any

from pytest_parpool.model.sync_moves import (
    Abandoned,
    Asked,
    ConnectionId,
    Died,
    Inspected,
    Joined,
    Move,
    Parted,
    PartyId,
    Passed,
    Silent,
    SyncNotice,
    Tried,
)
from pytest_parpool.model.sync_requests import ForgetNames
from pytest_parpool.policy.broker.arrays import Arrays
from pytest_parpool.policy.broker.barriers import Barriers
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.changes import Changes
from pytest_parpool.policy.broker.conditions import Conditions
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.dictionaries import Dictionaries
from pytest_parpool.policy.broker.events import Events
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind
from pytest_parpool.policy.broker.locks import Locks
from pytest_parpool.policy.broker.once import Onces
from pytest_parpool.policy.broker.parties import PARTED_KEPT, Connection, Party
from pytest_parpool.policy.broker.queues import Queues
from pytest_parpool.policy.broker.read_write import ReadWriteLocks
from pytest_parpool.policy.broker.semaphores import Semaphores
from pytest_parpool.policy.broker.standstill import StandstillWatch
from pytest_parpool.policy.broker.values import Values

DEATHS_KEPT = 64  # A lock's note may be found some time after its writer's death; how it died is nice to know then.
_FINDINGS = frozenset({Tried, Inspected})  # What the broker itself wanted to know, for the notice before.
EARLY_KEPT = 64  # Requests abandoned on connections not heard of yet; mostly they are over, and will never be.


class Broker:
    """Gives parties what they ask for, in the order in which they ask, and frees what the dead leave behind.

    Never raises for a notice; one of a connection or party that is not known, or not any more, changes nothing.

    Args:
        slots: How many locks parties can take by themselves; the others are always given by the broker.
        owner_pid: The run's own process, which runs the tests itself if it uses shared objects; 0 if it never does.
    """

    def __init__(self, slots: int, owner_pid: int = 0) -> None:
        self._desk = desk = Desk()
        self._parties: dict[PartyId, Party] = {}
        self._buried: set[PartyId] = set()
        self._by_pid: dict[int, Party] = {}
        self._connections: dict[ConnectionId, Connection] = {}
        self._deaths: collections.OrderedDict[tuple[str, int], str] = collections.OrderedDict()
        self._abandoned_early: collections.OrderedDict[tuple[ConnectionId, int], None] = collections.OrderedDict()
        self._calls = 0
        self._locks = locks = Locks(desk, slots, self._by_pid.get, lambda name, pid: self._deaths.get((name, pid), ""))
        conditions = Conditions(desk, locks.probe)
        locks.tell_orphaned = conditions.lose_lock
        self._changes = Changes(desk)
        self._told_changes = 0
        self._standstill = standstill = StandstillWatch(desk, self._parties, lambda: self._by_pid.get(owner_pid))
        self._kinds: tuple[ObjectKind, ...] = (
            locks,
            conditions,
            Semaphores(desk),
            ReadWriteLocks(desk),
            Events(desk),
            Values(desk),
            Barriers(desk),
            Queues(desk),
            Onces(desk),
            Dictionaries(desk),
            Arrays(desk),
            self._changes,
        )
        self._handlers: dict[type[Any], tuple[ObjectKind, Handler]] = {
            request: (kind, handler) for kind in self._kinds for request, handler in kind.handlers().items()
        }
        # About all kinds; a kind has to be named, but it matters only for what waits.
        self._handlers[ForgetNames] = (self._changes, self._forget_names)
        self._notices: Mapping[type[Any], Callable[[Any], None]] = {
            Joined: self._join,
            Asked: self._ask,
            Abandoned: self._abandon,
            Parted: self._part,
            Died: self._bury,
            Tried: locks.handle_tried,
            Silent: standstill.handle_silent,
            Inspected: standstill.handle_inspected,
            Passed: self._pass,
        }

    @property
    def party_count(self) -> int:
        """How many parties are alive."""
        return len(self._parties)

    def next_deadline(self) -> float | None:
        """Return when ``Passed`` should come at the latest; None if nothing depends on the time."""
        return self._desk.deadlines.next()

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """Return what is to be done, in order.

        Args:
            notice: What has happened.
            now: The time on the machine's monotonic clock, in seconds; never less than before.
        """
        desk = self._desk
        desk.now = now
        moves: list[Move] = []
        desk.moves = moves
        if type(notice) not in _FINDINGS:
            desk.turn += 1
        self._notices[type(notice)](notice)
        if desk.changes != self._told_changes:
            self._told_changes = desk.changes
            self._changes.tell()
        return moves

    # --- Requests ----------------------------------------------------------------------------------------------------

    def _forget_names(self, _call: Call, request: ForgetNames) -> None:
        for name in request.names:
            for kind in self._kinds:
                kind.forget_name(name)

    def _ask(self, asked: Asked) -> None:
        connection = self._connections.get(asked.connection)
        if connection is None or asked.number in connection.waiting:
            return
        kind, handler = self._handlers[type(asked.request)]
        self._calls += 1
        call = Call(connection, asked.number, asked.origin, asked.request, kind, self._calls, self._desk.now)
        connection.last_number = max(connection.last_number, asked.number)
        handler(call, asked.request)
        if call.is_waiting and call.timeout is None:
            self._standstill.expect()
        if asked.number in connection.abandoned_early:
            connection.abandoned_early.discard(asked.number)
            self._undo(connection, asked.number)

    def _abandon(self, abandoned: Abandoned) -> None:
        connection = self._connections.get(abandoned.connection) or self._closed(abandoned.connection)
        if connection is None:
            # It comes on another connection, and may have overtaken the first word on this one.
            self._abandoned_early[abandoned.connection, abandoned.number] = None
            if len(self._abandoned_early) > EARLY_KEPT:
                self._abandoned_early.popitem(last=False)
        elif abandoned.number > connection.last_number:
            connection.abandoned_early.add(abandoned.number)
        else:
            self._undo(connection, abandoned.number)

    def _closed(self, connection: ConnectionId) -> Connection | None:
        for party in self._parties.values():
            if connection in party.parted:
                return party.parted[connection]
        return None

    def _undo(self, connection: Connection, number: int) -> None:
        """See to it that nothing comes of a request, waiting or granted."""
        connection.parted.pop(number, None)
        call = connection.waiting.get(number)
        if call is not None:
            self._desk.withdraw(call)
            return
        undo = connection.take_grant(number)
        if undo is not None:
            undo()

    def _pass(self, passed: Passed) -> None:
        self._desk.deadlines.run_due(self._desk.now)

    # --- Who is there ------------------------------------------------------------------------------------------------

    def _join(self, joined: Joined) -> None:
        if joined.party in self._buried or joined.connection in self._connections:
            return
        party = self._parties.get(joined.party)
        if party is None:
            party = self._parties[joined.party] = Party(joined.party, joined.name, joined.pid)
            self._by_pid[joined.pid] = party
        connection = Connection(joined.connection, party, is_blocking=joined.is_blocking)
        party.connections[connection.id] = self._connections[connection.id] = connection
        for key in [key for key in self._abandoned_early if key[0] == connection.id]:
            del self._abandoned_early[key]
            connection.abandoned_early.add(key[1])

    def _part(self, parted: Parted) -> None:
        connection = self._connections.pop(parted.connection, None)
        if connection is None:
            return
        party = connection.party
        del party.connections[connection.id]
        for number, call in list(connection.waiting.items()):
            self._desk.withdraw(call)
            # A dying party's connections are closed first, and then it is dead: it died while it waited.
            connection.parted[number] = call
        if connection.parted or connection.grants:
            party.parted[connection.id] = connection
            if len(party.parted) > PARTED_KEPT:
                del party.parted[next(iter(party.parted))]

    def _bury(self, died: Died) -> None:
        # Also if nothing was heard of it: a connection that it had opened may come later.
        self._buried.add(died.party)
        party = self._parties.pop(died.party, None)
        if party is None:
            return
        # A process id may be used anew before this is known.
        if self._by_pid.get(party.pid) is party:
            del self._by_pid[party.pid]
        self._deaths[party.name, party.pid] = died.how
        if len(self._deaths) > DEATHS_KEPT:
            self._deaths.popitem(last=False)
        lost = [call for connection in party.parted.values() for call in connection.parted.values()]
        for connection in party.connections.values():
            del self._connections[connection.id]
            for call in list(connection.waiting.values()):
                self._desk.leave(call)
                lost.append(call)
        for call in lost:
            call.kind.lose(call, died.how)
        # Connections know their party: the process around runs without a cycle collector.
        party.connections.clear()
        party.parted.clear()
        for kind in self._kinds:
            kind.bury(party, died.how)
