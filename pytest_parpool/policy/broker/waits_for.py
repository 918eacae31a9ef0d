"""Who can never be given what it waits for.

A call without a timeout is stuck if what it waits for can only come from lanes that are stuck: from one certain lane,
as with a lock, or from any of several, as with a semaphore. A lane is stuck if it waits, and only in calls that are.
The stuck calls are the greatest set for which that is true (Knapp, "Deadlock detection in distributed databases", 1987,
AND-OR model): all are taken for stuck, and those that are not are struck off until nothing changes.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

from pytest_parpool.policy.broker.calls import Call, Hold
from pytest_parpool.policy.broker.kinds import Obstacles
from pytest_parpool.policy.broker.parties import Lane


class Deadlock:
    """Calls that wait for each other for ever.

    Attributes:
        edges: A closed chain: each call, and who is in its way, whose call comes next. The first is of the last comer.
        stuck: All calls on which this depends.
    """

    __slots__ = ("edges", "stuck")

    def __init__(self, edges: Sequence[tuple[Call, Hold]], stuck: Sequence[Call]) -> None:
        self.edges = edges
        self.stuck = stuck


def find_deadlock(start: Call, calls_of: Callable[[Lane | None], Sequence[Call]]) -> Deadlock | None:
    """Return a deadlock that a call waits for, or is part of; None if it is not stuck.

    Args:
        start: A call that waits.
        calls_of: Returns what a lane waits for.
    """
    if start.timeout is not None:
        return None
    # As a rule nobody who is in its way waits, and that is all there is to know.
    for hold in start.kind.obstacles(start).holds:
        if calls_of(hold.lane):
            break
    else:
        return None
    obstacles = _reachable(start, calls_of)
    stuck = _stuck(obstacles, calls_of)
    if start not in stuck:
        return None
    ways: dict[Call, list[tuple[Hold, Call]]] = {
        call: [(hold, other) for hold in obstacles[call].holds for other in calls_of(hold.lane) if other in stuck]
        for call in stuck
    }
    latest_first = sorted(stuck, key=lambda call: call.order, reverse=True)
    # There is one: each stuck call leads to another one, so some of them lead back.
    edges = next(edges for call in latest_first if (edges := _way_back(call, ways)))
    return Deadlock(edges, latest_first)


def _reachable(start: Call, calls_of: Callable[[Lane | None], Sequence[Call]]) -> dict[Call, Obstacles]:
    """Return what is in the way of a call, of the calls of those who are, and so on."""
    obstacles: dict[Call, Obstacles] = {}
    todo = [start]
    while todo:
        call = todo.pop()
        if call in obstacles or call.timeout is not None:
            continue
        obstacles[call] = call.kind.obstacles(call)
        for hold in obstacles[call].holds:
            todo += calls_of(hold.lane)
    return obstacles


def _stuck(obstacles: dict[Call, Obstacles], calls_of: Callable[[Lane | None], Sequence[Call]]) -> set[Call]:
    stuck = set(obstacles)

    def is_stuck(hold: Hold) -> bool:
        calls = calls_of(hold.lane)
        return bool(calls) and all(call in stuck for call in calls)

    while True:
        free = set()
        for call in stuck:
            holds = obstacles[call].holds
            decide = all if obstacles[call].is_one_enough else any
            if not holds or not decide(is_stuck(hold) for hold in holds):
                free.add(call)
        if not free:
            return stuck
        stuck -= free


def _way_back(start: Call, ways: dict[Call, list[tuple[Hold, Call]]]) -> list[tuple[Call, Hold]]:
    """Return the shortest chain from a call to itself; empty if there is none."""
    came_from: dict[Call, tuple[Call, Hold]] = {}
    todo = collections.deque([start])
    while todo:
        call = todo.popleft()
        for hold, other in ways[call]:
            if other in came_from:
                continue
            came_from[other] = (call, hold)
            if other is start:
                edges = [came_from[start]]
                while edges[-1][0] is not start:
                    edges.append(came_from[edges[-1][0]])
                return edges[::-1]
            todo.append(other)
    return []
