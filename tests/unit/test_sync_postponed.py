"""Requests that do not wait are looked at after everything that was sent before them."""

from __future__ import annotations

from pytest_parpool.model.sync_moves import Asked, ConnectionId
from pytest_parpool.model.sync_requests import GetFromQueue, Origin
from pytest_parpool.sync.postponed import Postponed


def asked(connection: int, number: int) -> Asked:
    """Return a request that does not wait."""
    return Asked(ConnectionId(connection), number, Origin(1, "", ""), GetFromQueue("q", 0, 0))


def test_what_comes_in_during_a_turn_is_due_in_the_next() -> None:
    """A request has to wait for a whole look at all connections, also one that comes in during such a look."""
    postponed = Postponed()
    postponed.later.append(asked(1, 1))
    postponed.begin_turn()
    postponed.later.append(asked(1, 2))
    assert postponed.end_turn() == [asked(1, 1)]
    postponed.begin_turn()
    assert postponed.end_turn() == [asked(1, 2)]


def test_each_is_looked_at_once() -> None:
    """What is looked at is due no longer."""
    postponed = Postponed()
    postponed.later.append(asked(1, 1))
    postponed.begin_turn()
    assert postponed.end_turn() == [asked(1, 1)]
    assert postponed.end_turn() == []
    assert not postponed.due


def test_what_is_withdrawn_is_not_looked_at() -> None:
    """One request is dropped wherever it is; others of its connection, and its number elsewhere, are not."""
    postponed = Postponed()
    postponed.later += [asked(1, 1), asked(1, 2), asked(2, 1)]
    postponed.begin_turn()
    postponed.later += [asked(1, 3), asked(2, 3)]
    postponed.drop(ConnectionId(1), 1)
    postponed.drop(ConnectionId(1), 3)
    assert postponed.end_turn() == [asked(1, 2), asked(2, 1)]
    assert postponed.later == [asked(2, 3)]


def test_what_a_closed_connection_said_lately_is_dropped() -> None:
    """Nobody would look at the answers."""
    postponed = Postponed()
    postponed.later += [asked(1, 1), asked(2, 1), asked(3, 1)]
    postponed.drop_all({ConnectionId(1), ConnectionId(3)})
    assert postponed.later == [asked(2, 1)]
