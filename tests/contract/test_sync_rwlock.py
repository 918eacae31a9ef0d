"""Reader-writer locks: what real processes see of them."""

from __future__ import annotations

import pickle
import signal
import threading
import warnings
from collections.abc import Callable

import pytest

from pytest_parpool.model.sync_requests import AcquireReadWrite
from pytest_parpool.sync.errors import AbandonedLockWarning, DeadlockError, LockTimeoutError, NotHeldError
from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.rwlock import RWLock
from tests.sharing import DEADLINE_SECONDS, Child, Interrupter, until


@pytest.fixture
def rwlock(objects: SharedObjects) -> RWLock:
    """A reader-writer lock."""
    return objects.rwlock("db")


def is_free(lock: RWLock) -> bool:
    """Whether another process can write."""

    def write() -> bool:
        with lock.writing_within(DEADLINE_SECONDS / 4):
            return True

    return bool(Child(write).result())


def is_waited_for(lock: RWLock) -> bool:
    """Whether somebody waits for it who is served before whoever comes next."""
    try:
        lock._party.ask(AcquireReadWrite(lock.name, True, 0))
    except LockTimeoutError as error:
        return "before it" in str(error)
    raise AssertionError("nobody has it")


def held_by_child(objects: SharedObjects, lock: RWLock, *, is_write: bool) -> Child:
    """Return a child that has it until it is killed."""
    ready = objects.event("held")

    def hold() -> None:
        with lock.writing() if is_write else lock.reading():
            ready.set()
            signal.pause()

    ready.clear()
    child = Child(hold)
    assert ready.wait(DEADLINE_SECONDS)
    return child


def test_many_read_and_one_writes(objects: SharedObjects, rwlock: RWLock) -> None:
    """Three processes read at the same time; two values that are written together are read together."""
    first, second = objects.value("first"), objects.value("second")
    barrier = objects.barrier("readers", 4)

    def read() -> list[bool]:
        with rwlock.reading():
            barrier.wait(DEADLINE_SECONDS)
        seen = []
        for _ in range(30):
            with rwlock.reading():
                seen.append(first.value == second.value)
        return seen

    def write() -> None:
        for _ in range(30):
            with rwlock.writing():
                first.value += 1
                second.value += 1

    readers = [Child(read) for _ in range(3)]
    barrier.wait(DEADLINE_SECONDS)  # A writer that came before would keep the last reader from it.
    writers = [Child(write) for _ in range(2)]
    for writer in writers:
        writer.result()
    assert all(all(reader.result()) for reader in readers)
    assert first.value == second.value == 60


def test_a_reader_waits_behind_a_writer_that_waits(objects: SharedObjects, rwlock: RWLock) -> None:
    """Readers that keep coming do not keep a writer away."""
    rwlock.acquire_read()
    writer = Child(rwlock.acquire_write)
    until(lambda: is_waited_for(rwlock), "the child does not wait")
    assert not Child(lambda: rwlock.acquire_read(timeout=0.01)).result()
    rwlock.release_read()
    assert writer.result() is True


def test_times_out_with_the_holder_named(objects: SharedObjects, rwlock: RWLock) -> None:
    """Who waited in vain is told who has it, and in which way."""
    with rwlock.writing():

        def try_all() -> list[object]:
            texts: list[object] = [rwlock.acquire_read(timeout=0.01), rwlock.acquire_write(block=False)]
            for side in (rwlock.reading_within(0.01), rwlock.writing_within(0.01)):
                with pytest.raises(LockTimeoutError) as caught, side:
                    pass
                texts.append(str(caught.value))
            return [*texts, *rwlock._party.timed_out_waits]

        was_read, was_written, *texts = Child(try_all).result()
    assert (was_read, was_written) == (False, False)
    assert len(texts) == 3
    assert all("held for writing by gw0" in text for text in texts)


def test_whoever_dies_writing_is_told_of(objects: SharedObjects, rwlock: RWLock) -> None:
    """The next one is warned of a dead writer; a dead reader leaves nothing half done."""
    held_by_child(objects, rwlock, is_write=True).kill()
    with pytest.warns(AbandonedLockWarning, match="for writing") as seen, rwlock.reading():
        pass
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held_by_child(objects, rwlock, is_write=False).kill()
        with rwlock.writing_within(DEADLINE_SECONDS):
            pass


@pytest.mark.parametrize("is_write", [False, True])
def test_a_warning_that_is_an_error_leaves_nothing_locked(
    objects: SharedObjects, rwlock: RWLock, is_write: bool
) -> None:
    """With -W error the lock is not taken by who gets the error."""
    held_by_child(objects, rwlock, is_write=True).kill()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AbandonedLockWarning):
            (rwlock.acquire_write if is_write else rwlock.acquire_read)()
    assert objects.party.held == ()
    assert is_free(rwlock)


def test_who_reads_cannot_write(rwlock: RWLock) -> None:
    """A thread that waits for itself is told at once."""
    with rwlock.reading(), pytest.raises(DeadlockError, match="to write"):
        rwlock.acquire_write()
    with rwlock.writing(), pytest.raises(DeadlockError, match="to read"):
        rwlock.acquire_read()
    assert is_free(rwlock)


def test_what_is_not_held_is_not_released(rwlock: RWLock) -> None:
    """Holding it in one way is not holding it in the other."""
    releases: list[Callable[[], None]] = [rwlock.release_read, rwlock.release_write]
    for release in releases:
        for error in (NotHeldError, RuntimeError, ValueError):
            with pytest.raises(error):
                release()
    with rwlock.reading():
        with pytest.raises(NotHeldError):
            rwlock.release_write()
        assert len(rwlock._party.held) == 1


def test_another_thread_may_release(objects: SharedObjects, rwlock: RWLock) -> None:
    """It belongs to the process; a thread releases its own first."""
    rwlock.acquire_read()
    party = objects.party
    (own,) = party.held

    def read_and_release() -> None:
        rwlock.acquire_read()
        rwlock.release_read()

    for target in (read_and_release, rwlock.release_read):
        assert party.held == (own,)
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert party.held == ()
    assert is_free(rwlock)


def test_leftovers_of_a_test_are_released(objects: SharedObjects, rwlock: RWLock) -> None:
    """They are called by the way in which they are held; those of others stay."""
    party = objects.party
    party.set_test("a.py::test_other (setup)")
    rwlock.acquire_read()
    party.set_test("a.py::test_x (call)")
    rwlock.acquire_read()
    objects.rwlock("log").acquire_write()
    texts = party.release_leftovers("a.py::test_x")
    assert [text.split(", taken at ")[0] for text in texts] == ["write lock 'log'", "read lock 'db'"]
    assert all("test_sync_rwlock.py:" in text for text in texts)
    assert is_free(objects.rwlock("log"))
    (held,) = party.held
    assert held.test == "a.py::test_other (setup)"
    rwlock.release_read()
    assert is_free(rwlock)


@pytest.mark.parametrize("is_write", [False, True])
def test_an_interrupt_at_any_line_leaves_nothing_locked(objects: SharedObjects, rwlock: RWLock, is_write: bool) -> None:
    """Wherever a handler raises while it is taken, it was not taken."""
    party, line, has_raised = objects.party, 0, True
    acquire, release = (
        (rwlock.acquire_write, rwlock.release_write) if is_write else (rwlock.acquire_read, rwlock.release_read)
    )
    acquire()
    release()
    while has_raised:
        with Interrupter(line) as interrupter:
            try:
                acquire()
            except KeyboardInterrupt:
                pass
        has_raised = interrupter.has_raised
        if not has_raised:
            release()
        assert party.held == (), line
        party.ask(AcquireReadWrite(rwlock.name, True, 0))  # It is free.
        rwlock.release_write()
        line += 1
    assert line > 10


def test_children_hold_nothing_of_their_parents(rwlock: RWLock) -> None:
    """A forked child holds nothing; a proxy that was pickled is the same lock."""
    with rwlock.reading():
        assert Child(lambda: (len(rwlock._party.held), rwlock.acquire_write(block=False))).result() == (0, False)
        assert Child(lambda: rwlock.acquire_read(block=False)).result() is True
    again = pickle.loads(pickle.dumps(rwlock))
    assert again == rwlock
    assert again._party is rwlock._party
