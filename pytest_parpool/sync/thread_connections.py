"""The connections of a process's threads: finds the one for the thread that asks, opens it, gives it up.

Theory of operation. Each thread keeps the connections that are idle, last used first; there is more than one only if a
signal handler asked while the thread waited for an answer. They are closed when the thread ends. After a fork the child
forgets them, which closes its copies, and has a name and a key of its own.
"""

from __future__ import annotations

from _thread import RLock, _local
from collections.abc import Callable
from typing import Final, TypeVar

from pytest_parpool.errors import ParpoolError
from pytest_parpool.model.sync_moves import ConnectionId
from pytest_parpool.runtime.slots import HAS_SLOTS, PartySlots
from pytest_parpool.runtime.sync_codec import Hello
from pytest_parpool.sync.connection import Connection, ConnectionLostError
from pytest_parpool.sync.errors import BrokerLostError
from pytest_parpool.sync.lanes import lane_of, new_lane, running_task
from pytest_parpool.sync.service import Service
from pytest_parpool.sync.system import System

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_ConnectionT = TypeVar("_ConnectionT", bound=Connection)

_KEY_BYTES: Final = 8


class ThreadConnections:
    """The connections of all threads of this process.

    Args:
        service: Where the broker is.
        name: What this process is called in messages.
        forget_holds: Called in a forked child, before anything else is done.

    Attributes:
        name: As given; after a fork, another one.
        pid: This process's id.
        broker: The broker that it is connected with; empty until the first connection is open.
        slots: The shared memory; None until then, and where there is none.
    """

    def __init__(self, service: Service, name: str, forget_holds: Callable[[], None]) -> None:
        self.service = service
        self._forget_holds = forget_holds
        self.name = name
        self.slots: PartySlots | None = None
        self.broker = ""
        self._is_lost = False
        self._begin()

    def _begin(self) -> None:
        self.pid = System.getpid()
        self._key = f"{self.pid}-{System.urandom(_KEY_BYTES).hex()}"
        # For the signal handler that opens one while its thread opens another, it is re-entrant.
        self._opening = RLock()
        self._local = _local()
        self._abandoned: list[tuple[ConnectionId, int]] = []

    def begin_anew(self) -> None:
        """Begin anew in a forked child: nothing of the parent's is this process's."""
        self.name = f"process {System.getpid()}, started by {self.name}"
        self._begin()
        self._forget_holds()

    def lane(self) -> int:
        """Return the number of the task that runs in this thread, or of the thread if none does."""
        if (task := running_task()) is not None:
            return lane_of(task)
        # A thread's ``get_ident`` may be that of one that has ended with a lock.
        try:
            lane: int = self._local.lane
        except AttributeError:
            lane = self._local.lane = new_lane()
        return lane

    def need_slots(self) -> PartySlots:
        """Return the shared memory; get it, if this process has none, or a test has closed its descriptor."""
        slots = self.slots
        if slots is None or not slots.is_connected():
            self._idle().append(self._open())
            slots = self.slots
            assert slots is not None
        return slots

    def _idle(self) -> list[Connection]:
        if System.getpid() != self.pid:  # Forked by somebody who runs no after-fork hooks.
            self.begin_anew()
        try:
            idle: list[Connection] = self._local.idle
        except AttributeError:
            idle = self._local.idle = []
        return idle

    def _take(self, idle: list[Connection]) -> Connection:
        while idle:
            connection = idle.pop()
            if connection.is_connected():
                # What was asked before is granted for good, also if this is interrupted before it asks.
                connection.under_way = 0
                return connection
            connection.close()  # A test has closed it.
        return self._open()

    def _open(self) -> Connection:
        return self._open_as(Connection)

    def _open_as(self, kind: type[_ConnectionT]) -> _ConnectionT:
        if self._is_lost:
            raise ConnectionLostError
        with self._opening:
            wants_slots = HAS_SLOTS and (self.slots is None or not self.slots.is_connected())
            abandoned = tuple(self._abandoned)
            token = self.service.token
            hello = Hello(token, self.name, self._key, self.pid, wants_slots, abandoned, kind.is_blocking)
            # A second broker would know nothing of what the first one kept.
            connection = kind.open(self.service, hello, may_start=not self.broker)
            if self.broker not in {"", connection.broker}:
                connection.close()
                raise ConnectionLostError
            self.broker = connection.broker
            for fd in connection.take_fds():
                # Never closed: that would free all locks of this process.
                if self.slots is None:
                    self.slots = PartySlots(fd)
                else:
                    self.slots.replace_fd(fd)
            del self._abandoned[: len(abandoned)]
        return connection

    def _give_up(self, idle: list[Connection], connection: Connection) -> None:
        """Close a connection whose answer nobody will read, and say so on a new one.

        At once: what was granted on it may be what others wait for.
        """
        if connection in idle:
            idle.remove(connection)
        connection.close()
        try:
            idle.append(self._open())
        except (ConnectionLostError, ParpoolError):  # Then there is nobody to be told.
            pass

    def _abandon(self, connection: Connection) -> None:
        if connection.under_way:
            self._abandoned.append((connection.connection, connection.under_way))

    def _lost(self, connection: Connection | None) -> BrokerLostError:
        if connection is None or connection.is_connected():
            self._is_lost = True
        else:  # A test has closed our descriptor during the wait; others will do.
            self._abandon(connection)
        return BrokerLostError(
            f"the broker of shared objects, which {self.name} has asked, is not there any more: the run, or the "
            "process that made them, has ended, or it was killed; what it kept is lost"
        )
