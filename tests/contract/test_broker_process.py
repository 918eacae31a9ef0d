"""The broker's process and the proxies: what real processes and threads see of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import resource
import signal
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_parpool.errors import ProtocolError
from pytest_parpool.model.sync_moves import ConnectionId
from pytest_parpool.model.sync_requests import GetFromQueue, IsEventSet, Origin, Request, SetEvent, Status
from pytest_parpool.runtime.framing import FrameReader, frame
from pytest_parpool.runtime.sync_codec import Abandon, Hello, Reply, encode_opening, encode_request
from pytest_parpool.sync import broker_main, party_watch
from pytest_parpool.sync.broker_process import BrokerProcess
from pytest_parpool.sync.connection import Connection
from pytest_parpool.sync.errors import (
    AbandonedLockWarning,
    BrokenBarrierError,
    BrokerLostError,
    DeadlockError,
    LockTimeoutError,
    MismatchError,
    NotHeldError,
)
from pytest_parpool.sync.event import Event
from pytest_parpool.sync.lock import Lock
from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.party import Party, join
from pytest_parpool.sync.reception import MOST_TOLD
from pytest_parpool.sync.unix_service import UnixService
from tests.sharing import DEADLINE_SECONDS, Child, Interrupter, brokers, is_marked, is_marked_slot, until

NAME = "db"
KILLED = -signal.SIGKILL


def is_free_for_others(lock: Lock) -> bool:
    """Whether another process can take a lock in time."""

    def take() -> bool:
        with lock.within(DEADLINE_SECONDS / 4):
            return True

    return bool(Child(take).result())


def in_other_process(function: Callable[[], object]) -> bool:
    """Whether something is so in another process."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if function() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# --- The process ------------------------------------------------------------------------------------------------------


def test_eight_start_one_broker(token: str, party: Party) -> None:
    """Of many who need it at the same moment one starts it, and all get the same."""
    start_read, start_write = os.pipe()

    def begin() -> str:
        os.close(start_write)
        os.read(start_read, 1)  # the end of the pipe comes for all at once
        SharedObjects(join(token, party.service.owner_pid, "gw")).event("e").is_set()
        return party.connections.broker

    children = [Child(begin) for _ in range(8)]
    os.close(start_write)
    os.close(start_read)
    assert len({child.result() for child in children}) == 1
    assert len(brokers(token)) == 1


def test_it_is_nobodys_child(token: str, objects: SharedObjects) -> None:
    """Who started it has no child to wait for, and it is in a session of its own."""

    def start() -> tuple[bool, int]:
        objects.event("e").set()
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            (pid,) = brokers(token)
            return True, os.getsid(pid)
        return False, 0

    is_childless, session = Child(start).result()
    assert is_childless
    assert session not in {0, os.getsid(0)}


def test_it_ends_with_the_run(token: str) -> None:
    """When the run's process is killed, the broker ends, too."""
    ready_read, ready_write = os.pipe()

    def own() -> None:
        SharedObjects(join(token, os.getpid(), "owner")).lock(NAME).acquire()
        os.write(ready_write, b"x")
        signal.pause()

    owner = Child(own)
    os.read(ready_read, 1)
    assert len(brokers(token)) == 1
    owner.kill()
    until(lambda: brokers(token) == [], "the broker outlived the run")
    for fd in (ready_read, ready_write):
        os.close(fd)


def test_only_the_owner_may_say_goodbye(token: str, objects: SharedObjects) -> None:
    """The goodbye of any other process is not heard."""
    objects.event("e").set()
    assert Child(objects.party.service.say_goodbye).result() is None
    assert objects.event("e").is_set()
    assert len(brokers(token)) == 1


def test_a_goodbye_to_nobody_starts_nothing(token: str, party: Party) -> None:
    """A run that used no shared object pays nothing at its end."""
    party.service.say_goodbye()
    assert brokers(token) == []


def test_who_asks_after_the_end_is_told(token: str, objects: SharedObjects) -> None:
    """When the broker is gone, its objects are, too: that is an error, not a new broker with none of them."""
    objects.event("e").set()
    objects.party.service.say_goodbye()
    until(lambda: brokers(token) == [], "the broker did not end")
    for _ in range(2):
        with pytest.raises(BrokerLostError, match="gw0"):
            objects.event("e").is_set()
    assert brokers(token) == []


def test_where_sockets_have_no_abstract_names(token: str) -> None:
    """There the address is in a folder of this user's alone, and both are gone with the broker."""
    service = UnixService(token, os.getpid(), has_abstract_names=False)
    event = SharedObjects(Party(service, "gw0")).event("e")
    event.set()
    assert event.is_set()
    folder = Path(service.address).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert Child(lambda: Event.of(Party(service, "gw1"), "e").is_set()).result()
    service.say_goodbye()
    until(lambda: not folder.exists(), "the folder is still there")


def test_where_processes_cannot_be_watched(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the broker looks after them now and then."""
    service = UnixService(token, os.getpid())
    listener = service._try_bind()
    assert listener is not None
    ready_read, ready_write = os.pipe()

    def own() -> None:
        os.write(ready_write, b"x")
        signal.pause()

    owner = Child(own)
    os.read(ready_read, 1)

    def serve() -> None:
        monkeypatch.setattr(party_watch, "watch", lambda _pid: None)
        monkeypatch.setattr(party_watch, "_LOOK_SECONDS", 0.1)
        BrokerProcess(listener, owner.pid, token).serve()

    broker = Child(serve)
    listener.close()
    lock = SharedObjects(Party(service, "gw0")).lock(NAME)
    held_by_child(lock, is_managed=True).kill()
    with pytest.warns(AbandonedLockWarning, match="gw1"):
        assert lock.acquire(timeout=DEADLINE_SECONDS)
    owner.kill()
    broker.result()
    for fd in (ready_read, ready_write):
        os.close(fd)


def test_signals_do_not_end_it(token: str, objects: SharedObjects) -> None:
    """What is typed at a terminal is not for the broker; tests release their locks after Ctrl-C, too."""
    objects.event("e").set()
    (pid,) = brokers(token)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGQUIT):
        os.kill(pid, number)
    assert objects.event("e").is_set()


def test_who_does_not_read_blocks_nobody(objects: SharedObjects) -> None:
    """A process that asks and asks, and never reads an answer, is left to itself."""
    event = objects.event("e")
    event.set()
    party = objects.party
    sock = party.service.connect()
    sock.sendall(frame(encode_opening(Hello(party.service.token, "rude", "rude", os.getpid(), False, ()))))
    sock.setblocking(False)
    asked = frame(encode_request(1, Origin(1, "", ""), IsEventSet("e")))
    sent = refusals = 0
    while refusals < 100:  # Until the broker does not read any more either.
        try:
            sent += sock.send(asked[sent % len(asked) :] + asked * 100)
            refusals = 0
        except BlockingIOError:
            refusals += 1
        assert event.is_set()
    sock.settimeout(DEADLINE_SECONDS)
    reader, replies = FrameReader(), -1  # The first frame is the greeting.
    while replies < sent // len(asked):
        reader.feed(sock.recv(65536))
        replies += len(reader.frames())
    sock.close()
    assert event.is_set()


@pytest.mark.parametrize("seconds", [float("inf"), 1e300, 1e9])
def test_any_number_is_a_timeout(objects: SharedObjects, seconds: float) -> None:
    """Also those that no clock will reach."""
    lock = objects.lock(NAME)
    lock.acquire()
    child = Child(lambda: lock.acquire(timeout=seconds))
    until(lambda: is_marked(lock), "the child does not wait")
    assert not objects.event("e").wait(0.01)  # The broker has had to look at the clock.
    lock.release()
    assert child.result() is True


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 100, frame(b"\xff"), frame(encode_opening(Hello("x", "", "", 0, True, ())))]
)
def test_strangers_are_shown_the_door(objects: SharedObjects, data: bytes) -> None:
    """Bytes that are no request, and tokens of other runs, end their connection and nothing else."""
    event = objects.event("e")
    event.set()
    sock = objects.party.service.connect()
    if data:
        sock.sendall(data)
    if data != b"\xff" * 100:  # Those promise a long frame, for which it waits.
        sock.shutdown(1)
        sock.settimeout(DEADLINE_SECONDS)
        assert sock.recv(100) == b""
    sock.close()
    assert event.is_set()


def test_a_bug_of_the_broker_is_shown(token: str, objects: SharedObjects) -> None:
    """What it breaks down with is an error for those who wait for it, not silence."""
    lock = objects.lock(NAME)
    lock.acquire()
    waiter = Child(lock.acquire)
    until(lambda: is_marked(lock), "the child does not wait")
    with pytest.raises(ProtocolError, match=r"(?s)Traceback.*unhashable.*please report"):
        objects.party.ask(SetEvent([]))  # type: ignore[arg-type]
    with pytest.raises((ProtocolError, BrokerLostError)):
        waiter.result()
    until(lambda: brokers(token) == [], "the broker did not end")
    with pytest.raises(BrokerLostError):
        objects.event("e").is_set()
    assert brokers(token) == []


# --- Locks ------------------------------------------------------------------------------------------------------------


def test_no_increment_is_lost(objects: SharedObjects) -> None:
    """Eight processes that count under a lock, by reading and writing, lose nothing."""
    lock, value = objects.lock(NAME), objects.value("n", 0)

    def count() -> None:
        for _ in range(100):
            with lock:
                value.value += 1

    for child in [Child(count) for _ in range(8)]:
        child.result()
    assert value.value == 800


def test_no_increment_is_lost_among_threads(objects: SharedObjects) -> None:
    """Threads of two processes exclude each other like processes."""
    lock, value = objects.lock(NAME), objects.value("n", 0)

    def count() -> None:
        for _ in range(25):
            with lock:
                value.value += 1

    def count_in_threads() -> int:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(objects.party.held)

    children = [Child(count_in_threads) for _ in range(2)]
    assert count_in_threads() == 0
    assert [child.result() for child in children] == [0, 0]
    assert value.value == 300


def held_by_child(lock: Lock, *, is_managed: bool) -> Child:
    """Return a child that holds a lock and does not release it; taken by itself, or from the broker."""
    ready_read, ready_write = os.pipe()

    def hold() -> None:
        lock._party.rename("gw1")
        lock._party.set_test("tests/test_a.py::test_x (call)")
        lock.acquire()
        os.write(ready_write, b"x")
        signal.pause()

    if is_managed:
        lock.acquire()
        child = Child(hold)
        until(lambda: is_marked(lock), "the child does not wait")
        lock.release()
    else:
        child = Child(hold)
    os.read(ready_read, 1)
    for fd in (ready_read, ready_write):
        os.close(fd)
    return child


@pytest.mark.parametrize("is_awaited", [False, True])
@pytest.mark.parametrize("is_managed", [False, True])
def test_who_dies_leaves_the_lock_with_a_warning(objects: SharedObjects, is_managed: bool, is_awaited: bool) -> None:
    """The next one gets it, whether it waits already or not, and is told who died, in which test, on which line."""
    lock = objects.lock(NAME)
    child = held_by_child(lock, is_managed=is_managed)
    if is_awaited:
        threading.Timer(0.05, child.kill).start()
    else:
        child.kill()
    with pytest.warns(AbandonedLockWarning, match=r"gw1.* died .*while it held lock 'db'.*test_x.*half done") as seen:
        assert lock.acquire(timeout=DEADLINE_SECONDS)
    assert seen[0].filename == __file__
    lock.release()
    with warnings.catch_warnings():  # Once is enough.
        warnings.simplefilter("error")
        assert lock.acquire()
    lock.release()


def test_a_warning_that_is_an_error_leaves_nothing_locked(objects: SharedObjects) -> None:
    """With -W error the lock is not taken by who gets the error."""
    lock = objects.lock(NAME)
    for is_managed in (False, True):
        held_by_child(lock, is_managed=is_managed).kill()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(AbandonedLockWarning):
                lock.acquire()
        assert objects.party.held == ()
        assert is_free_for_others(lock)


def test_timed_out_waits_say_why(objects: SharedObjects) -> None:
    """Who waited in vain is told who holds it; ``within`` raises that."""
    lock = objects.lock(NAME)
    child = held_by_child(lock, is_managed=False)
    began = time.monotonic()
    assert not lock.acquire(timeout=0.1)
    assert time.monotonic() - began >= 0.1
    (text,) = objects.party.timed_out_waits
    assert "gw1" in text
    assert "test_x" in text
    with pytest.raises(LockTimeoutError, match="gw1"), lock.within(0.01):
        pass
    assert not lock.acquire(block=False)
    assert not lock.acquire(blocking=False)
    assert len(objects.party.timed_out_waits) == 1
    assert lock.locked()
    child.kill()


def test_an_interrupted_wait_leaves_nothing_locked(objects: SharedObjects) -> None:
    """A handler that raises ends the wait; the lock goes to somebody else, and this process may ask again."""
    lock = objects.lock(NAME)
    lock.acquire()

    class InterruptionError(Exception):
        pass

    def interrupt(_number: int, _frame: object) -> None:
        raise InterruptionError

    def wait() -> bool:
        signal.signal(signal.SIGUSR1, interrupt)
        try:
            lock.acquire()
        except InterruptionError:
            return objects.party.held == () and not lock.acquire(timeout=0) and objects.event("e").wait(10)
        return False

    child = Child(wait)
    until(lambda: is_marked(lock), "the child does not wait")
    os.kill(child.pid, signal.SIGUSR1)
    objects.event("e").set()
    assert child.result()
    lock.release()
    until(lambda: not is_marked(lock), "the broker keeps the lock for nobody")
    assert is_free_for_others(lock)


def test_any_number_of_locks_is_handed_back(objects: SharedObjects) -> None:
    """Also more locks than the broker remembers the release of are free again, each of them."""
    locks = [objects.lock(f"{NAME} {number}") for number in range(MOST_TOLD + 1)]
    for lock in locks:
        with lock:
            pass
        objects.party.locks._slot_of[lock.name] = -1  # As if there was no slot left for it.
    for _ in range(2):
        for lock in locks:
            assert lock.acquire(timeout=0)
            lock.release()
    assert objects.party.held == ()


def test_an_answer_that_is_not_looked_at_is_undone(objects: SharedObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the interrupt comes between the grant and its taking, what was granted is free again."""
    ask = Connection.ask

    def ask_and_be_interrupted(connection: Connection, origin: Origin, request: Request) -> Reply:
        ask(connection, origin, request)
        raise KeyboardInterrupt

    lock, semaphore, jobs = objects.lock(NAME), objects.semaphore("s", 1), objects.queue("q")

    def hold_until_wanted() -> None:
        """Have the other thread ask the broker for the lock."""
        with lock:
            until(lambda: is_marked(lock), "nobody wants it")

    held_by_child(lock, is_managed=False).kill()
    jobs.put(1)
    jobs.put(2)
    takes: list[Callable[[], object]] = [lock.acquire, semaphore.acquire, jobs.get]
    holder = threading.Thread(target=hold_until_wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        holder.start()
        until(lambda: objects.party.held, "the thread does not hold the lock")
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "ask", ask_and_be_interrupted)
        for take in takes:
            with pytest.raises(KeyboardInterrupt):
                take()
    holder.join()
    assert objects.party.held == ()
    assert is_free_for_others(lock)
    assert Child(lambda: semaphore.acquire(timeout=10)).result()
    assert jobs.get() == 1


@pytest.mark.parametrize("is_managed", [False, True])
@pytest.mark.parametrize("step", ["acquire", "release", "both"])
def test_an_interrupt_at_any_line_leaves_nothing_locked(objects: SharedObjects, step: str, is_managed: bool) -> None:
    """Wherever a handler raises, ``acquire`` has taken nothing, and ``release`` has done nothing or all."""
    party, lock, line, has_raised = objects.party, objects.lock(NAME), 0, True
    with lock:
        slot = party.locks._slot_of[NAME]
        slots = party.connections.slots
    assert slots is not None
    if is_managed:  # As if there was no slot left for it.
        party.locks._slot_of[NAME] = -1
    while has_raised:
        if step == "release":
            lock.acquire()
        with Interrupter(line) as interrupter:
            try:
                if step == "acquire":
                    lock.acquire()
                elif step == "release":
                    lock.release()
                else:
                    with lock:
                        pass
            except KeyboardInterrupt:
                pass
        has_raised = interrupter.has_raised
        if (step == "acquire" and not has_raised) or (step != "acquire" and party.held):
            lock.release()  # Interrupted before it could begin, it is known still.
        assert party.held == (), line
        assert not slots.has_note(slot)
        until(lambda: not is_marked_slot(slots, slot), f"interrupted at line {line} the broker keeps it")
        assert in_other_process(lambda: slots.try_take(slot)), line
        line += 1
    assert line > 10


def test_an_interrupt_leaves_what_is_held(objects: SharedObjects) -> None:
    """Wherever the wait for one lock is interrupted, another one that this thread holds stays its own."""
    held, wanted, line, has_raised = objects.lock("held"), objects.lock("wanted"), 0, True
    for lock in (held, wanted):
        with lock:
            pass
        objects.party.locks._slot_of[lock.name] = -1  # As if there was no slot left for it.
    while has_raised:
        held.acquire()
        with Interrupter(line) as interrupter:
            try:
                with wanted:
                    pass
            except KeyboardInterrupt:
                pass
        has_raised = interrupter.has_raised
        for hold in objects.party.held:
            if hold.key == "wanted":
                wanted.release()
        assert in_other_process(lambda: not held.acquire(timeout=0)), line
        held.release()
        line += 1
    assert line > 10


def test_a_lock_of_the_brokers_is_released_while_another_thread_tries(
    objects: SharedObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has not seen that it is the broker's by now, and has entered itself where locks are taken alone."""
    lock = objects.lock(NAME)
    with lock:
        pass
    locks, slots = objects.party.locks, objects.party.connections.slots
    assert slots is not None
    slot, locks._slot_of[lock._lock_name] = locks._slot_of[lock._lock_name], -1
    lock.acquire()  # From the broker.
    locks._slot_of[lock._lock_name] = slot
    assert slots.is_marked(slot)

    def release_and_fail(_: int) -> bool:
        monkeypatch.undo()
        lock.release()
        return False

    monkeypatch.setattr(slots, "is_marked", lambda _: False)
    monkeypatch.setattr(slots, "try_take", release_and_fail)
    assert lock.acquire()
    assert in_other_process(lambda: not lock.acquire(block=False))
    lock.release()
    assert objects.party.held == ()
    assert is_free_for_others(lock)


def test_a_lock_that_was_released_is_free_for_who_heard_of_it(objects: SharedObjects) -> None:
    """Who is told by other means that a lock was released can take it without waiting."""
    lock = objects.lock(NAME)
    told_read, told_write = os.pipe()
    lock.acquire()

    def take_and_tell() -> None:
        with lock:
            pass
        os.write(told_write, b"x")

    for _ in range(30):
        child = Child(take_and_tell)
        until(lambda: is_marked(lock), "the child does not wait")
        lock.release()
        os.read(told_read, 1)
        assert lock.acquire(block=False)
        child.result()
    lock.release()
    for fd in (told_read, told_write):
        os.close(fd)


def test_a_deadlock_is_an_error(objects: SharedObjects) -> None:
    """Of two who wait for each other's lock the second is told, with the whole cycle."""
    one, two = objects.lock("one"), objects.lock("two")
    one.acquire()

    def cross() -> None:
        objects.party.rename("gw1")
        with two:
            objects.event("has two").set()
            one.acquire()

    child = Child(cross)
    assert objects.event("has two").wait(DEADLINE_SECONDS)
    until(lambda: is_marked(one), "the child does not wait")
    with pytest.raises(DeadlockError, match=r"(?s)gw0.*'two'.*gw1.*'one'"):
        two.acquire()
    one.release()
    child.result()


def test_what_is_not_held_is_not_released(objects: SharedObjects) -> None:
    """As in the standard library, with both of its exceptions."""
    lock, rlock = objects.lock(NAME), objects.rlock(NAME)
    for error in (RuntimeError, ValueError, NotHeldError):
        with pytest.raises(error):
            lock.release()
        with pytest.raises(error):
            rlock.release()
    with rlock:
        assert lock.acquire(timeout=0)  # It is another one.
        lock.release()


def test_rlock_belongs_to_its_thread(objects: SharedObjects) -> None:
    """It may be taken again by its thread, is free after as many releases, and no other thread can release it."""
    rlock = objects.rlock(NAME)
    with rlock, rlock, rlock.within(1):
        seen: list[object] = []

        def try_both() -> None:
            seen.append(rlock.acquire(block=False))
            try:
                rlock.release()
            except NotHeldError as error:
                seen.append(error)

        thread = threading.Thread(target=try_both)
        thread.start()
        thread.join()
        assert seen[0] is False
        assert isinstance(seen[1], NotHeldError)
        assert Child(lambda: rlock.acquire(block=False)).result() is False
    assert is_free_for_others(rlock)
    assert objects.party.held == ()


def test_leftovers_of_a_test_are_released(objects: SharedObjects) -> None:
    """What a test has not released is released by name, and others' things are left alone."""
    party = objects.party
    lock, rlock, semaphore = objects.lock(NAME), objects.rlock("r"), objects.semaphore("s", 1)
    other = objects.lock("other")
    party.set_test("a.py::test_other (setup)")
    other.acquire()
    party.set_test("a.py::test_x (setup)")
    lock.acquire()
    party.set_test("a.py::test_x (call)")
    rlock.acquire()
    rlock.acquire()
    semaphore.acquire()
    texts = party.release_leftovers("a.py::test_x")
    assert sorted(text.split(", taken at ")[0] for text in texts) == ["lock 'db'", "rlock 'r'", "semaphore 's'"]
    assert all("test_broker_process.py:" in text for text in texts)
    assert [str(hold).split(",")[0] for hold in party.held] == ["lock 'other'"]
    assert is_free_for_others(lock)
    assert is_free_for_others(rlock)
    assert Child(lambda: semaphore.acquire(timeout=10)).result()
    assert party.release_leftovers("a.py::test_x") == []


# --- Hands to put them in ---------------------------------------------------------------------------------------------


def spawned(lock: Lock, event: Any, names: Any) -> None:
    """Run in a spawned child, which knows only what it was sent."""
    with lock:
        names.put(lock._party.name)
    event.set()


def test_proxies_are_handed_to_spawned_children(objects: SharedObjects) -> None:
    """A proxy that was pickled is the same object in a process that shares no memory with this one."""
    lock, event, names = objects.lock(NAME), objects.event("e"), objects.queue("names")
    child = multiprocessing.get_context("spawn").Process(target=spawned, args=(lock, event, names))
    child.start()
    assert event.wait(DEADLINE_SECONDS)
    assert names.get(timeout=DEADLINE_SECONDS) == f"process {child.pid}, started by gw0"
    child.join(DEADLINE_SECONDS)
    assert child.exitcode == 0


def test_proxies_are_handed_to_forked_children_and_threads(objects: SharedObjects) -> None:
    """A forked child is a party of its own, and holds nothing of what its parent does; a thread neither."""
    lock, seen = objects.lock(NAME), []
    lock.acquire()

    def look() -> tuple[str, int, bool]:
        return lock._party.name, len(lock._party.held), lock.acquire(timeout=0.01)

    child = Child(look)
    assert child.result() == (f"process {child.pid}, started by gw0", 0, False)
    thread = threading.Thread(target=lambda: seen.append(lock.acquire(timeout=0.01)))
    thread.start()
    thread.join()
    assert seen == [False]
    lock.release()
    assert is_free_for_others(lock)


def test_pickled_here_is_the_same_here(objects: SharedObjects) -> None:
    """A proxy that comes back is equal, and of the same party."""
    for proxy in (
        objects.lock("a"),
        objects.rlock("a"),
        objects.semaphore("a", 2),
        objects.event("a"),
        objects.value("a", [1]),
        objects.counter("a"),
        objects.barrier("a", 2),
        objects.queue("a", 3),
    ):
        again = pickle.loads(pickle.dumps(proxy))
        assert again == proxy
        assert hash(again) == hash(proxy)
        assert again._party is objects.party
        assert again._arguments() == proxy._arguments()


def test_a_thread_may_end_with_a_lock(objects: SharedObjects) -> None:
    """The next thread, which the system may give the same number, is not taken for the one that ended."""
    lock = objects.lock(NAME)
    seen: list[object] = []

    def wait() -> None:
        try:
            seen.append(lock.acquire())
        except DeadlockError as error:
            seen.append(error)

    first, thread = threading.Thread(target=wait), threading.Thread(target=wait)
    first.start()
    first.join()
    thread.start()
    until(lambda: is_marked(lock) or len(seen) == 2, "the second thread does not wait")
    lock.release()
    thread.join()
    assert seen == [True, True]
    lock.release()


def test_threads_that_ended_leave_no_connections(objects: SharedObjects) -> None:
    """A thread's connection is closed with it."""
    event = objects.event("e")
    event.set()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        thread = threading.Thread(target=event.is_set)
        thread.start()
        thread.join()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_a_signal_handler_may_use_what_is_waited_for(objects: SharedObjects) -> None:
    """A handler that runs in the middle of a wait has a connection of its own."""
    event, ready = objects.event("e"), objects.event("ready")

    def wait() -> bool:
        signal.signal(signal.SIGUSR1, lambda *_: event.set())
        ready.set()
        return event.wait(DEADLINE_SECONDS) and event.is_set()

    child = Child(wait)
    assert ready.wait(DEADLINE_SECONDS)
    os.kill(child.pid, signal.SIGUSR1)
    assert child.result() is True


def test_a_test_that_closes_all_descriptors(objects: SharedObjects) -> None:
    """A process goes on with new ones, and does not close what the test has opened under their numbers."""
    lock, event = objects.lock(NAME), objects.event("e")
    event.set()
    with lock:
        pass

    def close_all() -> tuple[bool, bool, bool]:
        event.is_set()  # its own connection
        (read_end, write_end), keep = os.pipe(), {0, 1, 2}
        results = {int(name) for name in os.listdir("/proc/self/fd")} - keep
        fds = [fd for fd in results if os.path.exists(f"/proc/self/fd/{fd}")]
        sockets = [fd for fd in fds if "socket" in os.readlink(f"/proc/self/fd/{fd}") or fd >= 200]
        for fd in sockets:
            os.dup2(read_end, fd)
        del write_end
        is_set, is_taken = event.is_set(), lock.acquire(timeout=10)
        lock.release()
        return is_set, is_taken, all("pipe" in os.readlink(f"/proc/self/fd/{fd}") for fd in sockets)

    assert Child(close_all).result() == (True, True, True)


# --- Everything else --------------------------------------------------------------------------------------------------


def test_a_semaphore_has_so_many_permits(objects: SharedObjects) -> None:
    """No more than that are given; who dies with one gives it back."""
    semaphore = objects.semaphore("s", 2)
    ready = objects.event("ready")
    assert semaphore.acquire()

    def hold() -> None:
        semaphore.acquire()
        ready.set()
        signal.pause()

    child = Child(hold)
    assert ready.wait(DEADLINE_SECONDS)
    assert not semaphore.acquire(block=False)
    child.kill()
    with pytest.warns(AbandonedLockWarning, match="semaphore 's'"):
        assert semaphore.acquire(timeout=DEADLINE_SECONDS)
    semaphore.release(2)
    assert objects.party.held == ()
    with pytest.raises(MismatchError):
        objects.semaphore("s", 3).acquire()
    with pytest.raises(ValueError, match="one or more"):
        semaphore.release(0)


def test_events_across_processes(objects: SharedObjects) -> None:
    """Set in one, seen in another."""
    event, back = objects.event("e"), objects.event("back")

    def answer() -> None:
        event.wait(DEADLINE_SECONDS)
        back.set()

    child = Child(answer)
    event.set()
    assert back.wait(DEADLINE_SECONDS)
    child.result()
    event.clear()
    assert not event.is_set()


def test_a_queue_across_processes(objects: SharedObjects) -> None:
    """Each item is got once, those of one process in their order, and ``join`` waits for the last to be done."""
    jobs, results = objects.queue("jobs", 2), objects.queue("results")

    def work() -> None:
        while (job := jobs.get(timeout=DEADLINE_SECONDS)) is not None:
            results.put((os.getpid(), job[0]))
            jobs.task_done()
        jobs.task_done()

    children = [Child(work) for _ in range(3)]
    for number in range(40):
        jobs.put([number])
    for _ in children:
        jobs.put(None)
    jobs.join(DEADLINE_SECONDS)
    for child in children:
        child.result()
    got = [results.get_nowait() for _ in range(results.qsize())]
    assert sorted(number for _, number in got) == list(range(40))
    for child in children:
        own = [number for pid, number in got if pid == child.pid]
        assert own == sorted(own)
    with pytest.raises(queue.Empty):
        results.get_nowait()
    with pytest.raises(ValueError, match="too many times"):
        jobs.task_done()


def test_a_full_queue(objects: SharedObjects) -> None:
    """What does not fit is refused as the standard library does."""
    jobs = objects.queue("jobs", 1)
    jobs.put(1)
    assert jobs.full()
    with pytest.raises(queue.Full):
        jobs.put_nowait(2)
    with pytest.raises(queue.Full):
        jobs.put(2, timeout=0.01)
    with pytest.raises(TimeoutError):
        jobs.join(0.01)
    with pytest.raises(ValueError, match="non-negative"):
        jobs.get(timeout=-1)
    assert jobs.get() == 1
    assert jobs.empty()


def test_a_barrier_across_processes(objects: SharedObjects) -> None:
    """All go on together, each with a place of its own; again and again."""
    barrier = objects.barrier("b", 3)
    children = [Child(lambda: [barrier.wait(DEADLINE_SECONDS) for _ in range(5)]) for _ in range(2)]
    own = [barrier.wait(DEADLINE_SECONDS) for _ in range(5)]
    rounds = zip(own, *[child.result() for child in children], strict=True)
    assert all(set(places) == {0, 1, 2} for places in rounds)
    assert barrier.n_waiting == 0


def test_a_barrier_breaks(objects: SharedObjects) -> None:
    """When somebody's time is over, or somebody dies, all who wait are told."""
    barrier = objects.barrier("b", 3)
    child = Child(barrier.wait)
    until(lambda: barrier.n_waiting == 1, "the child does not wait")
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(0.01)
    with pytest.raises(BrokenBarrierError):
        child.result()
    assert barrier.broken
    barrier.reset()
    child = Child(barrier.wait)
    until(lambda: barrier.n_waiting == 1, "the child does not wait")
    threading.Timer(0.05, child.kill).start()
    with pytest.raises(BrokenBarrierError, match="started by gw0"):
        barrier.wait(DEADLINE_SECONDS)
    barrier.reset()
    barrier.abort()
    with pytest.raises(BrokenBarrierError):
        barrier.wait()


def test_once_is_once(objects: SharedObjects) -> None:
    """Of eight who want it one does it; all get copies of the result."""
    calls = objects.counter("calls")

    def prepare(text: str) -> list[str]:
        calls.next()
        return [text]

    children = [Child(lambda: objects.once("o", prepare, "done")) for _ in range(8)]
    assert [child.result() for child in children] == [["done"]] * 8
    assert calls.value == 1


def test_once_that_fails_fails_for_all(objects: SharedObjects) -> None:
    """What the first call raised is raised by all; if it cannot travel, its text is."""

    class LocalError(Exception):
        pass

    def fail() -> None:
        raise KeyError("no such thing")

    def fail_locally() -> None:
        raise LocalError("only here")

    def be_interrupted() -> None:
        raise KeyboardInterrupt

    for name, function, own, others, text in (
        ("a", fail, KeyError, KeyError, "no such thing"),
        ("b", fail_locally, LocalError, RuntimeError, "LocalError: only here"),
        ("c", be_interrupted, KeyboardInterrupt, RuntimeError, "gw0 by KeyboardInterrupt"),
        ("d", threading.Lock, TypeError, TypeError, "cannot be pickled"),
    ):
        with pytest.raises(own):
            objects.once(name, function)
        with pytest.raises(others, match=text):
            Child(lambda name=name: objects.once(name, int)).result()  # type: ignore[misc]


def test_once_goes_on_when_its_runner_dies(objects: SharedObjects) -> None:
    """The next who waits runs it."""
    running = objects.event("running")

    def hang() -> None:
        running.set()
        signal.pause()

    child = Child(lambda: objects.once("o", hang))
    assert running.wait(DEADLINE_SECONDS)
    threading.Timer(0.05, child.kill).start()
    assert objects.once("o", lambda: 5) == 5


def test_values_across_processes(objects: SharedObjects) -> None:
    """Every step counts, and who opens it later does not begin anew."""
    value, counter = objects.value("n", 1.5), objects.counter("c")
    objects.value("m", 0)

    def use() -> list[int]:
        objects.value("n", 100).update(lambda number: number + 1)
        objects.value("m", 100).add(1)
        return [next(counter) for _ in range(20)]

    numbers = [number for child in [Child(use) for _ in range(3)] for number in child.result()]
    assert sorted(numbers) == list(range(60))
    assert value.get() == 4.5
    assert objects.value("m").get() == 3
    assert value.compare_and_set(4.5, {"a": 1})
    assert not value.compare_and_set(4.5, 0)
    assert value.value == {"a": 1}
    with pytest.raises(TypeError):
        value.add(1)


def test_timeouts_are_never_early(objects: SharedObjects) -> None:
    """Whatever is waited for, not less than the timeout passes."""
    objects.semaphore("s", 1).acquire()
    objects.lock(NAME).acquire()
    waits: list[Callable[[], object]] = [
        lambda: objects.semaphore("s", 1).acquire(timeout=0.03),
        lambda: Child(lambda: objects.lock(NAME).acquire(timeout=0.03)).result(),
        lambda: objects.event("e").wait(0.03),
        lambda: objects.queue("q").get(timeout=0.03),
        lambda: objects.barrier("b", 2).wait(0.03),
        lambda: objects.wait_for(lambda: False, 0.03),
    ]
    for wait in waits:
        began = time.monotonic()
        with contextlib.suppress(queue.Empty, BrokenBarrierError, TimeoutError):
            assert not wait()
        assert time.monotonic() - began >= 0.03


def test_wait_for_looks_again_when_something_changes(objects: SharedObjects) -> None:
    """A predicate is looked at when any shared object has changed, and its value returned."""
    value = objects.value("n", 0)
    child = Child(lambda: [value.add(1) for _ in range(3)][-1])
    assert objects.wait_for(lambda: value.value == 3 and "three", DEADLINE_SECONDS) == "three"
    child.result()
    path = Path(f"/proc/{os.getpid()}/no-such-file")
    with pytest.raises(LockTimeoutError, match=r"was not true within 0\.01 s"):
        objects.wait_for(path.exists, 0.01)


def test_abandoning_what_never_was_harms_nobody(objects: SharedObjects) -> None:
    """A connection may say that it abandons what the broker has never seen, or what is somebody else's."""
    event = objects.event("e")
    event.set()
    party = objects.party
    hello = Hello(party.service.token, "odd", "odd", os.getpid(), False, ((ConnectionId(1), 1), (ConnectionId(99), 1)))
    connection = Connection.open(party.service, hello, may_start=False)
    assert event.is_set()
    mine = connection.connection
    for number in (1, 2, 99):
        for other in (1, mine, 999):
            reply = connection.ask(Origin(1, "", ""), Abandon(ConnectionId(other), number))
            assert (reply.status, reply.value) == (Status.DONE, None)
    assert event.is_set()
    connection.close()


def test_one_process_does_not_abandon_for_another(objects: SharedObjects) -> None:
    """Who says that it abandons what another one waits for takes nothing from it."""
    lock, party = objects.lock(NAME), objects.party
    lock.acquire()
    child = Child(lock.acquire)
    until(lambda: is_marked(lock), "the child does not wait")
    hello = Hello(party.service.token, "odd", "odd", os.getpid(), False, ())
    connection = Connection.open(party.service, hello, may_start=False)
    for number in range(1, 5):
        for other in range(1, connection.connection):
            connection.ask(Origin(1, "", ""), Abandon(ConnectionId(other), number))
    lock.release()
    assert child.result() is True
    connection.close()


def test_what_does_not_wait_can_be_abandoned(objects: SharedObjects) -> None:
    """Also a request that is looked at later than others is not granted to who does not look at its answer."""
    party, jobs = objects.party, objects.queue("jobs")
    jobs.put("first")
    hello = Hello(party.service.token, "odd", "odd", os.getpid(), False, ())
    asking, telling = (Connection.open(party.service, hello, may_start=False) for _ in range(2))
    for number in range(1, 30, 2):
        asking._send(encode_request(number, Origin(number, "", ""), GetFromQueue("jobs", 0, 0)))
        # This one is looked at before.
        asking._send(encode_request(number + 1, Origin(1, "", ""), IsEventSet("e")))
        telling.ask(Origin(number, "", ""), Abandon(asking.connection, number))
        assert jobs.qsize() == 1
    assert jobs.get() == "first"
    for connection in (asking, telling):
        connection.close()


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        pytest.param((1024, 4096), (4096, 4096), id="limited"),
        pytest.param((256, resource.RLIM_INFINITY), (10240, resource.RLIM_INFINITY), id="as-on-macOS"),
        pytest.param((65536, resource.RLIM_INFINITY), (65536, resource.RLIM_INFINITY), id="already-more"),
    ],
)
def test_the_broker_may_have_as_many_descriptors_as_the_system_allows(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], wanted: tuple[int, int]
) -> None:
    """Where there is no limit a number is named nevertheless: macOS refuses to set none."""
    seen: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: seen.append((kind, pair)))
    broker_main._raise_fd_limit()
    assert seen == [(resource.RLIMIT_NOFILE, wanted)]
