"""Who can never be given what it waits for."""

from __future__ import annotations

import pytest

from pytest_parpool.model.sync_requests import AcquireLock
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.waits_for import find_deadlock
from tests.simulation.broker.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """A broker that refuses nobody: gw1 and gw2 wait for each other, and gw3, who came last, waits for gw1."""
    bench = Bench(slots=0)
    bench.broker._desk.look_for_deadlock = lambda call: None  # type: ignore[method-assign] # noqa: ARG005
    for connection, name in ((1, "a"), (2, "b"), (1, "b"), (2, "a"), (3, "a")):
        bench.ask(connection, AcquireLock(name, None))
    return bench


def call_of(bench: Bench, connection: int) -> Call:
    """Return what waits on a connection."""
    (call,) = bench.broker._connections[connection].waiting.values()  # type: ignore[index]
    return call


@pytest.mark.parametrize("start", [1, 2, 3])
def test_last_comer_of_the_circle_comes_first(bench: Bench, start: int) -> None:
    """Wherever one begins to look; who only waits for those in the circle is stuck, but not part of it."""
    deadlock = find_deadlock(call_of(bench, start), bench.broker._desk._calls_of_lane)
    assert deadlock is not None
    assert [call.party.name for call, _ in deadlock.edges] == ["gw2", "gw1"]
    assert [hold.name for _, hold in deadlock.edges] == ["gw1", "gw2"]
    assert {call.party.name for call in deadlock.stuck} == {"gw1", "gw2"} | {f"gw{start}"}


def test_who_has_a_timeout_is_not_stuck(bench: Bench) -> None:
    """Nor is who waits for it."""
    call_of(bench, 1).timeout = 5.0
    assert find_deadlock(call_of(bench, 1), bench.broker._desk._calls_of_lane) is None
    assert find_deadlock(call_of(bench, 3), bench.broker._desk._calls_of_lane) is None
