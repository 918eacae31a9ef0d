"""What a process that uses shared objects is to the others: its name, its connections, and what it holds."""

from __future__ import annotations

import os
from collections import deque
from typing import Any, Final

from pytest_parpool.model.sync_requests import ReleaseSemaphore, Request
from pytest_parpool.sync.connections import Connections
from pytest_parpool.sync.errors import LockTimeoutError, NotHeldError
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.locking import Locks
from pytest_parpool.sync.service import Service

_MOST_TEXTS: Final = 20


class Party:
    """This process, as one that uses the shared objects of a run; one object per run and process.

    Args:
        service: Where the broker is.
        name: What this process is called in messages, as "gw1".

    Attributes:
        service: As given.
        locks: The locks that it holds.
        permits: The permits of semaphores that it holds, by name, number of permits and a serial number.
        timed_out_waits: What was said when somebody waited in vain: the last few.
    """

    def __init__(self, service: Service, name: str) -> None:
        self.service = service
        self.connections = Connections(service, name, self._forget_holds)
        self.locks = Locks(self.connections)
        self.permits: dict[tuple[str, int, int], Hold] = {}
        self.timed_out_waits: deque[str] = deque(maxlen=_MOST_TEXTS)

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

    def remember_timeout(self, error: LockTimeoutError, timeout: float | None) -> None:
        """Keep what was said, unless nobody waited."""
        if timeout != 0:
            self.timed_out_waits.append(str(error))

    @property
    def held(self) -> tuple[Hold, ...]:
        """What this process holds now."""
        return (*self.locks.taken.values(), *self.locks.managed.values(), *self.permits.values())

    def release_leftovers(self, test: str) -> list[str]:
        """Release what a test has taken and not released, the last first.

        Args:
            test: Its node id, without a phase.

        Returns:
            What that was, each as "lock 'db', taken at tests/test_a.py:12".
        """
        released = []
        for hold in reversed([hold for hold in self.held if hold.is_of(test)]):
            try:
                self._release(hold)
            except NotHeldError:  # Somebody else has released it meanwhile.
                hold.leave()
                continue
            released.append(str(hold))
        return released

    def _release(self, hold: Hold) -> None:
        if hold.table is self.permits:
            hold.leave()
            name, permits, _ = hold.key
            self.ask(ReleaseSemaphore(name, permits, 1))
        else:
            self.locks.release_hold(hold)

    def begin_anew(self) -> None:
        """Begin anew in a forked child, under another name."""
        self.connections.begin_anew()

    def _forget_holds(self) -> None:
        """What the parent holds is the parent's."""
        self.locks.forget_holds()
        self.permits.clear()
        self.timed_out_waits.clear()


_parties: dict[str, Party] = {}


def join(token: str, owner_pid: int, name: str) -> Party:
    """Return this process's party in a run.

    Args:
        token: The run's.
        owner_pid: The run's own process.
        name: What this process is called, if it was not a party already.
    """
    party = _parties.get(token)
    if party is None:
        # If two threads come at once, both get what the first has entered.
        party = _parties.setdefault(token, Party(Service(token, owner_pid), name))
    return party


def _begin_anew() -> None:
    for party in _parties.values():
        party.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
