"""Brokers with a bug each, which the simulator has to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pytest_parpool.model.sync_moves import (
    Abandoned,
    Asked,
    Died,
    Free,
    Inspected,
    Inspection,
    Move,
    Parted,
    SyncNotice,
    Tried,
    Try,
)
from pytest_parpool.model.sync_requests import LockLetGo
from pytest_parpool.policy.broker.barriers import Barriers
from pytest_parpool.policy.broker.broker import Broker
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.kinds import ObjectKind
from pytest_parpool.policy.broker.once import Onces
from pytest_parpool.policy.broker.queues import Queues
from pytest_parpool.policy.broker.read_write import ReadWriteLocks
from pytest_parpool.policy.broker.semaphores import Semaphores
from pytest_parpool.policy.broker.waiting import WaitingList

_K = TypeVar("_K", bound=ObjectKind)


class ForgetsWhatWasLetGo(Broker):
    """Who lets a lock go and says so is not heard."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        if isinstance(notice, Asked) and isinstance(notice.request, LockLetGo):
            return []
        return super().handle(notice, now)


class ForgetsTheDeadHolder(Broker):
    """What a dead party held is not freed."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        if isinstance(notice, Died):
            kinds, self._kinds = self._kinds, ()
            moves = super().handle(notice, now)
            self._kinds = kinds
            return moves
        return super().handle(notice, now)


class NamesNoDead(Broker):
    """Who died with a lock is not told to who has it next."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        if isinstance(notice, Tried) and notice.is_taken:
            notice = Tried(notice.slot, True, None)
        return super().handle(notice, now)


class NeverFrees(Broker):
    """A lock that nobody waits for is not left to the parties: it stays marked, and taken."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        return [move for move in super().handle(notice, now) if not isinstance(move, Free)]


class FreesWhatIsHeld(Broker):
    """A lock is freed as soon as nobody waits, though somebody has it."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        moves = super().handle(notice, now)
        if isinstance(notice, Tried) and notice.is_taken and not any(isinstance(move, (Free, Try)) for move in moves):
            moves.append(Free(notice.slot))
        return moves


class LastComesFirst(Broker):
    """Who came last is served first."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        enqueue = self._desk.enqueue

        def enqueue_in_stack(call: Call, waiting: WaitingList, timeout: float | None) -> None:
            waiting.__class__ = _Stack
            enqueue(call, waiting, timeout)

        self._desk.enqueue = enqueue_in_stack  # type: ignore[method-assign]


class _Stack(WaitingList):
    """A waiting list that is not fair."""

    __slots__ = ()

    @property
    def first(self) -> Call | None:
        """See the class."""
        return next(reversed(self._calls.values()), None)


class SeesNoDeadlock(Broker):
    """Who waits for each other waits for ever."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self._desk.look_for_deadlock = lambda _call: None  # type: ignore[assignment]


class SeesNoStandstill(Broker):
    """If nobody is left who could end the waits, they are not ended."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self._standstill._suspect = lambda _silent: None  # type: ignore[method-assign, assignment]


class OverlooksThreads(Broker):
    """That one thread of each process waits is taken for a standstill."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        if isinstance(notice, Inspected):
            lanes = {party.pid: len({call.lane for call in party.blocked}) for party in self._parties.values()}
            threads = [Inspection(process.pid, lanes[process.pid], ()) for process in notice.processes]
            notice = Inspected(tuple(threads))
        return super().handle(notice, now)


class IgnoresAbandoned(Broker):
    """What was granted to somebody who did not look is granted."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        return [] if isinstance(notice, Abandoned) else super().handle(notice, now)


class ForgetsGrantsOfClosedConnections(Broker):
    """What was granted on a connection that is closed cannot be undone."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        if isinstance(notice, Parted) and notice.connection in self._connections:
            self._connections[notice.connection].grants.clear()
        return super().handle(notice, now)


class ForgetsEarlyAbandoned(Broker):
    """What is abandoned before it came is waited for, and granted."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        moves = super().handle(notice, now)
        for connection in self._connections.values():
            connection.abandoned_early.clear()
        self._abandoned_early.clear()
        return moves


class TriesOnlyWhenAsked(Broker):
    """A lock that is sought is not tried again when somebody dies, nor after a while."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        moves = super().handle(notice, now)
        return [move for move in moves if not (isinstance(move, Try) and not isinstance(notice, Asked))]


class ForgetsReadersBehindAWriter(Broker):
    """Readers behind a writer that gives up are not let in."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        _kind(self, ReadWriteLocks).forget = lambda _call: None  # type: ignore[assignment]


class TwoRunItAtOnce(Broker):
    """Nobody waits for who runs something: the next one runs it, too."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        for once in _kind(self, Onces)._onces.values():
            once.runner = None
        return super().handle(notice, now)


class OnePermitTooMany(Broker):
    """Who dies leaves a permit more than it had."""

    def handle(self, notice: SyncNotice, now: float) -> list[Move]:
        """See the class."""
        if isinstance(notice, Died):
            for semaphore in _kind(self, Semaphores)._objects.values():
                semaphore.free += 1
        return super().handle(notice, now)


class QueueLosesWhatWasNotLookedAt(Broker):
    """What somebody got and did not look at is gone."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        queues = _kind(self, Queues)
        grant = self._desk.grant

        def grant_for_good(call: Call, value: object, undo: Callable[[], None]) -> None:
            grant(call, value, (lambda: None) if call.kind is queues else undo)

        self._desk.grant = grant_for_good  # type: ignore[method-assign]


class BarrierGivesOnePlaceTwice(Broker):
    """All who pass a barrier are told the same place."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        barriers = _kind(self, Barriers)
        answer = self._desk.answer

        def answer_first(call: Call, value: object = None) -> None:
            answer(call, 0 if call.kind is barriers else value)

        self._desk.answer = answer_first  # type: ignore[method-assign]


def _kind(broker: Broker, wanted: type[_K]) -> _K:
    return next(kind for kind in broker._kinds if isinstance(kind, wanted))


BUGS: tuple[type[Broker], ...] = (
    ForgetsWhatWasLetGo,
    ForgetsTheDeadHolder,
    NamesNoDead,
    NeverFrees,
    FreesWhatIsHeld,
    LastComesFirst,
    SeesNoDeadlock,
    SeesNoStandstill,
    OverlooksThreads,
    IgnoresAbandoned,
    ForgetsGrantsOfClosedConnections,
    ForgetsEarlyAbandoned,
    TriesOnlyWhenAsked,
    ForgetsReadersBehindAWriter,
    TwoRunItAtOnce,
    OnePermitTooMany,
    QueueLosesWhatWasNotLookedAt,
    BarrierGivesOnePlaceTwice,
)
