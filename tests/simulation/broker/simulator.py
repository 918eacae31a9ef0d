"""The simulator: the real broker among simulated lanes, in a random order of everything that has no order.

One seed is one run. What lanes do in shared memory, when messages arrive (in order per connection), when a death is
told, and what happens between the broker's mark and its try, is random. What must hold is checked as it happens; and at
the end: everybody who lives has got to the end of what it does.
"""

from __future__ import annotations

import collections
import dataclasses
import random
from collections.abc import Callable
from typing import Any

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
    Inspection,
    Joined,
    Parted,
    PartyId,
    Passed,
    Silent,
    SyncNotice,
    Tried,
    Try,
)
from pytest_parpool.model.sync_requests import GetFromQueue, Origin, Status
from pytest_parpool.policy.broker.broker import Broker
from pytest_parpool.policy.broker.standstill import HEADING
from tests.simulation.broker.kernel import BROKER_PID, Kernel
from tests.simulation.broker.lanes import MAXSIZE, Habits, Lane, Process, Wire
from tests.simulation.broker.promises import Ledger
from tests.simulation.promises import BrokenPromiseError, promise

MOST_STEPS = 20_000  # A run takes some hundred.
PATIENCE_SECONDS = 30.0  # Nobody waits for longer than some seconds where everybody else gets on.
FIRST_PID = 100


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a run is like.

    Attributes:
        habits: What lanes do.
        lanes: How many each process has.
        slots: How many locks can be taken alone.
        dies: How probable it is at a step that a process dies.
        interrupts: How probable it is at a step that a wait is interrupted.
        hurries: How probable it is at a step that time passes though there is something else to do.
        silences: How probable it is at a step that the broker is told who runs tests; if not 0, also when all wait.
    """

    habits: Habits
    lanes: tuple[int, ...]
    slots: int
    dies: float
    interrupts: float
    hurries: float
    silences: float


class Simulator:
    """One run.

    Args:
        world: What it is like.
        source: Decides everything that has no fixed order.
        make_broker: The real one, or one with a bug in it.
        is_marking_first: Whether the process around the broker marks a slot before it tries; it has to.
    """

    def __init__(
        self,
        world: World,
        source: random.Random,
        make_broker: Callable[[int], Broker] = Broker,
        *,
        is_marking_first: bool = True,
    ) -> None:
        self.seen: collections.Counter[str] = collections.Counter()
        self._world = world
        self._source = source
        self._broker = make_broker(world.slots)
        self._is_marking_first = is_marking_first
        self._kernel = Kernel(world.slots)
        self._ledger = Ledger()
        self._now = 0.0
        self._wires: dict[ConnectionId, Wire] = {}
        self._wire_count = 0
        self._deaths: list[Process] = []
        self._answered: list[tuple[Any, Any]] = []
        self._is_silence_told = False
        self._able: list[Lane] = []
        self._processes = [Process(PartyId(n), FIRST_PID + n) for n in range(len(world.lanes))]
        self._lanes = [
            Lane(
                n,
                process,
                kernel=self._kernel,
                ledger=self._ledger,
                habits=world.habits,
                source=source,
                connect=self._connect,
                now=lambda: self._now,
            )
            for n, process in enumerate(process for process in self._processes for _ in range(world.lanes[process.id]))
        ]

    def run(self) -> None:
        """Play the run to its end.

        Raises:
            BrokenPromiseError: If something happened that must not.
        """
        last_progress = 0.0
        for _ in range(MOST_STEPS):
            self._disturb()
            moves = self._moves()
            if moves:
                if self._source.random() >= self._world.hurries or not self._pass():
                    self._source.choice(moves)()
                last_progress = self._now
                continue
            waiting = [lane for lane in self._lanes if lane.process.is_alive and not lane.is_over]
            if not waiting:
                break
            self._check_quiet(waiting)
            wants = [(lane, lane.wants) for lane in waiting]
            if self._world.silences:
                self._tell_silence()
            promise(self._pass(), f"nobody can go on, nothing depends on the time: {wants}")
            promise(self._now - last_progress < PATIENCE_SECONDS, f"nobody goes on: {wants}")
        else:
            raise BrokenPromiseError(f"the run does not end; {MOST_STEPS} steps were made")
        self._check_slots()
        self._ledger.check_end(self._drain(), {process.id for process in self._processes if not process.is_alive})

    # --- What may happen next ----------------------------------------------------------------------------------------

    def _moves(self) -> list[Callable[[], None]]:
        moves: list[Callable[[], None]] = [lane.step for lane in self._lanes if lane.can_step]
        for wire in self._wires.values():
            if wire.up or wire.is_closed:
                moves.append(lambda wire=wire: self._deliver(wire))  # type: ignore[misc]
            if wire.down and not wire.is_closed:
                moves.append(lambda wire=wire: wire.lane.hear(*wire.down.popleft()))  # type: ignore[misc]
        moves += [lambda process=process: self._tell_death(process) for process in self._deaths]  # type: ignore[misc]
        if self._world.silences:  # Else those who have done all stay, as an idle worker does.
            speaking = {wire.party for wire in self._wires.values() if wire.up}
            ended = [process for process in self._processes if process.is_over and process.id not in speaking]
            moves += [lambda process=process: self._kill(process) for process in ended]  # type: ignore[misc]
        return moves

    def _pass(self) -> bool:
        """Have time pass until something depends on it; return False if nothing does."""
        at = self._broker.next_deadline()
        if at is None:
            return False
        if self._is_silence_told:
            # The process around reads what has come before time passes, and so much time that all of it has come.
            self._is_silence_told = False
            self._deliver_all()
        # Never exactly on time.
        self._now = max(self._now, at) + self._source.random() * 0.01
        self._take(Passed())
        return True

    def _deliver_all(self) -> None:
        while wires := [wire for wire in self._wires.values() if wire.up or wire.is_closed]:
            self._deliver(self._source.choice(wires))

    def _tell_silence(self) -> None:
        self._is_silence_told = True
        self._take(Silent(tuple(process.pid for process in self._processes if process.is_alive), self._now))

    def _disturb(self) -> None:
        if self._source.random() < self._world.silences:
            self._tell_silence()
        if self._source.random() < self._world.dies:
            alive = [process for process in self._processes if process.is_alive]
            if len(alive) > 1:
                self._kill(self._source.choice(alive))
        if self._source.random() < self._world.interrupts:
            waiting = [lane for lane in self._lanes if lane.is_waiting and lane.process.is_alive]
            if waiting:
                self.seen["interrupted wait"] += 1
                self._source.choice(waiting).interrupt()

    def _kill(self, process: Process) -> None:
        process.is_alive = False
        self._kernel.end(process.pid)
        self._deaths.append(process)
        for lane in self._lanes:
            if lane.process is process:
                self._ledger.die(lane)
        for wire in self._wires.values():
            if wire.party == process.id:
                wire.is_closed = True

    def _tell_death(self, process: Process) -> None:
        self._deaths.remove(process)
        for wire in [wire for wire in self._wires.values() if wire.party == process.id]:
            self._ledger.forget(wire.id)
            if self._source.random() < 0.5:  # Else what it had sent still comes.
                del self._wires[wire.id]
        self._take(Died(process.id, "was killed by SIGKILL"))

    def _deliver(self, wire: Wire) -> None:
        if not wire.up:
            del self._wires[wire.id]
            self._ledger.forget(wire.id)
            self._take(Parted(wire.id))
            return
        notice = wire.up.popleft()
        match notice:
            case Asked(connection, number, _, request):
                self.seen[type(request).__name__] += 1
                process = self._processes[wire.party]
                if process.is_alive or process in self._deaths:
                    self._ledger.ask(connection, number, request)
            case Abandoned(connection, number):
                self._ledger.abandon(connection, number)
            case _:
                assert isinstance(notice, Joined)
        self._take(notice)
        if isinstance(notice, Asked):
            self._ledger.forget_abandoned(notice.connection, notice.number)

    # --- The process around the broker -------------------------------------------------------------------------------

    def _take(self, notice: SyncNotice) -> None:
        self._answered = []
        self._handle(notice)
        self._ledger.check_barriers(self._answered)

    def _handle(self, notice: SyncNotice) -> None:
        for move in self._broker.handle(notice, self._now):
            match move:
                case Answer(connection, number, status, value):
                    self._answer(connection, number, status, value)
                case AnswerWithMemory() | CloseMemory():
                    raise AssertionError("nobody asks for memory here")
                case Try(slot):
                    self._try(slot)
                case Free(slot):
                    self._kernel.slots[slot].is_marked = False
                    self._kernel.let_go(slot, BROKER_PID)
                case Inspect(pids):
                    self._inspect(pids)

    def _answer(self, connection: ConnectionId, number: int, status: Status, value: Any) -> None:
        self.seen[status.name] += 1
        request = self._ledger.answer(connection, number, is_done=status is Status.DONE)
        if status is Status.DONE:
            self._answered.append((request, value))
        wire = self._wires.get(connection)
        if wire is not None and isinstance(request, GetFromQueue) and status is Status.DONE:
            self._ledger.given[value[1]] = wire.party
        # Of one who was interrupted, or died, the broker may not know yet what it let go.
        is_calm = not self._world.dies and not self._world.interrupts
        if status is Status.DEADLOCK and is_calm and self._world.habits.kinds == ("lock",):
            assert wire is not None
            self._ledger.check_deadlock(wire.lane)
            self.seen["deadlock checked"] += 1
        if status is Status.DEADLOCK and value.startswith(HEADING):
            self.seen["standstill"] += 1
            promise(not self._able, f"a standstill is seen, but {self._able} could go on")
        if wire is not None and not wire.is_closed:
            wire.down.append((number, status, value))

    def _try(self, slot: int) -> None:
        if self._is_marking_first:
            self._kernel.slots[slot].is_marked = True
            self._let_others_step()
        is_taken = self._kernel.try_take(slot, BROKER_PID)
        holder = self._kernel.slots[slot].note
        if is_taken:
            self._kernel.slots[slot].note = None
        if not self._is_marking_first:
            self._let_others_step()
            self._kernel.slots[slot].is_marked = True
        self.seen["taken" if is_taken else "not taken"] += 1
        self._handle(Tried(slot, is_taken, holder))

    def _inspect(self, pids: tuple[int, ...]) -> None:
        """Say how many threads the living processes have, and remember who of them could go on."""
        alive = [process for process in self._processes if process.is_alive]
        lanes = {process.pid: [lane for lane in process.lanes if not lane.is_over] for process in alive}
        self._able = [lane for lanes_of in lanes.values() for lane in lanes_of if not self._is_blocked(lane)]
        found = [Inspection(pid, len(lanes[pid]), ()) for pid in pids if pid in lanes]
        self._handle(Inspected(tuple(found)))

    def _is_blocked(self, lane: Lane) -> bool:
        return lane.wants is not None and self._ledger.is_open(lane.pending) and lane.wants.timeout is None  # type: ignore[union-attr]

    def _let_others_step(self) -> None:
        for _ in range(self._source.choice([0, 0, 1, 5])):
            able = [lane for lane in self._lanes if lane.can_step]
            if able:
                self._source.choice(able).step()

    def _connect(self, lane: Lane) -> Wire:
        self._wire_count += 1
        wire = Wire(ConnectionId(self._wire_count), lane.process.id, lane)
        self._wires[wire.id] = wire
        return wire

    # --- What must be so ---------------------------------------------------------------------------------------------

    def _check_quiet(self, waiting: list[Lane]) -> None:
        """See that nobody waits for a lock that nobody has, when everything that is under way has arrived."""
        for lane in waiting:
            kind = {"AcquireLock": "lock", "AcquireReadWrite": "read_write", "BeginOnce": "once"}.get(
                type(lane.wants).__name__
            )
            if kind is not None:
                name = lane.wants.name  # type: ignore[union-attr]
                promise(bool(self._ledger.inside[kind, name]), f"{lane} waits for {kind} {name}, which nobody has")

    def _check_slots(self) -> None:
        """See that all locks are left to the parties when nobody uses them, unless there is a death to be told of."""
        if not self._world.dies:
            promise(not any(slot.is_marked or slot.owner for slot in self._kernel.slots), f"{self._kernel.slots}")

    def _drain(self) -> set[int]:
        """Return what is left on the queue."""
        left: set[int] = set()
        visitor = ConnectionId(-1)
        self._broker.handle(Joined(visitor, PartyId(-1), 2, "visitor"), self._now)
        while True:
            request = GetFromQueue("q", MAXSIZE, 0)
            (move,) = self._broker.handle(Asked(visitor, len(left), Origin(-1, "", ""), request), self._now)
            assert isinstance(move, Answer)
            if move.status is not Status.DONE:
                return left
            left.add(move.value[1])
