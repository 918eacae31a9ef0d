"""Who is there: connections and parties, in whichever order they come and go; changes; and what is remembered."""

from __future__ import annotations

from pytest_parpool.model.sync_moves import Joined
from pytest_parpool.model.sync_requests import (
    AcquireLock,
    AwaitChange,
    GetFromQueue,
    IsEventSet,
    OpenValue,
    PutOnQueue,
    ReleaseLock,
    SetEvent,
    SetValue,
    Status,
)
from pytest_parpool.policy.broker.deadlines import MOST_CANCELLED, Deadlines
from pytest_parpool.policy.broker.parties import GRANTS_KEPT, PARTED_KEPT
from tests.simulation.broker.bench import Bench

ACQUIRE = AcquireLock("db", None)


def test_unknown_connections_and_parties_change_nothing() -> None:
    """Whatever is said of them, in whichever order."""
    bench = Bench()
    unknown = bench.ask(77, SetEvent("e"))
    bench.part(77)
    bench.part(77)
    bench.abandon((77, 1))
    bench.die(77)
    bench.wait(1.0)
    assert bench.status(unknown) is None
    assert bench.value(bench.ask(1, IsEventSet("e"))) is False
    assert bench.broker.party_count == 3


def test_the_dead_do_not_come_back() -> None:
    """A connection that a process had opened before it died may be seen later; nothing comes of it."""
    bench = Bench()
    bench.die(1)
    bench.join(5, 1)
    assert bench.status(bench.ask(5, ACQUIRE)) is None
    assert bench.status(bench.ask(1, ACQUIRE)) is None
    bench.die(1)
    assert bench.broker.party_count == 2
    assert bench.status(bench.ask(2, ACQUIRE)) is Status.DONE


def test_connection_that_joins_twice() -> None:
    """The second word changes nothing."""
    bench = Bench()
    bench.join(1, 9)
    assert bench.broker.party_count == 3


def test_what_a_party_holds_outlives_its_connection() -> None:
    """A thread may end while its process goes on."""
    bench = Bench()
    bench.ask(1, ACQUIRE)
    bench.part(1)
    waiting = bench.ask(2, ACQUIRE)
    assert bench.status(waiting) is None
    bench.die(1)
    assert bench.status(waiting) is Status.DONE


def test_process_id_that_is_used_again() -> None:
    """The notes of a new process are not the old one's, though its death is known later than the new one's birth."""
    bench = Bench()
    bench.tell(Joined(connection=8, party=8, pid=101, name="gw8"))  # type: ignore[arg-type]
    bench.die(1)
    bench.ask(8, AcquireLock("other", None))
    bench.alone[1] = bench.holder(1)
    waiting = bench.ask(8, AcquireLock("alone", None), lane=1)
    assert "held by gw1" in bench.text(waiting, Status.DEADLOCK)


def test_number_that_waits_already() -> None:
    """The same request cannot wait twice."""
    bench = Bench()
    bench.ask(1, ACQUIRE)
    waiting = bench.ask(2, ACQUIRE)
    bench._numbers -= 1
    bench.ask(2, SetEvent("e"))
    assert bench.status(waiting) is None


def test_abandoned_request_that_was_no_grant() -> None:
    """What was done at once is done; and only a lane's last grant can be undone."""
    bench = Bench()
    bench.abandon(bench.ask(1, SetEvent("e")))
    assert bench.value(bench.ask(1, IsEventSet("e"))) is True
    early = bench.ask(1, AcquireLock("a", None))
    bench.ask(1, AcquireLock("b", None))
    bench.abandon(early)
    assert bench.status(bench.ask(2, AcquireLock("a", 0))) is Status.TIMED_OUT


def test_grant_that_is_over_is_not_undone() -> None:
    """Somebody else has it by now: anyone may have released it."""
    bench = Bench()
    first = bench.ask(1, ACQUIRE)
    second = bench.ask(2, ACQUIRE)
    bench.ask(3, ReleaseLock("db"))
    bench.abandon(first)
    assert bench.status(second) is Status.DONE
    assert bench.status(bench.ask(3, AcquireLock("db", 0))) is Status.TIMED_OUT


def test_connection_on_which_nothing_happened() -> None:
    """Nothing of it is remembered."""
    bench = Bench()
    bench.part(1)
    assert not bench.broker._parties[1].parted  # type: ignore[index]


def test_connection_abandoned_before_it_was_heard_of() -> None:
    """The word on the new connection may overtake the first on the old one."""
    bench = Bench()
    bench.abandon((9, bench._numbers + 1))
    bench.join(9, 1)
    bench.ask(9, ACQUIRE)
    assert bench.status(bench.ask(2, ACQUIRE)) is Status.DONE


def test_memory_is_bounded() -> None:
    """Tasks and threads that come and go, and words of what is unknown, are not remembered for ever."""
    bench = Bench()
    for lane in range(3 * GRANTS_KEPT):
        bench.ask(1, PutOnQueue("q", 0, ("plain", lane), None))
        bench.ask(1, GetFromQueue("q", 0, None), lane=lane)
    assert len(bench.broker._connections[1].grants) == GRANTS_KEPT  # type: ignore[index]
    for connection in range(100, 100 + 3 * PARTED_KEPT):
        bench.join(connection, 1)
        bench.ask(connection, AcquireLock(f"lock {connection}", None))
        bench.part(connection)
        bench.abandon((5_000 + connection, 1))
    assert len(bench.broker._parties[1].parted) == PARTED_KEPT  # type: ignore[index]
    assert len(bench.broker._abandoned_early) <= PARTED_KEPT
    for party in range(10, 200):
        bench.join(party, party)
        bench.die(party)
    assert len(bench.broker._deaths) < 100
    assert bench.broker.party_count == 3


def test_change_is_told_once_for_each_notice() -> None:
    """Who has seen all waits for the next; what changes nothing is none."""
    bench = Bench()
    seen = bench.value(bench.ask(1, AwaitChange(-1, None)))
    waiting = bench.ask(1, AwaitChange(seen, None))
    bench.ask(2, IsEventSet("e"))
    assert bench.status(waiting) is None
    bench.ask(2, OpenValue("v", ("plain", 1)))
    assert bench.value(waiting) == seen + 1
    bench.ask(2, SetValue("v", ("plain", 1)))
    assert bench.value(bench.ask(1, AwaitChange(seen + 1, 0))) == seen + 2
    assert bench.text(bench.ask(1, AwaitChange(seen + 2, 0)), Status.TIMED_OUT) == "nothing has changed"


def test_deadlines_come_in_order_and_can_be_cancelled() -> None:
    """Each is done once, the next one first; cancelled ones do not gather."""
    deadlines = Deadlines()
    done: list[str] = []
    late = deadlines.add(2.0, lambda: done.append("late"))
    deadlines.add(1.0, lambda: done.append("first"))
    deadlines.add(1.0, lambda: done.append("second"))
    assert deadlines.next() == 1.0
    deadlines.run_due(1.5)
    assert done == ["first", "second"]
    deadlines.cancel(late)
    deadlines.cancel(late)
    assert deadlines.next() is None
    kept = deadlines.add(9.0, lambda: done.append("kept"))
    for _ in range(3 * MOST_CANCELLED):
        deadlines.cancel(deadlines.add(10.0, done.clear))
    assert len(deadlines._heap) <= 2 * MOST_CANCELLED
    deadlines.run_due(20.0)
    assert done == ["first", "second", "kept"]
    deadlines.cancel(kept)
    assert deadlines.next() is None
