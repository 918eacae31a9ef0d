"""Requests that do not wait, until it is known what was sent before them."""

from __future__ import annotations

from pytest_parpool.model.sync_moves import Asked, ConnectionId


class Postponed:
    """Those with a timeout of 0: looked at after everything that was sent before them, on whatever connection.

    Who heard that a lock was released has to find it free.

    Attributes:
        later: What came in since the last turn of the loop began.
        due: What is looked at when this turn is at its end.
    """

    def __init__(self) -> None:
        self.later: list[Asked] = []
        self.due: list[Asked] = []

    def begin_turn(self) -> None:
        """What came in until now is due; those that come in now have a turn of their own to wait for."""
        self.due, self.later = self.later, []

    def end_turn(self) -> list[Asked]:
        """Return, once, what is due."""
        due, self.due = self.due, []
        return due

    def drop(self, connection: ConnectionId, number: int) -> None:
        """Forget a request, if it is here."""
        for asked in (self.due, self.later):
            asked[:] = [other for other in asked if (other.connection, other.number) != (connection, number)]

    def drop_all(self, connections: set[ConnectionId]) -> None:
        """Forget what came in lately on these connections; the broker knows them no more when the others are due."""
        self.later = [asked for asked in self.later if asked.connection not in connections]
