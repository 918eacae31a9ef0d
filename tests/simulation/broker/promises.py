"""What must hold in every run, checked as it happens. Knows nothing of how the broker works."""

from __future__ import annotations

import collections
from typing import Any

from pytest_parpool.model.sync_requests import (
    AcquireLock,
    AcquireReadWrite,
    AcquireSemaphore,
    BeginOnce,
    GetFromQueue,
    PutOnQueue,
    WaitBarrier,
)
from tests.simulation.promises import promise

# Of these, who came first is served first. (A barrier serves all at once, in the order of their places.)
FAIR = (AcquireLock, AcquireSemaphore, AcquireReadWrite, BeginOnce, GetFromQueue, PutOnQueue)


class Ledger:
    """What has happened in a run: who is inside what, and who waits for what in which order."""

    def __init__(self) -> None:
        self.inside: dict[tuple[str, str], dict[Any, str]] = collections.defaultdict(dict)
        self.put: set[int] = set()
        self.got: set[int] = set()
        self.given: dict[int, int] = {}
        self._waiting: dict[tuple[type[Any], str], list[tuple[int, int]]] = collections.defaultdict(list)
        self._abandoned: set[tuple[int, int]] = set()
        self._objects: dict[tuple[int, int], Any] = {}
        self._orphaned: set[str] = set()
        self._outcomes: set[str] = set()

    # --- What processes do -------------------------------------------------------------------------------------------

    def enter(self, lane: Any, kind: str, name: str, *, way: str = "", limit: int = 1, told: str = "") -> None:
        """Note that a lane goes into what only ``limit`` may be in at once, and what it was told of the dead."""
        inside = self.inside[kind, name]
        if way == "read":
            promise("write" not in inside.values(), f"{lane} reads {name} while somebody writes")
        else:
            promise(len(inside) < limit, f"{lane} enters {kind} {name} while {list(inside)} are in it")
        inside[lane] = way
        if kind == "lock" and name in self._orphaned:
            promise(bool(told), f"{lane} was not told that somebody died with {name}")
            self._orphaned.discard(name)
        if kind == "once":
            promise(name not in self._outcomes, f"{lane} runs {name} though it was run")

    def leave(self, lane: Any, kind: str, name: str) -> None:
        """Note that a lane goes out again."""
        del self.inside[kind, name][lane]

    def die(self, lane: Any) -> None:
        """Note that a lane is no more."""
        for (kind, name), inside in self.inside.items():
            if lane in inside:
                del inside[lane]
                if kind == "lock":
                    self._orphaned.add(name)

    def end_once(self, name: str) -> None:
        """Note that something was run."""
        self._outcomes.add(name)

    # --- What the broker is told and says ----------------------------------------------------------------------------

    def ask(self, connection: int, number: int, request: Any) -> None:
        """Note that a request has reached the broker."""
        self._objects[connection, number] = request
        if isinstance(request, FAIR):
            self._waiting[type(request), request.name].append((connection, number))

    def answer(self, connection: int, number: int, *, is_done: bool) -> Any:
        """Note that it was answered; return the request."""
        request = self._objects.pop((connection, number), None)
        promise(request is not None, f"request {number} of connection {connection} is answered, but does not wait")
        if isinstance(request, FAIR):
            waiting = self._waiting[type(request), request.name]
            first = waiting[0] == (connection, number)
            promise(first or not is_done, f"{request} is granted before one that came earlier")
            waiting.remove((connection, number))
        return request

    def abandon(self, connection: int, number: int) -> None:
        """Note that a request is abandoned, which may not have come yet."""
        self._abandoned.add((connection, number))
        self.forget(connection, number)

    def forget_abandoned(self, connection: int, number: int) -> None:
        """Note that a request has been handled; if it was abandoned before it came, it does not wait."""
        if (connection, number) in self._abandoned:
            self.forget(connection, number)

    def forget(self, connection: int, number: int | None = None) -> None:
        """Note that the answer to a request, or to all of a connection, is not wanted any more."""
        for key in [key for key in self._objects if key[0] == connection and number in {None, key[1]}]:
            request = self._objects.pop(key)
            if isinstance(request, FAIR):
                self._waiting[type(request), request.name].remove(key)

    def is_open(self, pending: tuple[int, int] | None) -> bool:
        """Whether a request has reached the broker and is not answered."""
        return pending in self._objects

    def check_deadlock(self, last: Any) -> None:
        """See that a lane that waits for a lock really waits for itself."""
        lane, seen = last, {last}
        while True:
            holders = list(self.inside["lock", lane.wants.name])
            promise(bool(holders), f"{last} is said to be in a deadlock, but nobody has {lane.wants.name}")
            (lane,) = holders
            if lane is last:
                return
            is_stuck = lane not in seen and self.is_open(lane.pending) and lane.wants.timeout is None
            promise(is_stuck, f"{last} is said to be in a deadlock with {lane}, which is not stuck")
            seen.add(lane)

    def check_barriers(self, answered: list[tuple[Any, Any]]) -> None:
        """See that those let through a barrier by one notice are as many as it is for, each in a place of its own."""
        places = collections.defaultdict(list)
        parties = {}
        for request, place in answered:
            if isinstance(request, WaitBarrier):
                places[request.name].append(place)
                parties[request.name] = request.parties
        for name, seen in places.items():
            promise(
                sorted(seen) == list(range(parties[name])), f"barrier {name} of {parties[name]} lets {seen} through"
            )

    def check_end(self, left: set[int], dead: set[int]) -> None:
        """See that nothing that was put on the queue is lost, or was got twice; what the dead got may be."""
        got_by_the_dead = {task for task, party in self.given.items() if party in dead}
        lost = self.put - self.got - got_by_the_dead - left
        promise(not lost, f"{lost} were put on the queue, and nobody got them")
        promise(not self.got & left, f"{self.got & left} were got, and are still on the queue")
