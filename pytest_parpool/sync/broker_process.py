"""The broker's process: reads requests, has ``policy.broker`` decide, performs what that says. One thread, one loop.

It ends when the run's own process has ended, or says goodbye. ``broker_main`` is how it begins.

Most of its start is spent on imports, and somebody waits for it; so this module, and what it imports, stay away from
``socket``, ``selectors``, ``subprocess`` and ``dataclasses``.
"""

from __future__ import annotations

import os
import select
import time
from typing import Final, TypeAlias

from pytest_parpool.model.sync_moves import (
    Abandoned,
    Answer,
    AnswerWithMemory,
    Asked,
    CloseMemory,
    ConnectionId,
    Died,
    Free,
    Inspect,
    Inspected,
    Joined,
    Move,
    Parted,
    PartyId,
    Passed,
    Silent,
    SyncNotice,
    Tried,
    Try,
)
from pytest_parpool.model.sync_requests import LockLetGo, Origin, ReleaseLock, Request, Status
from pytest_parpool.policy.broker.broker import Broker
from pytest_parpool.runtime.memory import make_memory
from pytest_parpool.runtime.slots import SLOTS, BrokerSlots
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
from pytest_parpool.sync.deaths import HAS_ENDED, describe_end, is_alive, watch
from pytest_parpool.sync.inspection import inspect
from pytest_parpool.sync.peers import Peer, PeerGoneError
from pytest_parpool.sync.poller import Poller

# How often a process is looked at that the system cannot watch for us.
_LOOK_SECONDS: Final = 1.0
_MOST_SECONDS: Final = 3600.0
_Decoded: TypeAlias = tuple[int, Origin, Request | Abandon]
# What is said in the same bytes whenever a lock is let go, while somebody waits for it; this many are remembered.
_OFTEN_TOLD: Final = (ReleaseLock, LockLetGo)
MOST_TOLD: Final = 256
_MALFORMED = (ValueError, EOFError, TypeError, IndexError)


class _Party:
    """A process that uses shared objects."""

    def __init__(self, party: PartyId, pid: int, key: str) -> None:
        self.party = party
        self.pid = pid
        self.key = key
        self.watch_fd: int | None = None
        self.connections: set[ConnectionId] = set()


class BrokerProcess:
    """Serves until the run is over. Owns the listener, all connections and the memory.

    Args:
        listener: A listening socket.
        owner_pid: The run's own process.
        token: The run's.
    """

    def __init__(self, listener: RawSocket, owner_pid: int, token: str) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._owner_pid = owner_pid
        self._token = token
        self._name = f"{os.getpid()}-{time.monotonic_ns()}"
        self._slots = BrokerSlots()
        self._broker = Broker(slots=SLOTS, owner_pid=owner_pid)
        self._arrays: dict[int, int] = {}
        self._peers: dict[ConnectionId, Peer] = {}
        self._parties: dict[str, _Party] = {}
        self._party_of: dict[ConnectionId, _Party] = {}
        self._unwatched: list[_Party] = []
        self._last_connection = 0
        self._last_party = 0
        # Requests that do not wait. They are looked at after everything that was sent before them, on whatever
        # connection: who heard that a lock was released has to find it free.
        self._postponed: list[Asked] = []
        self._due: list[Asked] = []
        self._told: dict[bytes, _Decoded] = {}
        self._is_over = False
        self._poller = Poller()
        self._poller.add(listener.fileno(), self._accept)
        owner_fd = watch(owner_pid)
        self._has_to_look = owner_fd is None
        self._next_look = 0.0
        if owner_fd is not None:
            self._poller.add(owner_fd, self._end)

    @property
    def address(self) -> str:
        """Where it listens; a path begins with a slash."""
        name = self._listener.getsockname()
        return name if isinstance(name, str) else os.fsdecode(name)

    def serve(self) -> None:
        """Serve until the run is over."""
        while not self._is_over:
            patience = self._pass_time()
            if self._postponed:
                patience = 0.0
            # Those that come in now have a look of their own to wait for.
            self._due, self._postponed = self._postponed, []
            self._poller.react(patience)
            for asked in self._due:
                self._handle(asked)
        # Who still has the memory is not to go on with a part of what there was: it asks, and hears that all is over.
        self._slots.mark_all()

    def _pass_time(self) -> float | None:
        """Do what is due by now; return how many seconds there are until something else is, or None."""
        now = time.monotonic()
        deadline = self._broker.next_deadline()
        if deadline is not None and now >= deadline:
            self._handle(Passed())
            deadline = self._broker.next_deadline()
        if self._has_to_look or self._unwatched:
            if now >= self._next_look:
                self._next_look = now + _LOOK_SECONDS
                self._look()
            deadline = self._next_look if deadline is None else min(deadline, self._next_look)
        if deadline is None:
            return None
        # A user may give infinity.
        return max(0.0, min(_MOST_SECONDS, deadline - now))

    def _end(self, _events: int) -> None:
        self._is_over = True

    # --- Connections --------------------------------------------------------------------------------------------------

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
        self._peers[peer.connection] = peer
        self._poller.add(peer.fd, lambda events: self._read_or_write(peer, events))

    def _read_or_write(self, peer: Peer, events: int) -> None:
        try:
            if events & select.POLLOUT:
                peer.flush()
                if not peer.has_unsent:
                    self._poller.look_for(peer.fd, select.POLLIN)
            if events & ~select.POLLOUT:
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
                self._postponed.append(asked)
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
                self._is_over = self._is_over or is_owner
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
            party = self._parties[hello.key] = _Party(PartyId(self._last_party), pid, hello.key)
        peer.is_greeted = True
        party.connections.add(peer.connection)
        self._party_of[peer.connection] = party
        self._handle(Joined(peer.connection, party.party, pid, hello.name, hello.is_blocking))
        for connection, number in hello.abandoned:
            self._abandon(party, connection, number)
        greeting = encode_greeting(Greeting(peer.connection, self._name))
        self._send(peer, greeting, [self._slots.fd] if hello.wants_slots else None)
        if is_new:
            self._watch(party)

    def _abandon(self, party: _Party, connection: ConnectionId, number: int) -> None:
        """Take in what was sent on the old connection first: the request itself may not have been read yet."""
        if peer := self._peers.get(connection):
            if self._party_of.get(connection) is not party:
                return
            self._drain(peer)  # It is closed, as it should be.
            self._postponed = [asked for asked in self._postponed if asked.connection != connection]
            self._part(peer)
        self._handle(Abandoned(connection, number))

    def _withdraw(self, peer: Peer, number: int, abandoned: Abandon) -> None:
        """Forget, or undo, one request of an open connection; what was sent on it before is taken in first."""
        key = abandoned.connection, abandoned.number
        other = self._peers.get(abandoned.connection)
        if other is None or self._party_of.get(other.connection) is self._party_of[peer.connection]:
            if other is not None:
                self._drain(other)
            for waiting in (self._due, self._postponed):
                waiting[:] = [asked for asked in waiting if (asked.connection, asked.number) != key]
            self._handle(Abandoned(*key))
        self._send(peer, encode_reply(number, Status.DONE, None))

    def _drain(self, peer: Peer) -> None:
        """Take in all that a connection has sent; if it is closed, that is seen, and dealt with, another time."""
        try:
            while frames := peer.receive():
                self._take_in(peer, frames)
        except PeerGoneError:
            pass

    def _part(self, peer: Peer) -> None:
        """Forget a connection."""
        if self._peers.pop(peer.connection, None) is None:
            return
        self._poller.remove(peer.fd)
        peer.close()
        party = self._party_of.pop(peer.connection, None)
        if party is None:
            return
        party.connections.discard(peer.connection)
        self._handle(Parted(peer.connection))

    def _send(self, peer: Peer, payload: bytes, fds: list[int] | None = None) -> None:
        try:
            peer.send(payload, fds)
        except PeerGoneError:
            return  # Its end is read from it, too.
        if peer.has_unsent:
            # Nothing more is read from it until it reads: else its answers would pile up here.
            self._poller.look_for(peer.fd, select.POLLOUT)

    # --- Deaths -------------------------------------------------------------------------------------------------------

    def _watch(self, party: _Party) -> None:
        try:
            fd = watch(party.pid)
        except ProcessLookupError:
            self._bury(party, HAS_ENDED)
            return
        if fd is None:
            self._unwatched.append(party)
            return
        party.watch_fd = fd
        self._poller.add(fd, lambda _events: self._bury(party, describe_end(party.pid)))

    def _look(self) -> None:
        """Look after those whom the system cannot watch.

        One that is dead and not yet reaped still looks alive; so the end of its last connection has to do.
        """
        if self._has_to_look and not is_alive(self._owner_pid):
            self._is_over = True
        for party in self._unwatched:
            if not party.connections or not is_alive(party.pid):
                self._bury(party, HAS_ENDED)

    def _bury(self, party: _Party, how: str) -> None:
        """Take in what it still had sent, then have everybody know."""
        for connection in tuple(party.connections):
            self._drain(self._peers[connection])
        del self._parties[party.key]
        if party.watch_fd is not None:
            self._poller.remove(party.watch_fd)
            os.close(party.watch_fd)
        else:
            self._unwatched = [other for other in self._unwatched if other is not party]
        self._postponed = [asked for asked in self._postponed if asked.connection not in party.connections]
        self._handle(Died(party.party, how))
        for connection in tuple(party.connections):
            self._part(self._peers[connection])

    def break_down(self, text: str) -> None:
        """Tell all who are connected what went wrong here; it is the last that they hear."""
        for peer in self._peers.values():
            try:
                peer.send(encode_reply(BREAKDOWN, Status.UNFIT, text))
            except PeerGoneError:  # noqa: PERF203  -- it need not know
                pass

    # --- Moves --------------------------------------------------------------------------------------------------------

    def _handle(self, notice: SyncNotice) -> None:
        """Tell the broker, and do what it says."""
        moves = self._broker.handle(notice, time.monotonic())
        for move in moves:
            self._perform(move)

    def _perform(self, move: Move) -> None:
        match move:
            case Answer(connection, number, status, value):
                peer = self._peers.get(connection)
                if peer is not None and number != WITHOUT_ANSWER:
                    self._send(peer, encode_reply(number, status, value))
            case AnswerWithMemory(connection, number, array, size_bytes):
                if peer := self._peers.get(connection):
                    self._send_memory(peer, number, array, size_bytes)
            case CloseMemory(array):
                if (fd := self._arrays.pop(array, None)) is not None:
                    os.close(fd)
            case Try(slot):
                self._handle(self._try(slot))
            case Free(slot):
                self._slots.unmark(slot)
                self._slots.let_go(slot)
            case Inspect(pids):
                self._handle(Inspected(tuple(found for pid in pids if (found := inspect(pid)) is not None)))

    def _try(self, slot: int) -> Tried:
        self._slots.mark(slot)  # Before the attempt: see the theory of operation.
        is_taken = self._slots.try_take(slot)
        holder = self._slots.read_note(slot)
        if is_taken:
            self._slots.wipe(slot)
        return Tried(slot, is_taken, holder)

    def _send_memory(self, peer: Peer, number: int, array: int, size_bytes: int) -> None:
        if array not in self._arrays:
            try:
                self._arrays[array] = make_memory(f"parpool-array-{array}", size_bytes)
            except (OSError, OverflowError) as error:
                self._send(peer, encode_reply(number, Status.UNFIT, f"no memory of {size_bytes} bytes: {error}"))
                return
        self._send(peer, encode_reply(number, Status.DONE, array, has_memory=True), [self._arrays[array]])
