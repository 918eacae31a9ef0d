"""Watches the processes that speak with the broker, and the run's own, until they end."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeAlias

from pytest_parpool.model.sync_moves import ConnectionId, PartyId
from pytest_parpool.sync.deaths import HAS_ENDED, describe_end, is_alive, watch
from pytest_parpool.sync.poller import Poller

# How often a process is looked at that the system cannot watch for us.
_LOOK_SECONDS: Final = 1.0


class RemoteParty:
    """A process that uses shared objects, as the broker's process sees it.

    Attributes:
        party: Its number at the broker.
        pid: Its process id.
        key: What it says on each of its connections, and no other process does.
        watch_fd: Becomes readable when it ends; None where the system cannot tell.
        connections: Those that are open.
    """

    def __init__(self, party: PartyId, pid: int, key: str) -> None:
        self.party = party
        self.pid = pid
        self.key = key
        self.watch_fd: int | None = None
        self.connections: set[ConnectionId] = set()


# Called with how it ended, for messages.
Burial: TypeAlias = Callable[[RemoteParty, str], None]


class PartyWatch:
    """All who are watched. Owns their descriptors.

    Args:
        poller: Where the loop waits.
        owner_pid: The run's own process.
        end: Called when that has ended.

    Attributes:
        has_to_look: Whether ``look`` has something to do: the system cannot watch all of them for us.

    Raises:
        ProcessLookupError: If the run's own process has ended already.
    """

    def __init__(self, poller: Poller, owner_pid: int, end: Callable[[], None]) -> None:
        self._poller = poller
        self._owner_pid = owner_pid
        self._end = end
        self._unwatched: list[tuple[RemoteParty, Burial]] = []
        self._next_look = 0.0
        owner_fd = watch(owner_pid)
        self._is_owner_watched = owner_fd is not None
        if owner_fd is not None:
            poller.add(owner_fd, lambda _events: end())
        self.has_to_look = not self._is_owner_watched

    def add(self, party: RemoteParty, bury: Burial) -> None:
        """Have a party buried when it ends; at once, if it has already."""
        try:
            fd = watch(party.pid)
        except ProcessLookupError:
            bury(party, HAS_ENDED)
            return
        if fd is None:
            self._unwatched.append((party, bury))
            self.has_to_look = True
            return
        party.watch_fd = fd
        self._poller.add(fd, lambda _events: bury(party, describe_end(party.pid)))

    def remove(self, party: RemoteParty) -> None:
        """Watch a party no longer."""
        if party.watch_fd is not None:
            self._poller.remove(party.watch_fd)
            os.close(party.watch_fd)
            return
        self._unwatched = [other for other in self._unwatched if other[0] is not party]
        self.has_to_look = bool(self._unwatched) or not self._is_owner_watched

    def look(self, now: float) -> float:
        """Look after those whom the system cannot watch, if it is time to; return when it will be the next time.

        One that is dead and not yet reaped still looks alive; so the end of its last connection has to do.
        """
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            if not self._is_owner_watched and not is_alive(self._owner_pid):
                self._end()
            for party, bury in tuple(self._unwatched):
                if not party.connections or not is_alive(party.pid):
                    bury(party, HAS_ENDED)
        return self._next_look
