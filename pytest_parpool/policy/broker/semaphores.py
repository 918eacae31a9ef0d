"""Semaphores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pytest_parpool.model.sync_requests import AcquireSemaphore, ReleaseSemaphore, ReturnPermits, Status
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call, Hold
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, Obstacles
from pytest_parpool.policy.broker.parties import Party
from pytest_parpool.policy.broker.sized import SizedKind, SizedObject
from pytest_parpool.policy.broker.waiting import WaitingList


class _Semaphore(SizedObject):
    """One semaphore; its size is the number of permits that it was opened with.

    Attributes:
        free: How many are left.
        holds: Who has the others, who came first first.
        inherited: For each permit that comes from somebody who died, what to tell who is given it.
    """

    __slots__ = ("free", "holds", "inherited", "waiting")

    noun: ClassVar[str] = "semaphore"
    size_name: ClassVar[str] = "permits"

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size)
        self.free = size
        self.waiting = WaitingList()
        self.holds: list[Hold] = []
        self.inherited: list[str] = []

    @property
    def is_waited_for(self) -> bool:
        """See `SizedObject.is_waited_for`."""
        return bool(self.waiting)


class Semaphores(SizedKind[_Semaphore]):
    """All semaphores. A permit is given to whoever came first, and taken back from anybody."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, _Semaphore)

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {
            AcquireSemaphore: self._acquire,
            ReleaseSemaphore: self._release,
            ReturnPermits: self._return,
        }

    def _acquire(self, call: Call, request: AcquireSemaphore) -> None:
        semaphore = self._open(call, request.name, request.permits)
        if semaphore is None:
            return
        # Whoever waits was given all that was free.
        if semaphore.free:
            self._give(semaphore, call)
        else:
            self._desk.wait(call, semaphore.waiting, request.timeout)

    def _release(self, call: Call, request: ReleaseSemaphore) -> None:
        semaphore = self._open(call, request.name, request.permits)
        if semaphore is None:
            return
        if request.count < 1:
            text = f"{self.title(call)} was released {request.count} times; give a number of 1 or more"
            self._desk.refuse(call, Status.UNFIT, text)
            return
        self._desk.answer(call)
        own = [hold for hold in semaphore.holds if hold.party is call.party]
        own.sort(key=lambda hold: hold.lane != call.lane)  # Stable: of the same lane first, the oldest of them first.
        others = [hold for hold in semaphore.holds if hold.party is not call.party]
        for hold in (own + others)[: request.count]:
            semaphore.holds.remove(hold)
        semaphore.free += request.count
        self._serve(semaphore)

    def _return(self, call: Call, request: ReturnPermits) -> None:
        semaphore = self._open(call, request.name, request.permits)
        if semaphore is None:
            return
        left = [hold for hold in semaphore.holds if hold.party is call.party and hold.origin.is_of(request.test)]
        self._desk.answer(call, tuple(hold.origin.where for hold in left))
        for hold in left:
            self._take_back(semaphore, hold)

    def _serve(self, semaphore: _Semaphore) -> None:
        """Give what is free to those who wait."""
        self._desk.change()
        while semaphore.free and (call := semaphore.waiting.first) is not None:
            self._give(semaphore, call)

    def _give(self, semaphore: _Semaphore, call: Call) -> None:
        hold = Hold.of(call, self._desk.now)
        semaphore.free -= 1
        semaphore.holds.append(hold)
        inherited = semaphore.inherited.pop(0) if semaphore.inherited else ""
        self._desk.change()

        def undo() -> None:
            # Permits are all alike: who has released one meanwhile meant another one that its process has.
            own = [other for other in semaphore.holds if other.party is hold.party]
            if own:
                if inherited:
                    semaphore.inherited.insert(0, inherited)
                self._take_back(semaphore, hold if hold in own else own[0])

        self._desk.grant(call, inherited, undo)

    def _take_back(self, semaphore: _Semaphore, hold: Hold) -> None:
        semaphore.holds.remove(hold)
        semaphore.free += 1
        self._serve(semaphore)

    def bury(self, party: Party, how: str) -> None:
        """See `ObjectKind.bury`."""
        for semaphore in self._objects.values():
            for hold in [hold for hold in semaphore.holds if hold.party is party]:
                semaphore.inherited.append(explanations.inheritance(hold, how, semaphore.title))
                self._take_back(semaphore, hold)

    def title(self, call: Call) -> str:
        """See `ObjectKind.title`."""
        return f"semaphore {call.name!r}"

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        semaphore = self._objects[call.name]
        ahead = explanations.ahead(semaphore.waiting.before(call))
        if not semaphore.holds:
            return f"{self.title(call)} has no permit left, and nobody holds one{ahead}"
        held = explanations.holders(semaphore.holds, self._desk.now)
        return f"{self.title(call)} has no permit left; held by {held}{ahead}"

    def obstacles(self, call: Call) -> Obstacles:
        """See `ObjectKind.obstacles`."""
        holds = self._objects[call.name].holds
        return Obstacles(tuple(holds), is_one_enough=True)
