"""Barriers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pytest_parpool.model.sync_requests import AbortBarrier, ReadBarrier, ResetBarrier, Status, WaitBarrier
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind
from pytest_parpool.policy.broker.waiting import WaitingList

_Request: TypeAlias = WaitBarrier | ResetBarrier | AbortBarrier | ReadBarrier


class _Barrier:
    """One barrier.

    Attributes:
        waiting: Who has come. A new list each time, so that it is known to which time a call belongs.
        broken: Why it is broken; empty if it is not.
    """

    __slots__ = ("broken", "name", "parties", "waiting")

    def __init__(self, name: str, parties: int) -> None:
        self.name = name
        self.parties = parties
        self.waiting = WaitingList()
        self.broken = ""


class Barriers(ObjectKind):
    """All barriers, as ``threading.Barrier``: who waits too long breaks it, and so does who dies while it waits."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._barriers: dict[str, _Barrier] = {}

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {WaitBarrier: self._wait, ResetBarrier: self._reset, AbortBarrier: self._abort, ReadBarrier: self._read}

    def forget_name(self, name: str) -> None:
        """See `ObjectKind.forget_name`."""
        barrier = self._barriers.get(name)
        if barrier is not None and not barrier.waiting:
            del self._barriers[name]

    def _wait(self, call: Call, request: WaitBarrier) -> None:
        barrier = self._barrier(call, request)
        if barrier is None:
            return
        if barrier.broken:
            self._desk.refuse(call, Status.BROKEN, barrier.broken)
        elif len(barrier.waiting) + 1 < barrier.parties:
            self._desk.change()
            self._desk.wait(call, barrier.waiting, request.timeout)
        else:
            come, barrier.waiting = barrier.waiting, WaitingList()
            self._desk.change()
            for place, waiting in enumerate((*come, call)):
                self._desk.answer(waiting, place)

    def _reset(self, call: Call, request: ResetBarrier) -> None:
        barrier = self._barrier(call, request)
        if barrier is None:
            return
        self._break(barrier, f"{_title(barrier)} was reset by {explanations.asker(call)}")
        barrier.broken = ""
        self._desk.answer(call)

    def _abort(self, call: Call, request: AbortBarrier) -> None:
        barrier = self._barrier(call, request)
        if barrier is None:
            return
        self._break(barrier, f"{_title(barrier)} was aborted by {explanations.asker(call)}")
        self._desk.answer(call)

    def _read(self, call: Call, request: ReadBarrier) -> None:
        barrier = self._barrier(call, request)
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
        barrier = self._barriers[call.name]
        self._desk.refuse(call, Status.TIMED_OUT, self.explain(call))
        waited = explanations.seconds(self._desk.now - call.since)
        self._break(barrier, f"{_title(barrier)} is broken: {explanations.asker(call)}, waited for {waited}, too long")

    def forget(self, call: Call) -> None:
        """See `ObjectKind.forget`. An interrupted wait breaks nothing, as with threads."""
        self._desk.change()

    def lose(self, call: Call, how: str) -> None:
        """See `ObjectKind.lose`."""
        barrier = self._barriers[call.name]
        if barrier.waiting is not call.place:
            return
        place = explanations.place_of(call.origin)
        lost = f"{explanations.death(call.party.name, how)} while it waited{' ' + place if place else ''}"
        self._break(barrier, f"{_title(barrier)} is broken: {lost}")

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        barrier = self._barriers[call.name]
        others = [other for other in barrier.waiting if other is not call]
        waiting = (
            f"waited for by {explanations.waiters(others, self._desk.now)}" if others else "waited for by nobody else"
        )
        missing = barrier.parties - len(others) - 1
        return f"{_title(barrier)} is {waiting}; {missing} of {barrier.parties} did not come"

    def describe_wait(self, call: Call) -> str:
        """See `ObjectKind.describe_wait`. The others have lines of their own."""
        barrier = self._barriers[call.name]
        return f"waits at {_title(barrier)} ({len(barrier.waiting)} of {barrier.parties} have come)"

    def _barrier(self, call: Call, request: _Request) -> _Barrier | None:
        """Return a barrier, new if need be, or refuse the call and return None."""
        barrier = self._barriers.get(request.name)
        if barrier is None:
            barrier = self._barriers[request.name] = _Barrier(request.name, request.parties)
        elif barrier.parties != request.parties:
            text = explanations.mismatch(_title(barrier), "parties", barrier.parties, request.parties)
            self._desk.refuse(call, Status.MISMATCH, text)
            return None
        return barrier


def _title(barrier: _Barrier) -> str:
    return f"barrier {barrier.name!r}"
