"""Simulated processes and their threads, which do what the proxies do: each step by itself."""

from __future__ import annotations

import collections
import dataclasses
import random
from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from pytest_parpool.model.sync_moves import (
    Abandoned,
    Asked,
    ConnectionId,
    Holder,
    Joined,
    PartyId,
    SyncNotice,
)
from pytest_parpool.model.sync_requests import (
    AcquireLock,
    AcquireReadWrite,
    AcquireSemaphore,
    BeginOnce,
    ClearEvent,
    EndOnce,
    EnlistCondition,
    GetFromQueue,
    LockLetGo,
    NotifyCondition,
    OpenLock,
    Origin,
    PutOnQueue,
    ReleaseLock,
    ReleaseReadWrite,
    ReleaseSemaphore,
    Request,
    SetEvent,
    Status,
    TaskDone,
    WaitBarrier,
    WaitCondition,
    WaitEvent,
)
from tests.simulation.broker.kernel import Kernel
from tests.simulation.broker.promises import Ledger

PERMITS = 2
MAXSIZE = 2
BARRIER_PARTIES = 2

Steps: TypeAlias = Generator[None, None, Any]


class InterruptedWait(Exception):  # noqa: N818 - named as what happens to a wait
    """Something was raised in a lane that waits."""


@dataclasses.dataclass(slots=True, eq=False)
class Wire:
    """A connection, seen from outside.

    Attributes:
        up: What was sent to the broker and has not arrived.
        down: The answers under way.
        is_closed: Whether the lane's end is closed.
    """

    id: ConnectionId
    party: PartyId
    lane: Lane
    up: collections.deque[SyncNotice] = dataclasses.field(default_factory=collections.deque)
    down: collections.deque[tuple[int, Status, Any]] = dataclasses.field(default_factory=collections.deque)
    is_closed: bool = False


@dataclasses.dataclass(slots=True, eq=False)
class Process:
    """A simulated process.

    Attributes:
        taken: The locks that its lanes took by themselves, or are about to.
        lanes: Its threads.
    """

    id: PartyId
    pid: int
    is_alive: bool = True
    taken: set[str] = dataclasses.field(default_factory=set)
    lanes: list[Lane] = dataclasses.field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether it is alive and has nothing more to do."""
        return self.is_alive and all(lane.is_over for lane in self.lanes)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What lanes do.

    Attributes:
        kinds: What they use.
        locks: The names of the locks.
        sections: How many sections each runs.
        waits_for_ever: How probable it is that a wait for a lock or the like has no timeout.
        waits_in_vain: How probable it is that a wait that nobody may end has none.
        crossed: How probable it is that a section has another one in it.
    """

    kinds: tuple[str, ...]
    locks: tuple[str, ...]
    sections: int
    waits_for_ever: float
    waits_in_vain: float
    crossed: float


class Lane:
    """One thread of a simulated process.

    Args:
        number: Unique among all lanes.
        process: Whose thread it is.
        surroundings: The simulator.
    """

    def __init__(
        self,
        number: int,
        process: Process,
        *,
        kernel: Kernel,
        ledger: Ledger,
        habits: Habits,
        source: random.Random,
        connect: Callable[[Lane], Wire],
        now: Callable[[], float],
    ) -> None:
        self.number = number
        self.process = process
        self.is_waiting = False
        self.is_over = False
        self.wants: Request | None = None
        self._kernel = kernel
        self._ledger = ledger
        self._habits = habits
        self._source = source
        self._connect = connect
        self._now = now
        self._slots: dict[str, int] = {}
        self._answers: dict[int, tuple[Status, Any]] = {}
        self._sent = 0
        self._broken: list[str] = []
        self.wire = self._open()
        self._steps = self._run()
        process.lanes.append(self)

    def __repr__(self) -> str:
        return f"lane {self.number} of {self.process.pid}"

    @property
    def pending(self) -> tuple[int, int] | None:
        """The connection and the number of the request for whose answer it waits, if it does."""
        return (self.wire.id, self._sent) if self.is_waiting else None

    @property
    def can_step(self) -> bool:
        """Whether it has something to do."""
        return self.process.is_alive and not self.is_over and not (self.is_waiting and self._sent not in self._answers)

    def step(self) -> None:
        """Do the next thing."""
        try:
            next(self._steps)
        except StopIteration:
            self.is_over = True

    def interrupt(self) -> None:
        """Raise something in the wait."""
        try:
            self._steps.throw(InterruptedWait())
        except StopIteration:
            self.is_over = True

    def hear(self, number: int, status: Status, value: Any) -> None:
        """Take an answer from the wire."""
        self._answers[number] = (status, value)

    # --- Talking -----------------------------------------------------------------------------------------------------

    def _open(self) -> Wire:
        wire = self._connect(self)
        wire.up.append(Joined(wire.id, self.process.id, self.process.pid, f"gw{self.process.pid}"))
        return wire

    def _send(self, request: Request) -> None:
        self._sent += 1
        self.wire.up.append(Asked(self.wire.id, self._sent, self._origin(), request))

    def _tell(self, request: Request) -> None:
        """Say something that has no answer."""
        self.wire.up.append(Asked(self.wire.id, 0, self._origin(), request))

    def _ask(self, request: Request) -> Generator[None, None, tuple[Status | None, Any]]:
        """Ask, and wait for the answer; its status is None if the wait was interrupted."""
        self._send(request)
        self.is_waiting = True
        self.wants = request
        try:
            while self._sent not in self._answers:
                yield
            yield
        except InterruptedWait:
            old, old.is_closed = self.wire, True
            self.wire = self._open()
            self.wire.up.append(Abandoned(old.id, self._sent))
            self._answers.clear()
            return None, None
        finally:
            self.is_waiting = False
            self.wants = None
        return self._answers.pop(self._sent)

    def _origin(self) -> Origin:
        return Origin(self.number, f"test_{self.number} (call)", f"a.py:{self._sent}")

    def _timeout(self) -> float | None:
        if self._source.random() < self._habits.waits_for_ever:
            return None
        return self._source.choice([0.0, 0.5, 2.0])

    def _patience(self, seconds: float) -> float | None:
        """Return a timeout for what may never happen."""
        return None if self._source.random() < self._habits.waits_in_vain else seconds

    # --- What it does ------------------------------------------------------------------------------------------------

    def _run(self) -> Steps:
        for name in self._habits.locks:
            _, slot = yield from self._ask_surely(OpenLock(name))
            self._slots[name] = slot
        for _ in range(self._habits.sections):
            yield from self._section()

    def _ask_surely(self, request: Request) -> Generator[None, None, tuple[Status, Any]]:
        while True:
            status, value = yield from self._ask(request)
            if status is not None:
                return status, value

    def _section(self) -> Steps:
        kind = self._source.choice(self._habits.kinds)
        yield from getattr(self, f"_use_{kind}")()

    def _inside(self) -> Steps:
        for _ in range(self._source.randint(0, 3)):
            yield
        if self._source.random() < self._habits.crossed:
            yield from self._section()

    def _use_lock(self) -> Steps:
        name = self._source.choice(self._habits.locks)
        let_go = yield from self._acquire(name, self._timeout())
        if let_go is not None:
            yield from self._inside()
            yield from let_go()

    def _acquire(self, name: str, timeout: float | None) -> Generator[None, None, Callable[[], Steps] | None]:
        """Take a lock, alone if possible; return what lets it go, or None if it was not to be had."""
        slot = self._slots[name]
        if slot >= 0 and name not in self.process.taken:
            self.process.taken.add(name)
            yield
            if not self._kernel.slots[slot].is_marked:
                yield
                if self._kernel.try_take(slot, self.process.pid):
                    yield
                    dead = self._kernel.slots[slot].note
                    origin = self._origin()
                    self._kernel.slots[slot].note = Holder("gw", self.process.pid, origin, self._now())
                    self._ledger.enter(self, "lock", name, told=repr(dead) if dead else "")
                    return lambda: self._let_go_alone(name, slot)
            self.process.taken.discard(name)
            yield
        status, value = yield from self._ask(AcquireLock(name, timeout))
        if status is not Status.DONE:
            return None
        self._ledger.enter(self, "lock", name, told=value)
        return lambda: self._let_go_through_broker(name)

    def _let_go_alone(self, name: str, slot: int) -> Steps:
        self._ledger.leave(self, "lock", name)
        self._kernel.slots[slot].note = None
        yield
        self._kernel.let_go(slot, self.process.pid)
        self.process.taken.discard(name)
        yield
        if self._kernel.slots[slot].is_marked:
            # It may also be another thread that lets it go. What that one says may come later than what this one asks.
            self._source.choice(self.process.lanes)._tell(LockLetGo(name))

    def _let_go_through_broker(self, name: str) -> Steps:
        self._ledger.leave(self, "lock", name)
        if self._source.random() < 0.5:
            yield from self._ask(ReleaseLock(name))
        else:
            self._send(ReleaseLock(name))

    def _use_semaphore(self) -> Steps:
        status, _ = yield from self._ask(AcquireSemaphore("s", PERMITS, self._timeout()))
        # Whoever has both permits shows up once here; the broker counts them.
        if status is Status.DONE and self not in self._ledger.inside["semaphore", "s"]:
            self._ledger.enter(self, "semaphore", "s", limit=PERMITS)
            yield from self._inside()
            self._ledger.leave(self, "semaphore", "s")
        if status is Status.DONE:
            yield from self._ask(ReleaseSemaphore("s", PERMITS, 1))

    def _use_read_write(self) -> Steps:
        is_write = self._source.random() < 0.4
        status, _ = yield from self._ask(AcquireReadWrite("rw", is_write, self._timeout()))
        if status is not Status.DONE:
            return
        is_again = self in self._ledger.inside["read_write", "rw"]
        if not is_again:
            self._ledger.enter(self, "read_write", "rw", way="write" if is_write else "read")
        yield from self._inside()
        if not is_again:
            self._ledger.leave(self, "read_write", "rw")
        yield from self._ask(ReleaseReadWrite("rw", is_write))

    def _use_once(self) -> Steps:
        name = self._source.choice(["o1", "o2", "o3"])
        status, value = yield from self._ask(BeginOnce(name, self._timeout()))
        if status is not Status.DONE or value[0] != "run":
            return
        self._ledger.enter(self, "once", name)
        yield from self._inside()
        self._ledger.leave(self, "once", name)
        status, _ = yield from self._ask(EndOnce(name, False, ("plain", 1)))
        if status is Status.DONE:
            self._ledger.end_once(name)

    # --- What may never happen ---------------------------------------------------------------------------------------

    def _use_event(self) -> Steps:
        requests: list[Request] = [SetEvent("e"), ClearEvent("e"), WaitEvent("e", self._patience(1.0))]
        yield from self._ask(self._source.choice(requests))

    def _use_barrier(self) -> Steps:
        name = self._source.choice(["b1", "b2"])
        yield from self._ask(WaitBarrier(name, BARRIER_PARTIES, self._patience(1.5)))

    def _use_queue(self) -> Steps:
        if self._source.random() < 0.5:
            task = self._source.getrandbits(60)
            status, _ = yield from self._ask(PutOnQueue("q", MAXSIZE, ("plain", task), self._patience(1.0)))
            if status is Status.DONE:
                self._ledger.put.add(task)
            return
        status, payload = yield from self._ask(GetFromQueue("q", MAXSIZE, self._patience(1.0)))
        if status is Status.DONE:
            assert payload[1] not in self._ledger.got, "two got the same"
            self._ledger.got.add(payload[1])
            yield from self._ask(TaskDone("q", MAXSIZE))

    def _use_condition(self) -> Steps:
        let_go = yield from self._acquire("condition:c", self._timeout())
        if let_go is None:
            return
        if self._source.random() < 0.5:
            yield from self._ask(NotifyCondition("c", self._source.choice([1, 1, -1])))
            yield from let_go()
            return
        status, ticket = yield from self._ask(EnlistCondition("c"))
        yield from let_go()
        if status is Status.DONE:
            yield from self._ask(WaitCondition("c", ticket, self._patience(2.0)))
