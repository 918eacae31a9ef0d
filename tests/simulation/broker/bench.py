"""The broker on a bench: requests in, answers out, with slots that are taken or not as a test says."""

from __future__ import annotations

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
    Holder,
    Inspect,
    Inspected,
    Inspection,
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
from pytest_parpool.model.sync_requests import Origin, Request, Status
from pytest_parpool.policy.broker.broker import Broker

KILLED = "was killed by SIGKILL"


class Bench:
    """A broker, its answers, and three processes gw1, gw2 and gw3 with a connection and a lane each: 1, 2 and 3.

    Attributes:
        answers: Each answer that came, by connection and number.
        order: The keys of ``answers``, in the order in which they came.
        alone: What parties have taken by themselves: who has it, by slot.
        dead: Who died with a lock that is free now, by slot.
        system: What the system says of a process, by its id; None if nothing. Else it has one thread and no children.
        moves: All moves that were no answers.
    """

    def __init__(self, slots: int = 4, owner_pid: int = 0) -> None:
        self.broker = Broker(slots, owner_pid)
        self.now = 100.0
        self.answers: dict[tuple[int, int], tuple[Status, Any]] = {}
        self.order: list[tuple[int, int]] = []
        self.alone: dict[int, Holder | None] = {}
        self.dead: dict[int, Holder] = {}
        self.system: dict[int, Inspection | None] = {}
        self.moves: list[Move] = []
        self._numbers = 0
        for number in (1, 2, 3):
            self.join(number, number)

    def join(self, connection: int, party: int, *, is_blocking: bool = True) -> None:
        """Open a connection."""
        self.tell(Joined(ConnectionId(connection), PartyId(party), 100 + party, f"gw{party}", is_blocking))

    def ask(self, connection: int, request: Request, *, lane: int | None = None) -> tuple[int, int]:
        """Ask, and return the key under which the answer is found."""
        self._numbers += 1
        lane = connection if lane is None else lane
        self.tell(Asked(ConnectionId(connection), self._numbers, self.origin(lane), request))
        return connection, self._numbers

    def origin(self, lane: int) -> Origin:
        """Return who a lane is."""
        return Origin(lane, f"test_{lane} (call)", f"a.py:{lane}")

    def holder(self, party: int) -> Holder:
        """Return what a process writes into the slot of a lock that it takes by itself."""
        return Holder(f"gw{party}", 100 + party, self.origin(party), self.now)

    def abandon(self, key: tuple[int, int]) -> None:
        """Abandon a request."""
        self.tell(Abandoned(ConnectionId(key[0]), key[1]))

    def part(self, connection: int) -> None:
        """Close a connection."""
        self.tell(Parted(ConnectionId(connection)))

    def die(self, party: int) -> None:
        """Have a process killed."""
        self.tell(Died(PartyId(party), KILLED))

    def be_silent(self, *parties: int, ago: float = 0.0) -> None:
        """Say that the processes of these parties are all that run tests; time passes until that was looked at."""
        self.tell_silence(*parties, ago=ago)
        self.wait(1.0)

    def tell_silence(self, *parties: int, ago: float = 0.0) -> None:
        """Say that the processes of these parties were all that run tests, some time ago."""
        self.tell(Silent(tuple(100 + party for party in parties), self.now - ago))

    def wait(self, seconds: float) -> None:
        """Have time pass."""
        self.now += seconds
        self.tell(Passed())

    def tell(self, notice: SyncNotice) -> None:
        """Tell the broker something, and do what it says."""
        for move in self.broker.handle(notice, self.now):
            match move:
                case Answer(connection, number, status, value):
                    assert (connection, number) not in self.answers, "answered twice"
                    self.answers[connection, number] = (status, value)
                    self.order.append((connection, number))
                case AnswerWithMemory() | CloseMemory() | Free():
                    self.moves.append(move)
                case Try(slot):
                    self.moves.append(move)
                    is_taken = slot not in self.alone
                    holder = self.dead.pop(slot, None) if is_taken else self.alone[slot]
                    self.tell(Tried(slot, is_taken, holder))
                case Inspect(pids):
                    self.moves.append(move)
                    found = [self.system.get(pid, Inspection(pid, 1, ())) for pid in pids]
                    self.tell(Inspected(tuple(process for process in found if process is not None)))

    def status(self, key: tuple[int, int]) -> Status | None:
        """Return how a request ended; None if it waits."""
        return self.answers[key][0] if key in self.answers else None

    def value(self, key: tuple[int, int]) -> Any:
        """Return what came out of a request that is done."""
        status, value = self.answers[key]
        assert status is Status.DONE, value
        return value

    def text(self, key: tuple[int, int], status: Status) -> str:
        """Return why a request was refused; it has to have this status."""
        seen, value = self.answers[key]
        assert seen is status, (seen, value)
        assert isinstance(value, str)
        return value
