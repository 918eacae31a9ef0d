"""Takes in what processes say to the broker, and sends them what they are told: from the first word to the death."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from pytest_parpool.model.sync_moves import (
    Abandoned,
    Asked,
    ConnectionId,
    Died,
    Joined,
    Parted,
    PartyId,
    Silent,
    SyncNotice,
)
from pytest_parpool.model.sync_requests import LockLetGo, Origin, ReleaseLock, Request, Status
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.runtime.sync_codec import (
    BREAKDOWN,
    WITHOUT_ANSWER,
    Abandon,
    Goodbye,
    Greeting,
    Hello,
    Silence,
    decode_opening,
    decode_request,
    encode_greeting,
    encode_reply,
)
from pytest_parpool.sync.party_watch import PartyWatch, RemoteParty
from pytest_parpool.sync.peers import Peer, PeerGoneError
from pytest_parpool.sync.poller import READABLE, WRITABLE, Poller
from pytest_parpool.sync.postponed import Postponed

_Decoded: TypeAlias = tuple[int, Origin, Request | Abandon]
# What is said in the same bytes whenever a lock is let go, while somebody waits for it; this many are remembered.
_OFTEN_TOLD: Final = (ReleaseLock, LockLetGo)
MOST_TOLD: Final = 256
_MALFORMED = (ValueError, EOFError, TypeError, IndexError)


class Reception:
    """All connections to the broker, and the processes at their other ends. Owns the listener and the connections.

    Args:
        listener: A listening socket.
        poller: Where the loop waits.
        watch: Knows when processes end.
        token: The run's.
        owner_pid: The run's own process.
        slots_fds: What leads to the locks' slots, which is sent to who wants it.
        handle: Tells the broker, and does what it says.
        end: Called when the run's own process says goodbye.

    Attributes:
        name: The broker's, which no other has.
        peers: The connections that are open.
        postponed: What was asked and is not told to the broker yet.
    """

    def __init__(
        self,
        *,
        listener: RawSocket,
        poller: Poller,
        watch: PartyWatch,
        token: str,
        owner_pid: int,
        slots_fds: list[int],
        handle: Callable[[SyncNotice], None],
        end: Callable[[], None],
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._poller = poller
        self._watch = watch
        self._token = token
        self._owner_pid = owner_pid
        self._slots_fds = slots_fds
        self._handle = handle
        self._end = end
        self.name = f"{os.getpid()}-{time.monotonic_ns()}"
        self.peers: dict[ConnectionId, Peer] = {}
        self._parties: dict[str, RemoteParty] = {}
        self._party_of: dict[ConnectionId, RemoteParty] = {}
        self._last_connection = 0
        self._last_party = 0
        self.postponed = Postponed()
        self._told: dict[bytes, _Decoded] = {}
        poller.add(listener.fileno(), self._accept)

    @property
    def address(self) -> str:
        """Where it listens; a path begins with a slash."""
        name = self._listener.getsockname()
        return name if isinstance(name, str) else os.fsdecode(name)

    # --- Requests -----------------------------------------------------------------------------------------------------

    def _read_or_write(self, peer: Peer, events: int) -> None:
        try:
            if events & WRITABLE:
                peer.flush()
                if not peer.has_unsent:
                    self._poller.look_for(peer.fd, READABLE)
            if events & ~WRITABLE:
                self._take_in(peer, peer.receive())
        except PeerGoneError:
            self._part(peer)

    def _take_in(self, peer: Peer, frames: list[bytes]) -> None:
        for frame in frames:
            if not peer.is_greeted:
                self._open(peer, frame)
                continue
            number, origin, request = self._told.get(frame) or self._decode(frame)
            if isinstance(request, Abandon):
                self._withdraw(peer, number, request)
                continue
            asked = Asked(peer.connection, number, origin, request)
            if getattr(request, "timeout", None) == 0:
                self.postponed.later.append(asked)
            else:
                self._handle(asked)

    def _decode(self, frame: bytes) -> _Decoded:
        try:
            decoded = decode_request(frame)
        except _MALFORMED as error:
            raise PeerGoneError from error
        if decoded[0] == WITHOUT_ANSWER and isinstance(decoded[2], _OFTEN_TOLD):
            if len(self._told) == MOST_TOLD:
                self._told.clear()
            self._told[frame] = decoded
        return decoded

    def _withdraw(self, peer: Peer, number: int, abandoned: Abandon) -> None:
        """Forget, or undo, one request of an open connection; what was sent on it before is taken in first."""
        other = self.peers.get(abandoned.connection)
        if other is None or self._party_of.get(other.connection) is self._party_of[peer.connection]:
            if other is not None:
                self._drain(other)
            self.postponed.drop(abandoned.connection, abandoned.number)
            self._handle(Abandoned(abandoned.connection, abandoned.number))
        self.send(peer, encode_reply(number, Status.DONE, None))

    def _drain(self, peer: Peer) -> None:
        """Take in all that a connection has sent; if it is closed, that is seen, and dealt with, another time."""
        try:
            while frames := peer.receive():
                self._take_in(peer, frames)
        except PeerGoneError:
            pass

    # --- Beginning and end --------------------------------------------------------------------------------------------

    def _accept(self, _events: int) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001  -- what ``socket`` builds on
        except OSError:  # It has gone already, or there are no descriptors left; the next one may have more luck.
            return
        self._last_connection += 1
        peer = Peer(RawSocket(fileno=fd), ConnectionId(self._last_connection))
        credentials = peer.credentials()
        if credentials is not None and credentials[1] != os.getuid():
            peer.close()
            return
        self.peers[peer.connection] = peer
        self._poller.add(peer.fd, lambda events: self._read_or_write(peer, events))

    def _open(self, peer: Peer, frame: bytes) -> None:
        try:
            opening = decode_opening(frame)
        except _MALFORMED as error:
            raise PeerGoneError from error
        credentials = peer.credentials()
        if opening.token != self._token:
            raise PeerGoneError
        is_owner = credentials is None or credentials[0] == self._owner_pid
        match opening:
            case Goodbye():
                if is_owner:
                    self._end()
                raise PeerGoneError
            case Silence(_, runners, at):
                if is_owner:
                    self._handle(Silent(runners, at))
                raise PeerGoneError
            case Hello():
                pid = opening.pid if credentials is None else credentials[0]
                self._join(peer, opening, pid)

    def _join(self, peer: Peer, hello: Hello, pid: int) -> None:
        party = self._parties.get(hello.key)
        is_new = party is None
        if party is None:
            self._last_party += 1
            party = self._parties[hello.key] = RemoteParty(PartyId(self._last_party), pid, hello.key)
        peer.is_greeted = True
        party.connections.add(peer.connection)
        self._party_of[peer.connection] = party
        self._handle(Joined(peer.connection, party.party, pid, hello.name, hello.is_blocking))
        for connection, number in hello.abandoned:
            self._abandon(party, connection, number)
        greeting = encode_greeting(Greeting(peer.connection, self.name))
        self.send(peer, greeting, self._slots_fds if hello.wants_slots else None)
        if is_new:
            self._watch.add(party, self._bury)

    def _abandon(self, party: RemoteParty, connection: ConnectionId, number: int) -> None:
        """Take in what was sent on the old connection first: the request itself may not have been read yet."""
        if peer := self.peers.get(connection):
            if self._party_of.get(connection) is not party:
                return
            self._drain(peer)  # It is closed, as it should be.
            self.postponed.drop_all({connection})
            self._part(peer)
        self._handle(Abandoned(connection, number))

    def _part(self, peer: Peer) -> None:
        """Forget a connection."""
        if self.peers.pop(peer.connection, None) is None:
            return
        self._poller.remove(peer.fd)
        peer.close()
        party = self._party_of.pop(peer.connection, None)
        if party is None:
            return
        party.connections.discard(peer.connection)
        self._handle(Parted(peer.connection))

    def _bury(self, party: RemoteParty, how: str) -> None:
        """Take in what it still had sent, then have everybody know."""
        for connection in tuple(party.connections):
            self._drain(self.peers[connection])
        del self._parties[party.key]
        self._watch.remove(party)
        self.postponed.drop_all(party.connections)
        self._handle(Died(party.party, how))
        for connection in tuple(party.connections):
            self._part(self.peers[connection])

    # --- Answers ------------------------------------------------------------------------------------------------------

    def send(self, peer: Peer, payload: bytes, fds: list[int] | None = None) -> None:
        """Send a frame, now or when the other end reads."""
        try:
            peer.send(payload, fds)
        except PeerGoneError:
            return  # Its end is read from it, too.
        if peer.has_unsent:
            # Nothing more is read from it until it reads: else its answers would pile up here.
            self._poller.look_for(peer.fd, WRITABLE)

    def tell_breakdown(self, text: str) -> None:
        """Tell all who are connected what went wrong here; it is the last that they hear."""
        for peer in self.peers.values():
            try:
                peer.send(encode_reply(BREAKDOWN, Status.UNFIT, text))
            except PeerGoneError:  # noqa: PERF203  -- it need not know
                pass
