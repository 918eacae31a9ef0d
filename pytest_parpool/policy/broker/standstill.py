"""When nobody is left who could end a wait: for an event, say, that any process of the run might set.

Cycles are found by `waits_for`, because who has a lock is known. Who will set an event is not; but if every process
that belongs to the run does nothing but wait, without a timeout, then nobody will.

Theory of operation:

* A *runner* is a process that runs tests. Without workers that is the run's own process, and the watch looks by itself
  whenever somebody begins to wait, and once a second as long as that goes on: a child or thread may have ended. With
  workers the controller says who they are, when it has heard nothing for a while (``Silent``).
* All runners and all parties have to be blocked: each of their threads waits for the broker, and for nothing else. A
  loop's connection does not count, because its thread may do other things meanwhile. How many threads and children a
  process has is asked of the system when all else is known; a child has to be a party that is blocked, too.
* What was said before is heard first: waits have to be settled for a moment when they are looked at, and then one more
  moment passes. A runner that went on after the controller had looked has sent something, or waits since later.
* Locks that parties take by themselves are asked for anew (``is_current``), as for a cycle.

Those who wait for somebody who waits are not refused: when the other one has failed, it may be their turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from pytest_parpool.model.sync_moves import Inspect, Inspected, Inspection, PartyId, Silent
from pytest_parpool.model.sync_requests import Status
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.deadlines import Deadline
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.parties import Party

SETTLED_SECONDS: Final = 0.05  # Many times what a message takes that is under way.
LOOK_SECONDS: Final = 0.1
HEADING: Final = "nobody is left who could end these waits:"


class StandstillWatch:
    """Refuses waits that nobody is left to end.

    Args:
        desk: Where calls are answered.
        parties: Those that are alive.
        find_owner: Returns the run's own process; None if it uses no shared objects, as it does not with workers.
    """

    def __init__(self, desk: Desk, parties: Mapping[PartyId, Party], find_owner: Callable[[], Party | None]) -> None:
        self._desk = desk
        self._parties = parties
        self._find_owner = find_owner
        self._next_look: Deadline | None = None
        self._told: Silent | None = None
        self._inspecting: Silent | None = None

    def expect(self) -> None:
        """Note that somebody has begun to wait without a timeout."""
        if self._find_owner() is not None:
            self._look_at(self._desk.now + SETTLED_SECONDS)

    def handle_silent(self, silent: Silent) -> None:
        """Look soon: what was sent before may not have been read."""
        if self._told is None:  # else a look is planned for one whose moment is over sooner
            self._told = silent
            self._look_at(self._desk.now + SETTLED_SECONDS)

    def _look_at(self, at: float) -> None:
        if self._next_look is not None:
            if self._next_look.at <= at:
                return
            self._desk.deadlines.cancel(self._next_look)
        self._next_look = self._desk.deadlines.add(at, self._look)

    def _look(self) -> None:
        self._next_look = None
        told, self._told = self._told, None
        if told is not None:
            self._suspect(told)
        elif (owner := self._find_owner()) is not None:
            self._suspect(Silent((owner.pid,), self._desk.now))
            if owner.blocked:
                self._look_at(self._desk.now + LOOK_SECONDS)

    def _suspect(self, silent: Silent) -> None:
        """Find out more if as far as is known nobody can act."""
        calls = _blocked_calls(self._parties.values(), silent)
        if calls:
            self._are_current(calls)
            self._inspecting = silent
            self._desk.moves.append(Inspect(tuple(party.pid for party in self._parties.values())))

    def handle_inspected(self, inspected: Inspected) -> None:
        """Refuse those who wait in vain, if that is certain now."""
        silent, self._inspecting = self._inspecting, None
        if silent is None:
            return
        calls = _blocked_calls(self._parties.values(), silent)
        if calls and _are_blocked(self._parties.values(), inspected.processes) and self._are_current(calls):
            self._refuse(calls)

    def _are_current(self, calls: Sequence[Call]) -> bool:
        # All are asked at once, so that one more look is enough.
        return all([call.kind.is_current(call) for call in calls])  # noqa: C419

    def _refuse(self, calls: Sequence[Call]) -> None:
        lines = [f"{explanations.asker(call)}, {call.kind.describe_wait(call)}" for call in calls]
        text = "\n".join([HEADING, *lines])
        for call in _roots(calls) or calls:
            if call.is_waiting:  # else one that was refused before has made room for it
                self._desk.refuse(call, Status.DEADLOCK, text)
                call.kind.forget(call)


def _blocked_calls(parties: Iterable[Party], silent: Silent) -> list[Call]:
    """Return what all parties wait for, the first comers first; nothing if one of them, or a runner, may go on."""
    calls: list[Call] = []
    missing = set(silent.runners)
    for party in parties:
        blocked = party.blocked
        if not blocked:
            return []
        missing.discard(party.pid)
        calls += blocked
    settled_at = silent.at - SETTLED_SECONDS
    if missing or not all(call.timeout is None and call.since <= settled_at for call in calls):
        return []
    return sorted(calls, key=lambda call: call.order)


def _are_blocked(parties: Iterable[Party], processes: Iterable[Inspection]) -> bool:
    """Whether parties have no threads and no children but those that wait."""
    lanes = {party.pid: {call.lane for call in party.blocked} for party in parties}
    found = {process.pid: process for process in processes}
    return all(
        (process := found.get(pid)) is not None
        # A signal handler that waits inside of a wait has the same lane.
        and process.threads == len(waiting)
        and lanes.keys() >= set(process.children)
        for pid, waiting in lanes.items()
    )


def _roots(calls: Iterable[Call]) -> list[Call]:
    """Return those that wait for nobody who waits."""
    waiting = {call.lane for call in calls}
    return [call for call in calls if waiting.isdisjoint(hold.lane for hold in call.kind.obstacles(call).holds)]
