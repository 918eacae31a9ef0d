"""What a process that uses shared objects is to the others: its name, its connections, and what it holds."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from pytest_parpool.model.sync_requests import ForgetNames, ReleaseReadWrite, Request, ReturnPermits
from pytest_parpool.sync.connections import Connections
from pytest_parpool.sync.errors import BrokerLostError, LockTimeoutError, NotHeldError
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.locking import Locks
from pytest_parpool.sync.service import Service
from pytest_parpool.sync.services import SystemService
from pytest_parpool.sync.system import System

if TYPE_CHECKING:
    from pytest_parpool.sync.array import ArrayMemory

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_MOST_TEXTS: Final = 20
_FORGET_AT_ONCE: Final = 64


class Party:
    """This process, as one that uses the shared objects of a run; one object per run and process.

    Args:
        service: Where the broker is.
        name: What this process is called in messages, as "gw1".

    Attributes:
        service: As given.
        locks: The locks that it holds.
        permits: The permits of semaphores that it holds, by name, number of permits and a serial number.
        read_writes: The reader-writer locks that it holds, by name, whether for writing, and a serial number.
        arrays: The memory of the arrays that were opened here, by name. Forked children inherit it.
        timed_out_waits: What was said when somebody waited in vain: the last few.
        claimed: The objects, by name, that no other process knows; see ``claims``.
        forgettable: For each object that nobody at all knows any more, its names.
    """

    def __init__(self, service: Service, name: str) -> None:
        self.service = service
        self.connections = Connections(service, name, self._forget_holds)
        self.locks = Locks(self.connections)
        self.permits: dict[tuple[str, int, int], Hold] = {}
        self.read_writes: dict[tuple[str, bool, int], Hold] = {}
        self.arrays: dict[str, ArrayMemory] = {}
        self.timed_out_waits: deque[str] = deque(maxlen=_MOST_TEXTS)
        self.claimed: set[str] = set()
        self.forgettable: deque[set[str]] = deque()

    @property
    def name(self) -> str:
        """What this process is called in messages."""
        return self.connections.name

    def rename(self, name: str) -> None:
        """Call this process so from now on, on connections that are opened from now on."""
        self.connections.name = name

    def set_test(self, test: str) -> None:
        """Say which test is under way, with its phase, as "tests/a.py::t (call)"; empty if there is none."""
        self.connections.test = test

    def ask(self, request: Request, hold: Hold | None = None) -> Any:
        """Ask the broker; see ``Connections.ask``."""
        return self.connections.ask(request, hold)

    async def ask_async(self, request: Request) -> Any:
        """Ask the broker in a task; see ``Connections.ask_async``."""
        return await self.connections.ask_async(request)

    def remember_timeout(self, error: LockTimeoutError, timeout: float | None) -> None:
        """Keep what was said, unless nobody waited."""
        if timeout != 0:
            self.timed_out_waits.append(str(error))

    @property
    def held(self) -> tuple[Hold, ...]:
        """What this process holds now."""
        tables = (self.locks.taken, self.locks.managed, self.permits, self.read_writes)
        return tuple([hold for table in tables for hold in tuple(table.values())])

    def release_leftovers(self, test: str) -> list[str]:
        """Release what a test has taken and not released, the last first.

        Args:
            test: Its node id, without a phase.

        Returns:
            What that was, each as "lock 'db', taken at tests/test_a.py:12".
        """
        self.connections.end_closed_loops()
        released = []
        for name, permits in {hold.key[:2]: None for hold in self.permits.values() if hold.is_of(test)}:
            released += self._return_permits(name, permits, test)
        for hold in reversed([hold for hold in self.held if hold.is_of(test)]):
            try:
                self._release(hold)
            except NotHeldError:  # Somebody else has released it meanwhile.
                hold.leave()
                continue
            released.append(str(hold))
        return released

    def _release(self, hold: Hold) -> None:
        if hold.table is self.read_writes:
            name, is_write, _ = hold.key
            self.ask(ReleaseReadWrite(name, is_write))
            hold.leave()
        else:
            self.locks.release_hold(hold)

    def _return_permits(self, name: str, permits: int, test: str) -> list[str]:
        """Return a semaphore's permits that nobody has released for us; permits are all alike, so the broker knows."""
        holds = [hold for hold in self.permits.values() if hold.key[:2] == (name, permits) and hold.is_of(test)]
        lines = self.ask(ReturnPermits(name, permits, test))
        for hold in holds:
            hold.leave()
        return [f"{holds[0].shown}, taken at {line}" for line in reversed(lines)]

    def forget_unclaimed(self) -> None:
        """Have the broker forget the objects that nobody knows any more, when they are worth a message."""
        if len(self.forgettable) < _FORGET_AT_ONCE:
            return
        if System.getpid() != self.connections.pid:  # Forked by somebody who runs no after-fork hooks.
            self.begin_anew()
        names: set[str] = set()
        with contextlib.suppress(IndexError):  # It is empty; perhaps another thread was faster.
            while True:
                names |= self.forgettable.popleft()
        for hold in (*self.permits.values(), *self.read_writes.values()):
            if hold.key[0] in names:
                hold.leave()
        try:
            for name in names:
                self.arrays.pop(name, None)
                self.locks.forget_name(name)
            if self.connections.broker:  # else nobody here has used anything
                self.connections.tell(ForgetNames(tuple(names)))
        except BrokerLostError:  # Then they are forgotten.
            pass

    def begin_anew(self) -> None:
        """Begin anew in a forked child, under another name."""
        self.connections.begin_anew()

    def _forget_holds(self) -> None:
        """What the parent holds is the parent's."""
        self.locks.forget_holds()
        self.permits.clear()
        self.read_writes.clear()
        self.timed_out_waits.clear()
        self.claimed.clear()
        self.forgettable.clear()


_parties: dict[str, Party] = {}
_work = ""


def join(token: str, owner_pid: int, name: str, test: str = "") -> Party:
    """Return this process's party in a run.

    Args:
        token: The run's.
        owner_pid: The run's own process.
        name: What this process is called, if it was not a party already.
        test: What is under way, likewise.
    """
    party = _parties.get(token)
    if party is None:
        party = Party(SystemService(token, owner_pid), name)
        party.set_test(test or _work)
        # If two threads come at once, both get what the first has entered.
        party = _parties.setdefault(token, party)
    return party


def name_work(text: str) -> None:
    """Say what this process does from now on, in all its parties, also those that it joins later, as "task 'resize'".

    For processes that do one thing after the other, each of which the others may have to be told of.
    """
    global _work  # noqa: PLW0603  -- there is one process
    _work = text
    for party in tuple(_parties.values()):
        party.set_test(text)


def known(token: str) -> Party | None:
    """Return this process's party in a run; None if it has not joined it, and inherited none either."""
    return _parties.get(token)


def name_of_process() -> str:
    """Return what this process is called where it is known already; empty if it is known nowhere."""
    return next((party.name for party in tuple(_parties.values())), "")


def _begin_anew() -> None:
    for party in _parties.values():
        party.begin_anew()


def _end_claims() -> None:
    for party in tuple(_parties.values()):
        party.claimed.clear()


if sys.platform != "win32":
    # Afterwards, too: before the fork itself another thread may have its turn.
    os.register_at_fork(before=_end_claims, after_in_parent=_end_claims, after_in_child=_begin_anew)
