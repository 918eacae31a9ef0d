"""Reader-writer locks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_parpool.model.sync_requests import AcquireReadWrite, ReleaseReadWrite, Status
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call, Hold
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind, Obstacles
from pytest_parpool.policy.broker.parties import Party
from pytest_parpool.policy.broker.waiting import WaitingList


class _ReadWriteLock:
    """One lock.

    Attributes:
        inherited: Who died while writing, for whoever is given it next.
    """

    __slots__ = ("inherited", "name", "readers", "waiting", "writer")

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting = WaitingList()
        self.readers: list[Hold] = []
        self.writer: Hold | None = None
        self.inherited = ""

    def admits(self, *, is_write: bool) -> bool:
        """Whether one more can be let in now, those who wait disregarded."""
        return self.writer is None and not (is_write and self.readers)

    @property
    def holds(self) -> list[Hold]:
        """Who has it, in whichever way."""
        return self.readers if self.writer is None else [self.writer]


class ReadWriteLocks(ObjectKind):
    """All reader-writer locks. Strictly first come, first served: a reader waits behind a writer that waits."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._locks: dict[str, _ReadWriteLock] = {}

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {AcquireReadWrite: self._acquire, ReleaseReadWrite: self._release}

    def forget_name(self, name: str) -> None:
        """See `ObjectKind.forget_name`."""
        lock = self._locks.get(name)
        if lock is not None and not lock.waiting:
            del self._locks[name]

    def _acquire(self, call: Call, request: AcquireReadWrite) -> None:
        lock = self._locks.get(request.name)
        if lock is None:
            lock = self._locks[request.name] = _ReadWriteLock(request.name)
        if not lock.waiting and lock.admits(is_write=request.is_write):
            self._give(lock, call, is_write=request.is_write)
        else:
            self._desk.wait(call, lock.waiting, request.timeout)

    def _release(self, call: Call, request: ReleaseReadWrite) -> None:
        lock = self._locks.get(request.name)
        own = [] if lock is None else [hold for hold in lock.holds if hold.party is call.party]
        if lock is None or not own or (lock.writer is not None) is not request.is_write:
            way = "writing" if request.is_write else "reading"
            text = f"read-write lock {request.name!r} is not held by {call.party.name} for {way}, nothing to release"
            self._desk.refuse(call, Status.NOT_HELD, text)
            return
        self._desk.answer(call)
        # What this lane holds, or else what the process has held for longest.
        self._take_back(lock, min(own, key=lambda hold: hold.lane != call.lane))

    def _give(self, lock: _ReadWriteLock, call: Call, *, is_write: bool) -> None:
        hold = Hold.of(call, self._desk.now, "held for writing by" if is_write else "held for reading by")
        if is_write:
            lock.writer = hold
        else:
            lock.readers.append(hold)
        inherited, lock.inherited = lock.inherited, ""
        self._desk.change()

        def undo() -> None:
            # Readings are all alike: who has ended one meanwhile meant another one of its process.
            own = [other for other in lock.holds if other.party is hold.party and other.role == hold.role]
            if hold in own or (own and not is_write):
                lock.inherited = inherited
                self._take_back(lock, hold if hold in own else own[0])

        self._desk.grant(call, inherited, undo)

    def _take_back(self, lock: _ReadWriteLock, hold: Hold) -> None:
        if lock.writer is hold:
            lock.writer = None
        else:
            lock.readers.remove(hold)
        self._desk.change()
        self._serve(lock)

    def _serve(self, lock: _ReadWriteLock) -> None:
        """Let in who comes next, and all behind who can go with it."""
        while (call := lock.waiting.first) is not None:
            is_write = _is_write(call)
            if not lock.admits(is_write=is_write):
                break
            self._give(lock, call, is_write=is_write)

    def bury(self, party: Party, how: str) -> None:
        """See `ObjectKind.bury`. A reader leaves nothing half done."""
        for lock in self._locks.values():
            for hold in [hold for hold in lock.holds if hold.party is party]:
                if hold is lock.writer:
                    lock.inherited = explanations.inheritance(hold, how, f"lock {lock.name!r}, for writing")
                self._take_back(lock, hold)

    # --- Waiting -----------------------------------------------------------------------------------------------------

    def forget(self, call: Call) -> None:
        """See `ObjectKind.forget`. Readers that stood behind a writer may go in now."""
        self._serve(self._locks[call.name])

    def title(self, call: Call) -> str:
        """See `ObjectKind.title`."""
        return f"read-write lock {call.name!r} ({'to write' if _is_write(call) else 'to read'})"

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        lock = self._locks[call.name]
        ahead = explanations.ahead(lock.waiting.before(call))
        return f"{self.title(call)} is {lock.holds[0].role} {explanations.holders(lock.holds, self._desk.now)}{ahead}"

    def obstacles(self, call: Call) -> Obstacles:
        """See `ObjectKind.obstacles`. Also those who came before are in the way, unless reader goes with reader."""
        lock = self._locks[call.name]
        is_write = _is_write(call)
        holds = [] if lock.admits(is_write=is_write) else list(lock.holds)
        for other in lock.waiting.before(call):
            if is_write or _is_write(other):
                holds.append(Hold.of(other, other.since, "wanted before by"))
        return Obstacles(holds)


def _is_write(call: Call) -> bool:
    assert isinstance(call.request, AcquireReadWrite)
    return call.request.is_write
