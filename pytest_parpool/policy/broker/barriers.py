"""Barriers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pytest_parpool.model.sync_requests import AbortBarrier, ReadBarrier, ResetBarrier, Status, WaitBarrier
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler
from pytest_parpool.policy.broker.sized import SizedKind, SizedObject
from pytest_parpool.policy.broker.waiting import WaitingList


class _Barrier(SizedObject):
    """One barrier; its size is how many have to come.

    Attributes:
        waiting: Who has come. A new list each time, so that it is known to which time a call belongs.
        broken: Why it is broken; empty if it is not.
    """

    __slots__ = ("broken", "waiting")

    noun: ClassVar[str] = "barrier"
    size_name: ClassVar[str] = "parties"

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size)
        self.waiting = WaitingList()
        self.broken = ""

    @property
    def is_waited_for(self) -> bool:
        """See `SizedObject.is_waited_for`."""
        return bool(self.waiting)


class Barriers(SizedKind[_Barrier]):
    """All barriers, as ``threading.Barrier``: who waits too long breaks it, and so does who dies while it waits."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, _Barrier)

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {WaitBarrier: self._wait, ResetBarrier: self._reset, AbortBarrier: self._abort, ReadBarrier: self._read}

    def _wait(self, call: Call, request: WaitBarrier) -> None:
        barrier = self._open(call, request.name, request.parties)
        if barrier is None:
            return
        if barrier.broken:
            self._desk.refuse(call, Status.BROKEN, barrier.broken)
        elif len(barrier.waiting) + 1 < barrier.size:
            self._desk.change()
            self._desk.wait(call, barrier.waiting, request.timeout)
        else:
            come, barrier.waiting = barrier.waiting, WaitingList()
            self._desk.change()
            for place, waiting in enumerate((*come, call)):
                self._desk.answer(waiting, place)

    def _reset(self, call: Call, request: ResetBarrier) -> None:
        barrier = self._open(call, request.name, request.parties)
        if barrier is None:
            return
        self._break(barrier, f"{barrier.title} was reset by {explanations.asker(call)}")
        barrier.broken = ""
        self._desk.answer(call)

    def _abort(self, call: Call, request: AbortBarrier) -> None:
        barrier = self._open(call, request.name, request.parties)
        if barrier is None:
            return
        self._break(barrier, f"{barrier.title} was aborted by {explanations.asker(call)}")
        self._desk.answer(call)

    def _read(self, call: Call, request: ReadBarrier) -> None:
        barrier = self._open(call, request.name, request.parties)
        if barrier is not None:
            self._desk.answer(call, (len(barrier.waiting), bool(barrier.broken)))

    def _break(self, barrier: _Barrier, why: str) -> None:
        """Refuse all who wait."""
        broken, barrier.waiting = barrier.waiting, WaitingList()
        barrier.broken = why
        self._desk.change()
        for waiting in broken:
            self._desk.refuse(waiting, Status.BROKEN, why)

    def time_out(self, call: Call) -> None:
        """See `ObjectKind.time_out`. The barrier is broken for the others."""
        barrier = self._objects[call.name]
        self._desk.refuse(call, Status.TIMED_OUT, self.explain(call))
        waited = explanations.seconds(self._desk.now - call.since)
        self._break(barrier, f"{barrier.title} is broken: {explanations.asker(call)}, waited for {waited}, too long")

    def forget(self, call: Call) -> None:
        """See `ObjectKind.forget`. An interrupted wait breaks nothing, as with threads."""
        self._desk.change()

    def lose(self, call: Call, how: str) -> None:
        """See `ObjectKind.lose`."""
        barrier = self._objects[call.name]
        if barrier.waiting is not call.place:
            return
        place = explanations.place_of(call.origin)
        lost = f"{explanations.death(call.party.name, how)} while it waited{' ' + place if place else ''}"
        self._break(barrier, f"{barrier.title} is broken: {lost}")

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        barrier = self._objects[call.name]
        others = [other for other in barrier.waiting if other is not call]
        waiting = (
            f"waited for by {explanations.waiters(others, self._desk.now)}" if others else "waited for by nobody else"
        )
        missing = barrier.size - len(others) - 1
        return f"{barrier.title} is {waiting}; {missing} of {barrier.size} did not come"

    def describe_wait(self, call: Call) -> str:
        """See `ObjectKind.describe_wait`. The others have lines of their own."""
        barrier = self._objects[call.name]
        return f"waits at {barrier.title} ({len(barrier.waiting)} of {barrier.size} have come)"
