"""Processes that use shared objects are killed at random moments: nobody hangs, and nothing is left or stays locked."""

from __future__ import annotations

import mmap
import os
import queue
import random
import signal
import struct
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_parpool.sync.errors import AbandonedLockWarning
from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.party import join

BATCHES = 10
ROUNDS_PER_BATCH = 20
WORKERS = 4
STEPS = 40
DEADLINE_SECONDS = 60.0

_CELL = struct.Struct("q")
_WRONG = 3


@pytest.fixture
def objects() -> Iterator[SharedObjects]:
    """The shared objects of a run of their own, whose broker is gone at the end."""
    party = join(os.urandom(8).hex(), os.getpid(), "main")
    yield SharedObjects(party)
    party.service.say_goodbye()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (sock := party.service.try_connect()) is not None:
        sock.close()
        assert time.monotonic() < deadline, "the broker does not end"
        time.sleep(0.001)


class Section:
    """Finds out whether two processes are in a section at once: a cell that whoever is inside writes its id into."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _CELL.size)

    def pass_through(self) -> None:
        """Go in and out.

        Raises:
            RuntimeError: If somebody else is inside who is alive.
        """
        (other,) = _CELL.unpack(self._memory[:])
        # Who was killed inside lets go of its locks a moment before it looks dead.
        deadline = time.monotonic() + DEADLINE_SECONDS / 10
        while other and _is_alive(other):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{other} is inside")
            os.sched_yield()
        self._memory[:] = _CELL.pack(os.getpid())
        os.sched_yield()
        if _CELL.unpack(self._memory[:]) != (os.getpid(),):
            raise RuntimeError("somebody came in")
        self._memory[:] = _CELL.pack(0)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def use_lock(objects: SharedObjects, section: Section) -> None:
    """One at a time."""
    with objects.lock("a"):
        section.pass_through()


def use_rlock(objects: SharedObjects, section: Section) -> None:
    """The same lock again, inside."""
    lock = objects.rlock("r")
    with objects.lock("a"), lock, lock:
        section.pass_through()


def use_impatiently(objects: SharedObjects, section: Section) -> None:
    """Give up soon."""
    lock = objects.lock("a")
    if lock.acquire(timeout=0.001):
        section.pass_through()
        lock.release()


def use_semaphore(objects: SharedObjects, section: Section) -> None:
    """Two at a time."""
    with objects.semaphore("s", 2):
        os.sched_yield()


def use_value(objects: SharedObjects, section: Section) -> None:
    """With its lock, and without."""
    value = objects.value("v")
    value.add(1)
    value.update(lambda number: number + 1)


def use_queue(objects: SharedObjects, section: Section) -> None:
    """Put something, take something."""
    shared = objects.queue("q", maxsize=3)
    try:
        shared.put_nowait(os.getpid())
        shared.get(timeout=0.01)
    except (queue.Full, queue.Empty):
        return


def use_event(objects: SharedObjects, section: Section) -> None:
    """Set, wait, clear."""
    event = objects.event("e")
    event.set()
    event.wait(0.001)
    event.clear()


USES: tuple[Callable[[SharedObjects, Section], None], ...] = (
    use_lock,
    use_rlock,
    use_impatiently,
    use_semaphore,
    use_value,
    use_queue,
    use_event,
)


def start(objects: SharedObjects, section: Section, seed: int) -> int:
    """Fork a process that uses everything in a random order, and ends with 0 if all was as it should be."""
    pid = os.fork()
    if pid:
        return pid
    code = _WRONG
    try:
        warnings.simplefilter("ignore", AbandonedLockWarning)
        chance = random.Random(seed)
        for _ in range(STEPS):
            chance.choice(USES)(objects, section)
        code = 0
    except BaseException:  # noqa: BLE001  -- told, and the exit code says it
        traceback.print_exc()
    finally:
        os._exit(code)


def wait_all(pids: list[int]) -> list[int]:
    """Wait for processes to end, and return their codes; those that hang are killed."""

    def kill_all() -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    watch = threading.Timer(DEADLINE_SECONDS, kill_all)
    watch.start()
    try:
        return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    finally:
        watch.cancel()
        watch.join()


def shared_files() -> list[str]:
    """Return what is in shared memory that we, or ``multiprocessing`` for us, may have put there."""
    return sorted(name for name in os.listdir("/dev/shm") if name.startswith(("parpool", "psm_", "sem.mp", "pym-")))


@pytest.mark.start_method(None)  # It has no inner run.
@pytest.mark.filterwarnings("ignore::pytest_parpool.sync.errors.AbandonedLockWarning")
@pytest.mark.parametrize("batch", range(BATCHES))
def test_kills_at_random_moments(objects: SharedObjects, batch: int) -> None:
    """Survivors finish, one at a time where only one may be, and everything is free at the end."""
    before = shared_files()
    for number in range(ROUNDS_PER_BATCH):
        chance = random.Random(batch * ROUNDS_PER_BATCH + number)
        section = Section()
        pids = [start(objects, section, chance.randrange(2**32)) for _ in range(WORKERS)]
        victims = pids[: chance.randrange(1, WORKERS)]
        for victim in victims:
            # The moment is what is random here; nothing waits for it.
            time.sleep(chance.random() * 0.02)
            os.kill(victim, signal.SIGKILL)
        codes = wait_all(pids)
        assert set(codes[: len(victims)]) <= {0, -signal.SIGKILL}
        assert codes[len(victims) :] == [0] * (WORKERS - len(victims))
        for lock in (objects.lock("a"), objects.rlock("r"), objects.value("v").get_lock()):
            assert lock.acquire(timeout=DEADLINE_SECONDS)
            lock.release()
        semaphore = objects.semaphore("s", 2)
        assert [semaphore.acquire(timeout=DEADLINE_SECONDS) for _ in range(2)] == [True, True]
        semaphore.release(2)
    assert shared_files() == before
