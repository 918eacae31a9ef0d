"""Locks: taken alone or through the broker; freed, inherited, fought for."""

from __future__ import annotations

from pytest_parpool.model.sync_moves import Free, Tried, Try
from pytest_parpool.model.sync_requests import AcquireLock, LockLetGo, OpenLock, ReleaseLock, Status
from tests.simulation.broker.bench import Bench

ACQUIRE = AcquireLock("db", None)
RELEASE = ReleaseLock("db")
BY_GW1 = "gw1, in test_1 (call) at a.py:1"


def test_slots_are_allotted_once() -> None:
    """Each name has a slot for ever; when they are used up there is none."""
    bench = Bench(slots=2)
    names = ["a", "b", "a", "c"]
    assert [bench.value(bench.ask(1, OpenLock(name))) for name in names] == [0, 1, 0, -1]


def test_lock_is_tried_given_and_freed() -> None:
    """The broker takes a lock when it is asked for, and leaves it to the parties when nobody waits any more."""
    bench = Bench()
    assert bench.value(bench.ask(1, ACQUIRE)) == ""
    second = bench.ask(2, ACQUIRE)
    assert bench.moves == [Try(0)]
    bench.ask(1, RELEASE)
    assert bench.value(second) == ""
    assert bench.moves == [Try(0)]
    bench.ask(3, RELEASE)  # Anyone may.
    assert bench.moves == [Try(0), Free(0)]
    assert "db" in bench.text(bench.ask(2, RELEASE), Status.NOT_HELD)


def test_lock_without_a_slot_is_never_tried() -> None:
    """It is always the broker's, so that there is nothing to try and nothing to free."""
    bench = Bench(slots=0)
    first, second = bench.ask(1, ACQUIRE), bench.ask(2, ACQUIRE)
    bench.ask(1, RELEASE)
    assert bench.value(first) == bench.value(second) == ""
    bench.ask(2, RELEASE)
    assert bench.moves == []
    assert bench.value(bench.ask(3, ACQUIRE)) == ""


def test_lock_that_a_party_took_alone_is_tried_again() -> None:
    """It is given away when the party says that it let go; before, a timeout names the party."""
    bench = Bench()
    bench.alone[0] = bench.holder(1)
    waiting = bench.ask(2, ACQUIRE)
    bench.now += 2.0
    text = bench.text(bench.ask(3, AcquireLock("db", 0)), Status.TIMED_OUT)
    assert text == f"lock 'db' is held by {BY_GW1}, since 2.0 s; 1 other waits before it"
    del bench.alone[0]
    bench.ask(1, LockLetGo("db"))
    assert bench.value(waiting) == ""


def test_lock_that_was_lost_without_a_word_is_found() -> None:
    """While somebody waits it is tried once a second."""
    bench = Bench()
    bench.alone[0] = None
    waiting = bench.ask(2, ACQUIRE)
    del bench.alone[0]
    assert bench.broker.next_deadline() == bench.now + 1.0
    bench.wait(1.0)
    assert bench.status(waiting) is Status.DONE
    assert bench.broker.next_deadline() is None


def test_unknown_holder_is_said_to_be_unknown() -> None:
    """Who has just taken a lock has not said so yet."""
    bench = Bench()
    bench.alone[0] = None
    assert "has not said who it is" in bench.text(bench.ask(2, AcquireLock("db", 0)), Status.TIMED_OUT)


def test_lock_is_left_to_the_parties_when_all_have_given_up() -> None:
    """The last who waited, and times out, takes the mark away."""
    bench = Bench()
    bench.alone[0] = bench.holder(1)
    bench.ask(2, AcquireLock("db", 0.5))
    bench.ask(3, AcquireLock("db", 0.7))
    bench.wait(0.6)
    assert Free(0) not in bench.moves
    bench.wait(0.6)
    assert bench.moves[-1] == Free(0)
    assert bench.broker.next_deadline() is None


def test_tried_and_nobody_waits_any_more() -> None:
    """What the broker has taken for nobody it frees; what it has not taken, or knows nothing of, is nothing to it."""
    bench = Bench()
    bench.ask(1, OpenLock("db"))
    bench.tell(Tried(0, is_taken=True, holder=None))
    assert bench.moves == [Free(0)]
    bench.tell(Tried(3, is_taken=True, holder=None))
    bench.tell(Tried(-1, is_taken=True, holder=None))
    bench.ask(1, LockLetGo("db"))
    bench.ask(1, LockLetGo("other"))
    assert bench.moves == [Free(0)]
    bench.ask(1, ACQUIRE)
    bench.tell(Tried(0, is_taken=False, holder=bench.holder(2)))
    assert bench.status(bench.ask(2, AcquireLock("db", 0))) is Status.TIMED_OUT


def test_dead_holder_is_named_to_the_next() -> None:
    """Who is given the lock of a dead party is told who died, how, and where it had taken the lock."""
    bench = Bench()
    bench.ask(1, ACQUIRE)
    waiting = bench.ask(2, ACQUIRE)
    bench.die(1)
    assert bench.value(waiting) == (
        "gw1 died (was killed by SIGKILL) while it held lock 'db', taken in test_1 (call) at a.py:1;"
        " what the lock protects may be half done"
    )
    third = bench.ask(3, ACQUIRE)
    bench.ask(2, RELEASE)
    assert bench.value(third) == ""


def test_dead_holder_is_named_even_if_nobody_waited() -> None:
    """The lock stays the broker's until somebody was told; also if the first who was told did not look."""
    bench = Bench()
    bench.ask(1, ACQUIRE)
    bench.die(1)
    assert Free(0) not in bench.moves
    first = bench.ask(2, ACQUIRE)
    assert "gw1 died" in bench.value(first)
    bench.abandon(first)
    assert "gw1 died" in bench.value(bench.ask(3, ACQUIRE))
    bench.ask(3, RELEASE)
    assert bench.moves[-1] == Free(0)


def test_death_of_who_took_it_alone() -> None:
    """The lock is tried when its holder dies; the note that is found says who that was."""
    bench = Bench()
    bench.alone[0] = holder = bench.holder(1)
    waiting = bench.ask(2, ACQUIRE)
    del bench.alone[0]
    bench.dead[0] = holder
    bench.die(1)
    assert "gw1 died (was killed by SIGKILL) while it held lock 'db'" in bench.value(waiting)


def test_death_that_is_not_known_yet() -> None:
    """A note of a dead process may be found before its death is known; then nothing is said of how it died."""
    bench = Bench()
    bench.dead[0] = bench.holder(1)
    assert bench.value(bench.ask(2, ACQUIRE)).startswith("gw1 died while it held lock 'db', taken in test_1")


def test_lock_is_not_freed_before_it_is_known_what_came_of_a_try() -> None:
    """A request that is abandoned before it comes is not waited for; the dead holder that it found is."""
    bench = Bench()
    bench.dead[0] = bench.holder(3)
    bench.abandon((1, bench._numbers + 1))
    bench.ask(1, ACQUIRE)
    assert bench.moves == [Try(0)]
    assert "gw3 died" in bench.value(bench.ask(2, ACQUIRE))
    bench.ask(2, RELEASE)
    assert bench.moves == [Try(0), Free(0)]


def test_deadlock_of_two() -> None:
    """Who closes the circle is refused, with the circle; the others go on."""
    bench = Bench(slots=0)
    bench.ask(1, AcquireLock("a", None))
    bench.ask(2, AcquireLock("b", None))
    first = bench.ask(1, AcquireLock("b", None))
    bench.now += 0.3
    last = bench.ask(2, AcquireLock("a", None))
    assert bench.text(last, Status.DEADLOCK).splitlines() == [
        "gw2, in test_2 (call) at a.py:2, waits for lock 'a', held by gw1, in test_1 (call) at a.py:1, since 0.3 s",
        "gw1, in test_1 (call) at a.py:1, waits for lock 'b', held by gw2, in test_2 (call) at a.py:2, since 0.3 s",
    ]
    assert bench.status(first) is None
    bench.ask(2, ReleaseLock("b"))
    assert bench.status(first) is Status.DONE


def test_deadlock_with_oneself() -> None:
    """Who waits for a lock that it has is refused at once, whichever way it took it; another thread of it waits."""
    bench = Bench()
    bench.ask(1, ACQUIRE)
    assert "waits for lock 'db', held by gw1" in bench.text(bench.ask(1, ACQUIRE), Status.DEADLOCK)
    assert bench.status(bench.ask(1, ACQUIRE, lane=9)) is None
    bench.ask(2, OpenLock("b"))
    bench.alone[1] = bench.holder(2)
    assert "waits for lock 'b', held by gw2" in bench.text(bench.ask(2, AcquireLock("b", None)), Status.DEADLOCK)
    assert bench.moves[-1] == Free(1)


def test_no_deadlock_with_a_timeout() -> None:
    """Who gives up after some time lets the others go on."""
    bench = Bench(slots=0)
    bench.ask(1, AcquireLock("a", None))
    bench.ask(2, AcquireLock("b", None))
    first = bench.ask(1, AcquireLock("b", 1.0))
    last = bench.ask(2, AcquireLock("a", None))
    assert bench.status(first) is bench.status(last) is None
    bench.wait(1.0)
    assert bench.status(first) is Status.TIMED_OUT
    bench.ask(1, ReleaseLock("a"))
    assert bench.status(last) is Status.DONE


def test_deadlock_of_locks_that_were_taken_alone() -> None:
    """It is found through the notes, and only after the older one was looked at once more."""
    bench = Bench()
    bench.ask(1, OpenLock("a"))
    bench.ask(1, OpenLock("b"))
    bench.alone.update({0: bench.holder(1), 1: bench.holder(2)})
    first = bench.ask(2, AcquireLock("a", None))
    bench.moves.clear()
    last = bench.ask(1, AcquireLock("b", None))
    assert bench.moves == [Try(1), Try(0), Free(1)]
    assert len(bench.text(last, Status.DEADLOCK).splitlines()) == 2
    assert bench.status(first) is None


def test_old_note_is_not_believed() -> None:
    """Another thread may have let a lock go, and its word is under way: then there is no deadlock."""
    bench = Bench()
    bench.ask(1, OpenLock("a"))
    bench.ask(1, OpenLock("b"))
    bench.alone.update({0: bench.holder(1), 1: bench.holder(2)})
    first = bench.ask(2, AcquireLock("a", None))
    del bench.alone[0]
    last = bench.ask(1, AcquireLock("b", None))
    assert bench.status(first) is Status.DONE
    assert bench.status(last) is None


def test_deadlock_is_found_when_the_note_is_written() -> None:
    """Who took a lock a moment ago has no note yet; the next try finds it."""
    bench = Bench()
    bench.alone[0] = None
    last = bench.ask(1, ACQUIRE)
    bench.alone[0] = bench.holder(1)
    assert bench.status(last) is None
    bench.wait(1.0)
    assert bench.status(last) is Status.DEADLOCK


def test_who_only_waits_for_a_deadlock_is_not_refused() -> None:
    """The last of those who are in it is, though somebody else came later."""
    bench = Bench()
    bench.ask(1, OpenLock("a"))
    bench.ask(2, AcquireLock("b", None))
    bench.alone[0] = None
    first = bench.ask(2, AcquireLock("a", None))
    last = bench.ask(1, AcquireLock("b", None))
    beside = bench.ask(3, AcquireLock("a", None))
    bench.alone[0] = bench.holder(1)
    bench.wait(1.0)
    assert bench.status(last) is Status.DEADLOCK
    assert bench.status(first) is bench.status(beside) is None


def test_deadlock_is_found_when_an_older_wait_is_forgotten() -> None:
    """A thread whose interrupted wait is still there when it waits for something else, waits for that in the end."""
    bench = Bench(slots=0)
    bench.join(4, 1)
    bench.ask(1, AcquireLock("a", None))
    bench.ask(2, AcquireLock("b", None))
    bench.ask(2, AcquireLock("a", None))
    bench.ask(3, AcquireLock("c", None))
    bench.ask(1, AcquireLock("c", None), lane=1)
    last = bench.ask(4, AcquireLock("b", None), lane=1)
    assert bench.status(last) is None
    bench.part(1)
    assert bench.status(last) is Status.DEADLOCK


def test_dead_lock_of_a_condition_is_named_so() -> None:
    """The lock behind a condition is called that."""
    bench = Bench()
    bench.ask(1, AcquireLock("condition:c", None))
    text = bench.text(bench.ask(2, AcquireLock("condition:c", 0)), Status.TIMED_OUT)
    assert text.startswith("lock of condition 'c' is held by gw1")
