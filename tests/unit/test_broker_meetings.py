"""Barriers, queues, once and conditions: processes that need each other, and what becomes of them when one dies."""

from __future__ import annotations

import pytest

from pytest_parpool.model.sync_moves import Try
from pytest_parpool.model.sync_requests import (
    AbortBarrier,
    AcquireLock,
    BeginOnce,
    EndOnce,
    EnlistCondition,
    GetFromQueue,
    JoinQueue,
    NotifyCondition,
    OpenLock,
    Payload,
    PutOnQueue,
    ReadBarrier,
    ReadQueue,
    ReleaseLock,
    ResetBarrier,
    Status,
    TaskDone,
    WaitBarrier,
    WaitCondition,
)
from tests.simulation.broker.bench import Bench

MEET = WaitBarrier("b", 3, None)
READ_BARRIER = ReadBarrier("b", 3)
GET = GetFromQueue("q", 0, None)
READ_QUEUE = ReadQueue("q", 0)
DONE = TaskDone("q", 0)
JOIN = JoinQueue("q", 0, None)


def put(value: object) -> PutOnQueue:
    """Return the request to put something on the queue."""
    return PutOnQueue("q", 0, ("plain", value), None)


# --- Barriers ---------------------------------------------------------------------------------------------------------


def test_barrier_lets_all_through_at_once_and_again() -> None:
    """Each has the place in which it came; then the barrier is as new."""
    bench = Bench()
    for _ in range(2):
        keys = [bench.ask(number, MEET) for number in (2, 1, 3)]
        assert [bench.value(key) for key in keys] == [0, 1, 2]
        assert bench.value(bench.ask(1, READ_BARRIER)) == (0, False)
    assert bench.value(bench.ask(1, WaitBarrier("alone", 1, None))) == 0


def test_barrier_is_broken_by_who_waits_too_long() -> None:
    """That one is told who is missing, the others who it was; it stays broken until it is reset."""
    bench = Bench()
    other = bench.ask(1, MEET)
    bench.now += 1.0
    late = bench.ask(2, WaitBarrier("b", 3, 2.0))
    assert bench.value(bench.ask(3, READ_BARRIER)) == (2, False)
    bench.wait(2.0)
    assert bench.text(late, Status.TIMED_OUT) == (
        "barrier 'b' is waited for by gw1, in test_1 (call) at a.py:1, since 3.0 s; 1 of 3 did not come"
    )
    broken = "barrier 'b' is broken: gw2, in test_2 (call) at a.py:2, waited for 2.0 s, too long"
    assert bench.text(other, Status.BROKEN) == broken
    assert bench.text(bench.ask(3, MEET), Status.BROKEN) == broken
    assert bench.value(bench.ask(3, READ_BARRIER)) == (0, True)
    bench.ask(1, ResetBarrier("b", 3))
    assert bench.value(bench.ask(3, READ_BARRIER)) == (0, False)
    assert "waited for by nobody else; 2 of 3" in bench.text(bench.ask(1, WaitBarrier("b", 3, 0)), Status.TIMED_OUT)


@pytest.mark.parametrize("is_parted", [False, True])
def test_barrier_is_broken_by_who_dies(is_parted: bool) -> None:
    """Those who wait are told who died, in which test; it is a death also if the connection is seen to close first."""
    bench = Bench()
    other = bench.ask(1, MEET)
    bench.ask(2, MEET)
    if is_parted:
        bench.part(2)
    bench.die(2)
    assert bench.text(other, Status.BROKEN) == (
        "barrier 'b' is broken: gw2 died (was killed by SIGKILL) while it waited in test_2 (call) at a.py:2"
    )


def test_barrier_is_not_broken_by_who_was_interrupted() -> None:
    """It has left; a later death of its process is nothing to those who wait."""
    bench = Bench()
    first = bench.ask(1, MEET)
    gone = bench.ask(2, MEET)
    bench.part(2)
    bench.abandon(gone)
    bench.die(2)
    assert bench.status(first) is None
    assert bench.value(bench.ask(3, READ_BARRIER)) == (1, False)


def test_barrier_that_was_passed_is_not_broken() -> None:
    """A closed connection that had waited for an earlier meeting means nothing for this one."""
    bench = Bench()
    bench.join(4, 4)
    bench.ask(4, MEET)
    bench.part(4)
    for number in (1, 2, 3):
        bench.ask(number, MEET)
    waiting = bench.ask(1, MEET)
    bench.die(4)
    assert bench.status(waiting) is None


def test_barrier_is_reset_aborted_and_mismatched() -> None:
    """Both refuse who waits; an aborted one stays broken; another number of parties is refused everywhere."""
    bench = Bench()
    first = bench.ask(1, MEET)
    bench.ask(3, ResetBarrier("b", 3))
    assert bench.text(first, Status.BROKEN) == "barrier 'b' was reset by gw3, in test_3 (call) at a.py:3"
    second = bench.ask(1, MEET)
    bench.ask(3, AbortBarrier("b", 3))
    assert "was aborted by gw3" in bench.text(second, Status.BROKEN)
    assert bench.status(bench.ask(1, MEET)) is Status.BROKEN
    for request in (WaitBarrier("b", 2, None), ResetBarrier("b", 2), AbortBarrier("b", 2), ReadBarrier("b", 2)):
        assert "has parties 3" in bench.text(bench.ask(1, request), Status.MISMATCH)


# --- Queues -----------------------------------------------------------------------------------------------------------


def test_queue_hands_out_in_order_and_counts() -> None:
    """What was put first is got first; what was got is unfinished until it is done."""
    bench = Bench()
    bench.ask(1, put("a"))
    bench.ask(1, put("b"))
    joining = bench.ask(1, JOIN)
    assert [bench.value(bench.ask(2, GET)) for _ in range(2)] == [("plain", "a"), ("plain", "b")]
    assert bench.value(bench.ask(1, READ_QUEUE)) == (0, 2)
    bench.ask(2, DONE)
    assert bench.status(joining) is None
    bench.ask(3, DONE)  # Somebody else may say it.
    assert bench.status(joining) is Status.DONE
    assert "no unfinished task" in bench.text(bench.ask(2, DONE), Status.NOT_HELD)
    assert bench.status(bench.ask(2, JOIN)) is Status.DONE


def test_queue_of_limited_size() -> None:
    """Who puts waits for room, in order; a full queue, an empty and an unfinished one say so."""
    bench = Bench()
    full = [PutOnQueue("q", 1, ("plain", n), None) for n in range(3)]
    bench.ask(1, full[0])
    second, third = bench.ask(1, full[1], lane=7), bench.ask(2, full[2])
    text = bench.text(bench.ask(3, PutOnQueue("q", 1, ("plain", 9), 0)), Status.TIMED_OUT)
    assert text == "queue 'q' is full, it has 1 of 1; 2 others wait before it"
    get = GetFromQueue("q", 1, None)
    assert bench.value(bench.ask(3, get)) == ("plain", 0)
    assert bench.status(second) is Status.DONE
    assert bench.status(third) is None
    assert [bench.value(bench.ask(3, get)) for _ in range(2)] == [("plain", 1), ("plain", 2)]
    bench.now += 2.0
    assert bench.text(bench.ask(3, GetFromQueue("q", 1, 0)), Status.TIMED_OUT) == (
        "queue 'q' is empty; the last was put by gw2, in test_2 (call) at a.py:2, 2.0 s ago"
    )
    text = bench.text(bench.ask(1, JoinQueue("q", 1, 0)), Status.TIMED_OUT)
    assert text == "queue 'q' has unfinished tasks: 3; gw3 got 3 of them"
    never = bench.text(bench.ask(1, GetFromQueue("new", 1, 0)), Status.TIMED_OUT)
    assert never == "queue 'new' is empty; nothing was ever put on it"
    for request in (full[0], get, ReadQueue("q", 1), TaskDone("q", 1), JoinQueue("q", 1, None)):
        values = [getattr(request, name) for name in request.__match_args__]
        values[1] = 5
        assert "maxsize 1" in bench.text(bench.ask(1, type(request)(*values)), Status.MISMATCH)


def test_what_was_got_and_not_looked_at_is_first_again() -> None:
    """It is not lost, and nobody has it twice; if it was said to be done meanwhile, it is."""
    bench = Bench()
    for value in "ab":
        bench.ask(1, put(value))
    got = bench.ask(2, GET)
    bench.abandon(got)
    assert bench.value(bench.ask(3, GET)) == ("plain", "a")
    got = bench.ask(2, GET)
    bench.ask(2, DONE)
    bench.abandon(got)
    assert bench.value(bench.ask(1, READ_QUEUE)) == (0, 1)


def test_tasks_of_the_dead_are_told_to_who_joins() -> None:
    """Once; they do not count any more. Those it had done are not among them, nor those of others."""
    bench = Bench()
    for value in "abcd":
        bench.ask(1, put(value))
    for _ in range(3):
        bench.ask(2, GET)
    bench.ask(2, DONE)
    joining = bench.ask(1, JOIN)
    bench.die(2)
    text = "gw2 died (was killed by SIGKILL) with 2 unfinished tasks of queue 'q'"
    assert bench.text(joining, Status.BROKEN) == text
    assert bench.value(bench.ask(1, READ_QUEUE)) == (1, 1)
    bench.ask(3, GET)
    bench.die(3)
    assert "gw3 died (was killed by SIGKILL) with an unfinished task" in bench.text(bench.ask(1, JOIN), Status.BROKEN)
    assert bench.status(bench.ask(1, JOIN)) is Status.DONE


def test_task_done_is_credited_to_who_has_most() -> None:
    """If who says it has got none: so the other one's death is told rightly."""
    bench = Bench()
    for value in "abc":
        bench.ask(1, put(value))
    bench.ask(2, GET)
    bench.ask(3, GET)
    bench.ask(3, GET)
    bench.ask(1, DONE)
    text = bench.text(bench.ask(1, JoinQueue("q", 0, 0)), Status.TIMED_OUT)
    assert text.endswith("gw2 got 1 of them; gw3 got 1 of them")


def test_task_done_before_it_was_got() -> None:
    """As in `queue`: only the number counts."""
    bench = Bench()
    bench.ask(1, put("a"))
    bench.ask(1, DONE)
    assert bench.value(bench.ask(1, READ_QUEUE)) == (1, 0)
    bench.ask(2, GET)
    bench.die(2)
    assert bench.value(bench.ask(1, READ_QUEUE)) == (0, 0)


# --- Once -------------------------------------------------------------------------------------------------------------


def test_once_is_run_by_the_first_for_all() -> None:
    """Who comes while it runs waits; who comes later has what came out."""
    bench = Bench()
    assert bench.value(bench.ask(1, BeginOnce("o", None))) == ("run", None)
    waiting = bench.ask(2, BeginOnce("o", None))
    bench.now += 1.0
    text = bench.text(bench.ask(3, BeginOnce("o", 0)), Status.TIMED_OUT)
    assert text == "once 'o' is run by gw1, in test_1 (call) at a.py:1, since 1.0 s"
    assert bench.status(bench.ask(2, EndOnce("o", False, ("plain", 2)))) is Status.NOT_HELD
    bench.ask(1, EndOnce("o", False, ("plain", 1)))
    assert bench.value(waiting) == bench.value(bench.ask(3, BeginOnce("o", 0))) == ("done", ("plain", 1))
    assert bench.status(bench.ask(1, EndOnce("o", False, ("plain", 2)))) is Status.NOT_HELD
    assert bench.status(bench.ask(1, EndOnce("never", False, ("plain", 2)))) is Status.NOT_HELD


def test_once_that_failed_has_failed_for_all() -> None:
    """What it raised is the outcome."""
    bench = Bench()
    error: Payload = ("pickle", b"error")
    bench.ask(1, BeginOnce("o", None))
    bench.ask(1, EndOnce("o", True, error))
    assert bench.value(bench.ask(2, BeginOnce("o", None))) == ("failed", error)


def test_once_goes_to_the_next_if_its_runner_dies_or_gives_up() -> None:
    """And to who comes later, if nobody waits."""
    bench = Bench()
    first = bench.ask(1, BeginOnce("o", None))
    second = bench.ask(2, BeginOnce("o", None))
    bench.abandon(first)
    assert bench.value(second) == ("run", None)
    bench.die(2)
    third = bench.ask(3, BeginOnce("o", None))
    assert bench.value(third) == ("run", None)
    bench.ask(3, EndOnce("o", False, ("plain", 1)))
    bench.abandon(third)
    assert bench.value(bench.ask(1, BeginOnce("o", None))) == ("done", ("plain", 1))


def test_once_that_waits_for_itself() -> None:
    """It is a deadlock."""
    bench = Bench()
    bench.ask(1, BeginOnce("o", None))
    assert "waits for once 'o', run by gw1" in bench.text(bench.ask(1, BeginOnce("o", None)), Status.DEADLOCK)


# --- Conditions -------------------------------------------------------------------------------------------------------


def enlist(bench: Bench, connection: int) -> int:
    """Return a ticket."""
    ticket = bench.value(bench.ask(connection, EnlistCondition("c")))
    assert isinstance(ticket, int)
    return ticket


def test_notification_counts_from_the_ticket_on() -> None:
    """Who was notified before it waited does not wait; the number of those who were is answered."""
    bench = Bench()
    tickets = {number: enlist(bench, number) for number in (1, 2, 3)}
    assert bench.value(bench.ask(3, NotifyCondition("c", 1))) == 1
    first = bench.ask(1, WaitCondition("c", tickets[1], None))
    second = bench.ask(2, WaitCondition("c", tickets[2], None))
    assert bench.status(first) is Status.DONE
    assert bench.status(second) is None
    assert bench.value(bench.ask(3, NotifyCondition("c", -1))) == 2
    assert bench.status(second) is Status.DONE
    assert bench.status(bench.ask(3, WaitCondition("c", tickets[3], 0))) is Status.DONE
    assert bench.value(bench.ask(3, NotifyCondition("c", 5))) == 0
    assert "no ticket 1" in bench.text(bench.ask(1, WaitCondition("c", 1, None)), Status.UNFIT)


def test_used_up_tickets_are_not_notified() -> None:
    """One that waited too long, one of the dead, and one whose lane takes another: the next has the notification."""
    bench = Bench()
    text = bench.text(bench.ask(1, WaitCondition("c", enlist(bench, 1), 0)), Status.TIMED_OUT)
    assert text == "condition 'c' was not notified"
    enlist(bench, 1)
    enlist(bench, 2)
    last = bench.ask(3, WaitCondition("c", enlist(bench, 3), None))
    bench.ask(3, NotifyCondition("c", 1), lane=8)
    assert bench.status(last) is None
    enlist(bench, 1)  # The older ticket was notified: that goes to gw2.
    bench.die(2)
    assert bench.status(last) is Status.DONE


def test_ticket_that_nobody_looked_at_is_taken_back() -> None:
    """An interrupted enlisting leaves nothing that could be notified; a ticket cannot be waited for twice."""
    bench = Bench()
    bench.abandon(bench.ask(1, EnlistCondition("c")))
    ticket = enlist(bench, 2)
    waiting = bench.ask(2, WaitCondition("c", ticket, None))
    assert bench.status(bench.ask(3, WaitCondition("c", ticket, None))) is Status.UNFIT
    enlist(bench, 2)
    assert bench.value(bench.ask(3, NotifyCondition("c", 1))) == 1
    assert bench.status(waiting) is Status.DONE


@pytest.mark.parametrize("is_alone", [False, True])
def test_death_with_the_lock_breaks_the_condition(is_alone: bool) -> None:
    """Who waits for a notification is told who died; so is who is about to wait, unless it was notified."""
    bench = Bench()
    lock = "condition:c"
    waiting = bench.ask(1, WaitCondition("c", enlist(bench, 1), None))
    ticket = enlist(bench, 2)
    key = bench.ask(3, AcquireLock(lock, None))
    if is_alone:
        bench.ask(3, ReleaseLock(lock))
        bench.dead[0] = bench.holder(3)
    assert bench.status(key) is Status.DONE
    bench.die(3)
    text = "gw3 died (was killed by SIGKILL) while it held lock of condition 'c', taken in test_3 (call) at a.py:3"
    assert text in bench.text(waiting, Status.BROKEN)
    assert bench.value(bench.ask(1, NotifyCondition("c", -1))) == 0
    assert text in bench.text(bench.ask(2, WaitCondition("c", ticket, None)), Status.BROKEN)
    assert text in bench.value(bench.ask(1, AcquireLock(lock, None)))


def test_death_tries_a_lock_once() -> None:
    """Though both somebody at the lock and somebody at its condition want to know."""
    bench = Bench()
    bench.alone[0] = holder = bench.holder(3)
    waiting = bench.ask(1, WaitCondition("c", enlist(bench, 1), None))
    acquiring = bench.ask(2, AcquireLock("condition:c", None))
    bench.moves.clear()
    del bench.alone[0]
    bench.dead[0] = holder
    bench.die(3)
    assert bench.moves == [Try(0)]
    assert bench.status(waiting) is Status.BROKEN
    assert "gw3 died" in bench.value(acquiring)


def test_death_of_the_only_one_who_waits() -> None:
    """Nobody is left who would want to know."""
    bench = Bench()
    bench.ask(1, OpenLock("condition:c"))
    enlist(bench, 1)
    bench.die(1)
    assert bench.moves == []


def test_death_without_the_lock_breaks_nothing() -> None:
    """Nor does the death with the lock of a condition for which nobody waits, or break who was notified."""
    bench = Bench()
    ticket = enlist(bench, 1)
    bench.ask(1, NotifyCondition("c", 1))
    bench.ask(2, AcquireLock("condition:c", None))
    bench.ask(2, AcquireLock("condition:other", None))
    bench.ask(2, AcquireLock("c", None))
    bench.die(2)
    assert bench.status(bench.ask(1, WaitCondition("c", ticket, None))) is Status.DONE
    waiting = bench.ask(1, WaitCondition("c", enlist(bench, 1), None))
    bench.die(3)
    assert bench.status(waiting) is None
