"""Waits that nobody is left to end are refused; as long as anybody might, they are not."""

from __future__ import annotations

import pytest

from pytest_parpool.model.sync_moves import Holder, Inspect, Inspected, Inspection
from pytest_parpool.model.sync_requests import (
    AcquireLock,
    AcquireReadWrite,
    AcquireSemaphore,
    AwaitChange,
    BeginOnce,
    EnlistCondition,
    GetFromQueue,
    JoinQueue,
    PutOnQueue,
    Request,
    SetEvent,
    Status,
    WaitBarrier,
    WaitCondition,
    WaitEvent,
)
from pytest_parpool.policy.broker.standstill import HEADING, LOOK_SECONDS, SETTLED_SECONDS
from tests.simulation.broker.bench import Bench

FOR_EVER = WaitEvent("e", None)


@pytest.fixture
def bench() -> Bench:
    """A broker with gw1 and gw2; the third one is not there."""
    bench = Bench()
    bench.die(3)
    return bench


def wait(bench: Bench, connection: int, request: Request = FOR_EVER, *, lane: int | None = None) -> tuple[int, int]:
    """Have somebody wait, and time pass until that is settled."""
    key = bench.ask(connection, request, lane=lane)
    bench.wait(1.0)
    assert bench.status(key) is None
    return key


def test_all_who_wait_are_refused_and_told_of_each_other(bench: Bench) -> None:
    """One line for each, under a heading."""
    keys = [wait(bench, 1, WaitBarrier("b", 3, None)), wait(bench, 2, WaitBarrier("b", 3, None))]
    bench.be_silent(1, 2)
    for key in keys:
        assert bench.text(key, Status.DEADLOCK).splitlines() == [
            "nobody is left who could end these waits:",
            "gw1, in test_1 (call) at a.py:1, waits at barrier 'b' (2 of 3 have come)",
            "gw2, in test_2 (call) at a.py:2, waits at barrier 'b' (2 of 3 have come)",
        ]


@pytest.mark.parametrize(
    ("before", "request_", "plight"),
    [
        ([], WaitEvent("x", None), "waits: event 'x' was never set"),
        ([], WaitBarrier("x", 2, None), "waits at barrier 'x' (1 of 2 have come)"),
        ([], GetFromQueue("x", 0, None), "waits: queue 'x' is empty; nothing was ever put on it"),
        ([PutOnQueue("x", 1, ("plain", 1), None)], PutOnQueue("x", 1, ("plain", 1), None), "waits: queue 'x' is full"),
        ([PutOnQueue("x", 0, ("plain", 1), None)], JoinQueue("x", 0, None), "waits: queue 'x' has unfinished tasks: 1"),
        ([EnlistCondition("x")], WaitCondition("x", 1, None), "waits: condition 'x' was not notified"),
        ([SetEvent("x")], AwaitChange(1, None), "waits: nothing has changed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_wait_that_concerns_nobody_in_particular(
    bench: Bench, before: list[Request], request_: Request, plight: str
) -> None:
    """It is refused, with what can be said about its object."""
    for request in before:
        bench.ask(1, request)
    key = wait(bench, 1, request_)
    bench.die(2)
    bench.be_silent(1)
    assert bench.text(key, Status.DEADLOCK).splitlines()[1].startswith(f"gw1, in test_1 (call) at a.py:1, {plight}")


def test_who_was_refused_can_go_on(bench: Bench) -> None:
    """It does not count any more, and what comes later is another story."""
    wait(bench, 1, WaitBarrier("b", 2, None))
    wait(bench, 2)
    bench.be_silent(1, 2)
    place = bench.ask(1, WaitBarrier("b", 2, None))
    assert bench.value(bench.ask(2, WaitBarrier("b", 2, None))) == 1
    assert bench.value(place) == 0


# --- Locks and the like -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "take",
    [
        AcquireLock("x", None),
        AcquireSemaphore("x", 1, None),
        AcquireReadWrite("x", True, None),
        BeginOnce("x", None),
    ],
    ids=lambda request: type(request).__name__,
)
def test_who_waits_for_somebody_who_waits_is_spared(bench: Bench, take: Request) -> None:
    """When the other one has failed, and let go, it may be the one that does what was waited for."""
    bench.value(bench.ask(1, take))
    waits_for_gw1 = wait(bench, 2, take)
    waits_in_vain = wait(bench, 1)
    bench.be_silent(1, 2)
    assert len(bench.text(waits_in_vain, Status.DEADLOCK).splitlines()) == 3
    assert bench.status(waits_for_gw1) is None
    bench.die(1)
    assert bench.status(waits_for_gw1) is Status.DONE


def test_a_lock_of_a_thread_that_has_ended(bench: Bench) -> None:
    """No cycle is there, but nobody will ever let it go."""
    bench.value(bench.ask(1, AcquireLock("x", None), lane=77))
    key = wait(bench, 1, AcquireLock("x", None))
    bench.die(2)
    bench.be_silent(1)
    assert "waits: lock 'x' is held by gw1, in test_77" in bench.text(key, Status.DEADLOCK)


def test_waits_that_lead_in_a_circle_that_is_no_deadlock(bench: Bench) -> None:
    """A permit of a thread that has ended could be released by anybody; if nobody is left, all are refused."""
    bench.ask(1, AcquireSemaphore("s", 2, None))
    bench.ask(2, AcquireSemaphore("s", 2, None), lane=77)
    bench.ask(2, AcquireReadWrite("rw", True, None))
    keys = [wait(bench, 2, AcquireSemaphore("s", 2, None)), wait(bench, 1, AcquireReadWrite("rw", True, None))]
    bench.be_silent(1, 2)
    for key in keys:
        assert bench.text(key, Status.DEADLOCK).startswith(HEADING)


def test_a_lock_that_was_let_go_without_a_word(bench: Bench) -> None:
    """Before anybody is refused it is asked who has it now: who waits for it gets it."""
    bench.alone[0] = Holder("gw1", 101, bench.origin(77), bench.now)
    key = bench.ask(1, AcquireLock("x", None))
    bench.now += 0.5
    del bench.alone[0]
    bench.now += SETTLED_SECONDS
    bench.die(2)
    bench.be_silent(1)
    assert bench.status(key) is Status.DONE


def test_one_that_was_refused_makes_room_for_another() -> None:
    """Behind a writer that gives up a reader goes in, and is not refused."""
    bench = Bench()
    bench.ask(1, AcquireReadWrite("rw", False, None))
    bench.ask(3, AcquireSemaphore("s", 2, None))
    bench.ask(1, AcquireSemaphore("s", 2, None), lane=77)
    writer = wait(bench, 2, AcquireReadWrite("rw", True, None))
    reader = wait(bench, 3, AcquireReadWrite("rw", False, None))
    for_a_permit = wait(bench, 1, AcquireSemaphore("s", 2, None))
    bench.be_silent(1, 2, 3)
    assert bench.status(writer) is bench.status(for_a_permit) is Status.DEADLOCK
    assert bench.status(reader) is Status.DONE


# --- Somebody might act -----------------------------------------------------------------------------------------------


def test_a_runner_that_does_not_wait(bench: Bench) -> None:
    """It might do anything."""
    key = wait(bench, 1)
    bench.be_silent(1, 2)
    assert bench.status(key) is None


def test_a_runner_that_uses_no_shared_objects(bench: Bench) -> None:
    """It might begin to."""
    key = wait(bench, 1)
    bench.die(2)
    bench.be_silent(1, 3)
    assert bench.status(key) is None


def test_a_child_that_does_not_wait(bench: Bench) -> None:
    """It is no runner, but it is there."""
    key = wait(bench, 1)
    bench.be_silent(1)
    assert bench.status(key) is None
    wait(bench, 2)
    bench.be_silent(1)
    assert bench.status(key) is Status.DEADLOCK


def test_a_wait_with_a_timeout(bench: Bench) -> None:
    """It ends, and whoever waited goes on."""
    key = wait(bench, 1)
    timed = wait(bench, 2, WaitEvent("e", 60.0))
    bench.be_silent(1, 2)
    assert bench.status(key) is bench.status(timed) is None


def test_an_event_loop_that_waits(bench: Bench) -> None:
    """Its thread does other things meanwhile."""
    bench.join(8, 1, is_blocking=False)
    key = wait(bench, 8)
    bench.die(2)
    bench.be_silent(1)
    assert bench.status(key) is None


def test_an_event_loop_whose_thread_waits(bench: Bench) -> None:
    """Then its tasks cannot go on, also if their time is over; they are not refused."""
    bench.join(8, 1, is_blocking=False)
    in_loop = wait(bench, 8, WaitEvent("e", 60.0), lane=8)
    key = wait(bench, 1)
    bench.die(2)
    bench.be_silent(1)
    assert bench.status(key) is Status.DEADLOCK
    assert bench.status(in_loop) is None


@pytest.mark.parametrize(
    "said",
    [None, Inspection(101, 2, ()), Inspection(101, 1, (4711,))],
    ids=["nothing is known", "another thread", "another child"],
)
def test_what_the_system_says(bench: Bench, said: Inspection | None) -> None:
    """A thread or a child that does not wait might act."""
    key = wait(bench, 1)
    bench.die(2)
    bench.system[101] = said
    bench.be_silent(1)
    assert bench.status(key) is None
    del bench.system[101]
    bench.be_silent(1)
    assert bench.status(key) is Status.DEADLOCK


def test_threads_and_children_that_wait_themselves(bench: Bench) -> None:
    """They are no help."""
    bench.join(8, 1)
    keys = [wait(bench, 1), wait(bench, 8, lane=8), wait(bench, 2)]
    bench.system[101] = Inspection(101, 2, (102,))
    bench.be_silent(1)
    assert [bench.status(key) for key in keys] == [Status.DEADLOCK] * 3


def test_a_signal_handler_that_waits_inside_of_a_wait(bench: Bench) -> None:
    """Two waits, but one thread."""
    bench.join(8, 1)
    keys = [wait(bench, 1), wait(bench, 8, lane=1)]
    bench.die(2)
    bench.be_silent(1)
    assert [bench.status(key) for key in keys] == [Status.DEADLOCK] * 2


# --- What is known may be old -----------------------------------------------------------------------------------------


def test_who_waits_since_later_than_the_look(bench: Bench) -> None:
    """It did something in between: others may be there now."""
    key = wait(bench, 1)
    wait(bench, 2)
    bench.be_silent(1, 2, ago=2 - SETTLED_SECONDS / 2)
    assert bench.status(key) is None


def test_what_comes_soon_after_is_heard(bench: Bench) -> None:
    """What was under way when the controller looked arrives before anybody is refused."""
    key = wait(bench, 1)
    wait(bench, 2)
    bench.join(8, 4)
    bench.tell_silence(1, 2)
    bench.ask(8, SetEvent("e"))
    bench.wait(1.0)
    assert bench.status(key) is Status.DONE


def test_what_is_said_twice(bench: Bench) -> None:
    """The second time does not put off the look, nor does the first look take place for the second time's sake."""
    key = wait(bench, 1)
    bench.die(2)
    bench.tell_silence(1)
    bench.now += SETTLED_SECONDS / 2
    bench.tell_silence(1, 2)
    bench.wait(SETTLED_SECONDS / 2)
    assert bench.status(key) is Status.DEADLOCK


def test_findings_that_nobody_asked_for(bench: Bench) -> None:
    """They change nothing."""
    key = wait(bench, 1)
    bench.die(2)
    bench.tell(Inspected((Inspection(101, 1, ()),)))
    assert bench.status(key) is None


def test_nothing_is_asked_of_the_system_while_somebody_runs(bench: Bench) -> None:
    """It would be asked once a second."""
    wait(bench, 1)
    bench.be_silent(1, 2)
    assert not [move for move in bench.moves if isinstance(move, Inspect)]


# --- Without workers --------------------------------------------------------------------------------------------------


@pytest.fixture
def lone() -> Bench:
    """A broker whose run has no workers: gw1 is the run's own process, gw2 its child."""
    bench = Bench(owner_pid=101)
    bench.die(3)
    return bench


def test_without_workers_it_is_seen_at_once(lone: Bench) -> None:
    """Nobody has to say that there is silence."""
    lone.die(2)
    key = lone.ask(1, FOR_EVER)
    assert lone.status(key) is None
    lone.wait(SETTLED_SECONDS)
    assert lone.text(key, Status.DEADLOCK).startswith(HEADING)


def test_without_workers_a_child_may_end_later(lone: Bench) -> None:
    """As long as somebody waits it is looked again and again, and not afterwards."""
    key = lone.ask(1, FOR_EVER)
    for _ in range(3):
        lone.wait(LOOK_SECONDS)
        assert lone.status(key) is None
    lone.die(2)
    lone.wait(LOOK_SECONDS)
    assert lone.status(key) is Status.DEADLOCK
    lone.wait(LOOK_SECONDS)
    assert lone.broker.next_deadline() is None


def test_without_workers_whoever_comes_last_is_looked_at_soon(lone: Bench) -> None:
    """Also if the next look is due much later."""
    key = lone.ask(1, FOR_EVER)
    lone.wait(SETTLED_SECONDS)
    childs = lone.ask(2, FOR_EVER)
    lone.wait(SETTLED_SECONDS)
    assert lone.status(key) is lone.status(childs) is Status.DEADLOCK


def test_without_workers_a_child_alone_is_not_looked_at(lone: Bench) -> None:
    """The run's own process, which does not use shared objects itself, goes on."""
    lone.die(1)
    lone.ask(2, FOR_EVER)
    assert lone.broker.next_deadline() is None


def test_without_workers_those_who_come_together_are_looked_at_once(lone: Bench) -> None:
    """One look is planned, and by then all have settled, or there is another one."""
    keys = [lone.ask(1, FOR_EVER), lone.ask(2, FOR_EVER)]
    lone.wait(SETTLED_SECONDS)
    assert [lone.status(key) for key in keys] == [Status.DEADLOCK] * 2
    assert len([move for move in lone.moves if isinstance(move, Inspect)]) == 1


def test_without_workers_nobody_is_left_to_look_at(lone: Bench) -> None:
    """The run's own process dies before the look; the child that it leaves behind is not of interest."""
    lone.ask(1, FOR_EVER)
    key = lone.ask(2, FOR_EVER)
    lone.die(1)
    lone.wait(LOOK_SECONDS)
    assert lone.status(key) is None
    assert lone.broker.next_deadline() is None


def test_without_workers_what_ends_meanwhile_is_not_looked_at(lone: Bench) -> None:
    """The look that was planned finds nothing, and there is no other."""
    key = lone.ask(1, FOR_EVER)
    lone.ask(2, SetEvent("e"))
    lone.wait(SETTLED_SECONDS)
    assert lone.status(key) is Status.DONE
    assert lone.broker.next_deadline() is None
