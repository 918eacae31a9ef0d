"""Semaphores and reader-writer locks: how many may be in, and who leaves when."""

from __future__ import annotations

from pytest_parpool.model.sync_requests import (
    AcquireReadWrite,
    AcquireSemaphore,
    ReleaseReadWrite,
    ReleaseSemaphore,
    ReturnPermits,
    Status,
)
from tests.simulation.broker.bench import Bench

ACQUIRE = AcquireSemaphore("s", 2, None)
ONE_BACK = ReleaseSemaphore("s", 2, 1)
READ = AcquireReadWrite("rw", False, None)
WRITE = AcquireReadWrite("rw", True, None)
READ_BACK = ReleaseReadWrite("rw", False)
WRITE_BACK = ReleaseReadWrite("rw", True)
GW1 = "gw1, in test_1 (call) at a.py:1"
GW2 = "gw2, in test_2 (call) at a.py:2"


def test_semaphore_gives_as_many_permits_as_it_has() -> None:
    """One more waits; when it has waited too long it is told of all holders."""
    bench = Bench()
    assert [bench.value(bench.ask(1, ACQUIRE)), bench.value(bench.ask(2, ACQUIRE))] == ["", ""]
    bench.now += 1.5
    assert bench.text(bench.ask(3, AcquireSemaphore("s", 2, 0)), Status.TIMED_OUT) == (
        "semaphore 's' has no permit left; held by gw1, in test_1 (call) at a.py:1, since 1.5 s;"
        " gw2, in test_2 (call) at a.py:2, since 1.5 s"
    )


def test_semaphore_can_be_released_by_anybody_and_more_than_it_was_taken() -> None:
    """As in `threading`: the count grows if nobody holds anything."""
    bench = Bench()
    bench.ask(1, ACQUIRE)
    bench.ask(2, ReleaseSemaphore("s", 2, 2))
    keys = [bench.ask(3, ACQUIRE) for _ in range(4)]
    assert [bench.status(key) for key in keys] == [Status.DONE] * 3 + [Status.DEADLOCK]
    bench.ask(3, ReleaseSemaphore("s", 2, 10**9))
    assert bench.status(bench.ask(3, ACQUIRE)) is Status.DONE


def test_semaphore_takes_back_the_own_permit_first() -> None:
    """Of several holders it is who releases that has one less: another one's stays in the messages."""
    bench = Bench()
    bench.ask(1, ACQUIRE)
    bench.ask(2, ACQUIRE)
    bench.ask(2, ONE_BACK)
    bench.ask(3, ACQUIRE)
    text = bench.text(bench.ask(2, AcquireSemaphore("s", 2, 0)), Status.TIMED_OUT)
    assert "gw1" in text
    assert "gw3" in text
    assert "gw2" not in text


def test_semaphore_without_holders_says_so() -> None:
    """A semaphore of no permits is legal: somebody else is to release it."""
    bench = Bench()
    waiting = bench.ask(1, AcquireSemaphore("none", 0, None))
    text = bench.text(bench.ask(2, AcquireSemaphore("none", 0, 0)), Status.TIMED_OUT)
    assert text == "semaphore 'none' has no permit left, and nobody holds one; 1 other waits before it"
    bench.ask(3, ReleaseSemaphore("none", 0, 1))
    assert bench.status(waiting) is Status.DONE


def test_semaphore_refuses_what_makes_no_sense() -> None:
    """Other permits than at first are named together with the first; a count below 1 releases nothing."""
    bench = Bench()
    bench.ask(1, ACQUIRE)
    text = bench.text(bench.ask(2, AcquireSemaphore("s", 3, None)), Status.MISMATCH)
    assert text == "semaphore 's' has permits 2, and was now asked for with 3; give the same everywhere"
    assert bench.status(bench.ask(2, ReleaseSemaphore("s", 3, 1))) is Status.MISMATCH
    assert "1 or more" in bench.text(bench.ask(2, ReleaseSemaphore("s", 2, 0)), Status.UNFIT)


def test_permit_of_the_dead_is_free() -> None:
    """It goes to who waits, or who comes; that one is told, also if the first who was told did not look."""
    bench = Bench()
    bench.ask(1, ACQUIRE)
    bench.ask(1, ACQUIRE)
    waiting = bench.ask(2, ACQUIRE)
    bench.die(1)
    assert "gw1 died (was killed by SIGKILL) while it held semaphore 's'" in bench.value(waiting)
    second = bench.ask(3, ACQUIRE)
    assert "gw1 died" in bench.value(second)
    bench.abandon(second)
    assert "gw1 died" in bench.value(bench.ask(2, ACQUIRE))
    assert bench.status(bench.ask(3, AcquireSemaphore("s", 2, 0))) is Status.TIMED_OUT


def test_permits_of_a_test_that_is_over_are_taken_back() -> None:
    """Only its own that are left: others may have released them, and what was taken elsewhere stays."""
    bench = Bench()
    of_test = ReturnPermits("s", 2, "test_1")
    assert bench.value(bench.ask(1, of_test)) == ()
    bench.ask(1, ACQUIRE)
    bench.ask(2, ReleaseSemaphore("s", 2, 1))
    assert bench.value(bench.ask(1, of_test)) == ()
    bench.ask(1, ACQUIRE)
    bench.ask(2, ACQUIRE)
    waiting = bench.ask(3, ACQUIRE)
    assert bench.value(bench.ask(1, ReturnPermits("s", 2, "test_2"))) == ()
    assert bench.value(bench.ask(1, of_test)) == ("a.py:1",)
    assert bench.value(waiting) == ""
    assert bench.status(bench.ask(1, AcquireSemaphore("s", 2, 0))) is Status.TIMED_OUT
    assert bench.status(bench.ask(1, ReturnPermits("s", 3, "test_1"))) is Status.MISMATCH


def test_permit_that_was_given_back_is_not_undone() -> None:
    """Somebody else may have it by now; nor is a reading that is over."""
    bench = Bench()
    single = AcquireSemaphore("one", 1, None)
    first = bench.ask(1, single)
    bench.ask(2, ReleaseSemaphore("one", 1, 1))
    bench.ask(2, single)
    bench.abandon(first)
    assert bench.status(bench.ask(3, AcquireSemaphore("one", 1, 0))) is Status.TIMED_OUT
    reading = bench.ask(1, READ)
    bench.ask(1, READ_BACK)
    bench.ask(2, READ)
    bench.abandon(reading)
    assert bench.status(bench.ask(3, AcquireReadWrite("rw", True, 0))) is Status.TIMED_OUT


def test_undo_is_of_one_that_is_left() -> None:
    """A thread that releases, before the word comes that another one's grant was abandoned, has not released that."""
    bench = Bench()
    abandoned = bench.ask(1, ACQUIRE)
    bench.ask(1, ACQUIRE, lane=7)
    bench.ask(1, ONE_BACK, lane=8)
    bench.abandon(abandoned)
    assert [bench.status(bench.ask(2, ACQUIRE)) for _ in range(2)] == [Status.DONE] * 2
    abandoned = bench.ask(1, READ)
    bench.ask(1, READ, lane=7)
    bench.ask(1, READ_BACK, lane=8)
    bench.abandon(abandoned)
    writing = bench.ask(1, WRITE)
    assert bench.status(writing) is Status.DONE
    bench.ask(1, WRITE_BACK)
    bench.ask(1, WRITE, lane=7)
    bench.abandon(writing)
    assert bench.status(bench.ask(2, AcquireReadWrite("rw", False, 0))) is Status.TIMED_OUT


def test_semaphore_deadlock_needs_all_holders() -> None:
    """Who waits is stuck only if no holder can go on."""
    bench = Bench()
    single = AcquireSemaphore("one", 1, None)
    for key in (bench.ask(1, ACQUIRE), bench.ask(2, ACQUIRE), bench.ask(3, single)):
        bench.value(key)
    waiting = bench.ask(3, ACQUIRE)
    second = bench.ask(2, single)
    assert bench.status(waiting) is bench.status(second) is None
    text = bench.text(bench.ask(1, single), Status.DEADLOCK)
    assert [line.split(",")[0] for line in text.splitlines()] == ["gw1", "gw3"]
    bench.ask(1, ONE_BACK)
    assert bench.status(waiting) is Status.DONE


def test_readers_go_together_and_a_writer_alone() -> None:
    """A reader behind a waiting writer waits, so that the writer's turn comes."""
    bench = Bench()
    bench.join(4, 4)
    bench.ask(1, READ)
    assert bench.status(bench.ask(2, READ)) is Status.DONE
    writing = bench.ask(3, WRITE)
    reading = bench.ask(4, READ)
    bench.ask(1, READ_BACK)
    assert bench.status(writing) is None
    bench.ask(2, READ_BACK)
    assert bench.status(writing) is Status.DONE
    assert bench.status(reading) is None
    text = bench.text(bench.ask(1, AcquireReadWrite("rw", False, 0)), Status.TIMED_OUT)
    assert text == (
        "read-write lock 'rw' (to read) is held for writing by gw3, in test_3 (call) at a.py:3, since 0.0 s;"
        " 1 other waits before it"
    )
    bench.ask(3, WRITE_BACK)
    assert bench.status(reading) is Status.DONE


def test_readers_go_on_when_the_writer_before_them_gives_up() -> None:
    """They waited for nobody else."""
    bench = Bench()
    bench.ask(1, READ)
    bench.ask(2, AcquireReadWrite("rw", True, 1.0))
    reading = bench.ask(3, READ)
    bench.wait(1.0)
    assert bench.status(reading) is Status.DONE


def test_release_of_what_is_not_held_in_this_way() -> None:
    """Who reads cannot end a writing, who has nothing cannot end anything; of two readings it ends its lane's."""
    bench = Bench()
    assert bench.status(bench.ask(1, READ_BACK)) is Status.NOT_HELD
    bench.ask(1, READ)
    bench.ask(1, READ, lane=7)
    assert "for writing" in bench.text(bench.ask(1, WRITE_BACK), Status.NOT_HELD)
    assert bench.status(bench.ask(2, READ_BACK)) is Status.NOT_HELD
    bench.ask(1, READ_BACK, lane=7)
    assert "at a.py:1, since" in bench.text(bench.ask(2, AcquireReadWrite("rw", True, 0)), Status.TIMED_OUT)


def test_dead_writer_is_named_and_a_dead_reader_is_not() -> None:
    """A reader leaves nothing half done."""
    bench = Bench()
    bench.ask(1, READ)
    writing = bench.ask(2, WRITE)
    bench.die(1)
    assert bench.value(writing) == ""
    reading = bench.ask(3, READ)
    bench.die(2)
    assert "gw2 died (was killed by SIGKILL) while it held lock 'rw', for writing" in bench.value(reading)
    bench.abandon(reading)
    bench.join(5, 5)
    assert "gw2 died" in bench.value(bench.ask(5, READ))


def test_reader_that_asks_to_write_waits_for_itself() -> None:
    """It is refused at once; so is who would wait for it in a circle, also behind another one's turn."""
    bench = Bench()
    bench.ask(1, READ)
    assert "held for reading by gw1" in bench.text(bench.ask(1, WRITE), Status.DEADLOCK)
    bench.ask(2, WRITE)
    text = bench.text(bench.ask(1, READ), Status.DEADLOCK)
    assert text.splitlines() == [
        f"{GW1}, waits for read-write lock 'rw' (to read), wanted before by {GW2}, since 0.0 s",
        f"{GW2}, waits for read-write lock 'rw' (to write), held for reading by {GW1}, since 0.0 s",
    ]
