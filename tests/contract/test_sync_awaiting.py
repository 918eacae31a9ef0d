"""Shared objects in the tasks of event loops: nothing blocks the loop, and what is cancelled leaves nothing locked."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from pytest_parpool.sync.errors import (
    AbandonedLockWarning,
    BrokenBarrierError,
    BrokenConditionError,
    BrokerLostError,
    DeadlockError,
    LockTimeoutError,
    NotHeldError,
)
from pytest_parpool.sync.lock import Lock
from pytest_parpool.sync.objects import SharedObjects
from tests.sharing import DEADLINE_SECONDS, Child, brokers, is_marked, is_marked_slot, until

_T = TypeVar("_T")

Attempt = tuple[str, Callable[[SharedObjects], Awaitable[object]], Callable[[SharedObjects], object]]


def release_all(objects: SharedObjects) -> None:
    """Release all locks that this process holds, whatever thread or task took them."""
    for hold in objects.party.held:
        objects.party.locks.release_hold(hold)


# What can be taken: its name; how a task takes it; how that is undone. Held by somebody else there is none to be had.
TAKEN: list[Attempt] = [
    ("lock", lambda objects: objects.lock("x").acquire_async(), lambda objects: objects.lock("x").release()),
    # It belongs to a task that has ended.
    ("rlock", lambda objects: objects.rlock("x").acquire_async(), release_all),
    (
        "semaphore",
        lambda objects: objects.semaphore("x", 1).acquire_async(),
        lambda objects: objects.semaphore("x", 1).release(),
    ),
    (
        "read",
        lambda objects: objects.rwlock("x").acquire_read_async(),
        lambda objects: objects.rwlock("x").release_read(),
    ),
    (
        "write",
        lambda objects: objects.rwlock("x").acquire_write_async(),
        lambda objects: objects.rwlock("x").release_write(),
    ),
    ("queue", lambda objects: objects.queue("x").get_async(), lambda objects: objects.queue("x").put("item")),
]


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine in a loop of its own; a second is more than it takes."""

    async def within() -> _T:
        return await asyncio.wait_for(coroutine, DEADLINE_SECONDS)

    return asyncio.run(within())


def sync_form(objects: SharedObjects, name: str) -> Callable[..., object]:
    """Return how somebody without a loop takes what ``TAKEN`` is about."""
    forms: dict[str, Callable[..., object]] = {
        "lock": objects.lock("x").acquire,
        "rlock": objects.rlock("x").acquire,
        "semaphore": objects.semaphore("x", 1).acquire,
        "read": objects.rwlock("x").acquire_write,
        "write": objects.rwlock("x").acquire_write,
        "queue": objects.queue("x").get,
    }
    return forms[name]


def is_there(objects: SharedObjects, name: str) -> bool:
    """Whether another process can take it in time."""
    try:
        return bool(Child(lambda: sync_form(objects, name)(timeout=DEADLINE_SECONDS / 4)).result())
    except queue.Empty:
        return False


def count_descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


# --- Waiting ----------------------------------------------------------------------------------------------------------


def test_asyncio_is_imported_by_who_uses_it() -> None:
    """Shared objects do not cost the import of an event loop."""
    program = "import sys; import pytest_parpool.sync.objects; assert 'asyncio' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE_SECONDS)


def test_it_needs_a_loop(objects: SharedObjects) -> None:
    """Without one it is an error, and nothing is taken."""
    coroutine = objects.event("e").wait_async()
    with pytest.raises(RuntimeError, match="loop"):
        coroutine.send(None)


def test_other_tasks_go_on(objects: SharedObjects) -> None:
    """Many tasks of one thread wait for what another one of them does."""

    async def main() -> list[bool]:
        event = objects.event("e")
        tasks = [asyncio.create_task(event.wait_async()) for _ in range(200)]
        await asyncio.sleep(0)
        event.set()
        return await asyncio.gather(*tasks)

    assert run(main()) == [True] * 200


@pytest.mark.parametrize("kind", ["lock", "rlock", "semaphore", "write", "condition"])
def test_tasks_exclude_each_other(objects: SharedObjects, kind: str) -> None:
    """Tasks of several processes that count under a lock lose nothing, and no loop stops for it."""
    value = objects.value("n", 0)
    forms: dict[str, Callable[[], contextlib.AbstractAsyncContextManager[object]]] = {
        "lock": lambda: objects.lock("x"),
        "rlock": lambda: objects.rlock("x"),
        "semaphore": lambda: objects.semaphore("x", 1),
        "write": lambda: objects.rwlock("x").writing(),
        "condition": lambda: objects.condition("x"),
    }
    shared = forms[kind]

    async def count() -> None:
        for _ in range(10):
            async with shared():
                number = value.get()
                await asyncio.sleep(0)
                value.set(number + 1)

    async def count_in_tasks() -> None:
        await asyncio.gather(*[count() for _ in range(4)])

    for child in [Child(lambda: run(count_in_tasks())) for _ in range(3)]:
        child.result()
    run(count_in_tasks())
    assert value.get() == 160
    assert objects.party.held == ()


def test_readers_in_tasks(objects: SharedObjects) -> None:
    """Many tasks read at the same time; ``async with`` has the forms with a deadline, too."""
    rwlock, meeting = objects.rwlock("x"), objects.barrier("b", 3)

    async def read() -> int:
        async with rwlock.reading():
            return await meeting.wait_async()

    async def main() -> None:
        assert sorted(await asyncio.gather(*[read() for _ in range(3)])) == [0, 1, 2]
        async with rwlock.writing_within(DEADLINE_SECONDS):
            with pytest.raises(LockTimeoutError, match="held for writing by gw0"):
                await asyncio.create_task(read_in_time())
        with pytest.raises(NotHeldError):
            rwlock.release_read()

    async def read_in_time() -> None:
        async with rwlock.reading_within(0.01):
            raise AssertionError("somebody writes")

    run(main())
    assert objects.party.held == ()


def test_timeouts(objects: SharedObjects) -> None:
    """They give what the other forms give, are not early, and leave a text for the report."""
    holder = Child(lambda: hold_all(objects))
    assert objects.event("held").wait(DEADLINE_SECONDS)

    async def main() -> None:
        waits: list[Awaitable[object]] = [
            objects.lock("x").acquire_async(0.03),
            objects.rlock("x").acquire_async(0.03),
            objects.semaphore("x", 1).acquire_async(0.03),
            objects.rwlock("x").acquire_read_async(0.03),
            objects.rwlock("x").acquire_write_async(0.03),
            objects.event("e").wait_async(0.03),
        ]
        began = time.monotonic()
        assert await asyncio.gather(*waits) == [False] * 6
        assert time.monotonic() - began >= 0.03
        full = objects.queue("full", 1)
        await full.put_async(1)
        with pytest.raises(queue.Full):
            await full.put_async(2, 0.01)
        with pytest.raises(TimeoutError):
            await full.join_async(0.01)
        with pytest.raises(queue.Empty):
            await objects.queue("empty").get_async(0.01)
        with pytest.raises(BrokenBarrierError):
            await objects.barrier("b", 2).wait_async(0.01)
        for lock in (objects.lock("x"), objects.rlock("x")):
            with pytest.raises(LockTimeoutError, match="gw1"):
                async with lock.within(0.01):
                    raise AssertionError("somebody has it")
        assert await objects.lock("x").acquire_async(-2) is False

    run(main())
    assert len(objects.party.timed_out_waits) == 10
    holder.kill()


def hold_all(objects: SharedObjects) -> None:
    """Run in a child: hold everything that is called x, until it is killed."""
    objects.party.rename("gw1")
    objects.lock("x").acquire()
    objects.rlock("x").acquire()
    objects.semaphore("x", 1).acquire()
    objects.rwlock("x").acquire_write()
    objects.event("held").set()
    signal.pause()


def test_queues_in_tasks(objects: SharedObjects) -> None:
    """What tasks of one process put, tasks of another get; also what is larger than a socket takes at once."""
    jobs, results = objects.queue("jobs", 2), objects.queue("results")
    large = b"x" * 3_000_000

    async def work() -> None:
        while (job := await jobs.get_async()) is not None:
            await results.put_async(len(job))
            jobs.task_done()
        jobs.task_done()

    async def work_in_tasks() -> None:
        await asyncio.gather(work(), work())

    async def main() -> list[int]:
        for size in (1, len(large), 3):
            await jobs.put_async(large[:size])
        for _ in range(2):
            await jobs.put_async(None)
        await jobs.join_async(DEADLINE_SECONDS)
        return [await results.get_async() for _ in range(3)]

    child = Child(lambda: run(work_in_tasks()))
    assert sorted(run(main())) == [1, 3, len(large)]
    child.result()


def test_an_rlock_belongs_to_its_task(objects: SharedObjects) -> None:
    """It may be taken again by its task, in whatever form; no other task can take or release it."""
    rlock = objects.rlock("x")

    async def use() -> object:
        assert await rlock.acquire_async(0.01) is False
        with pytest.raises(NotHeldError):
            rlock.release()
        with pytest.raises(NotHeldError):
            await rlock._release_async()
        return "not mine"

    async def main() -> None:
        async with rlock, rlock, rlock.within(1):
            with rlock:
                assert await asyncio.create_task(use()) == "not mine"
            assert [hold.depth for hold in objects.party.held] == [3]
        assert objects.party.held == ()

    run(main())
    assert is_there(objects, "rlock")


def test_a_task_may_use_both_forms(objects: SharedObjects) -> None:
    """What a task says in one way does not overtake what it said in the other: it never waits for itself."""
    lock = objects.lock("x")
    stop = objects.event("stop")

    def contend() -> None:
        while not stop.is_set():
            with lock:
                pass

    async def use() -> None:
        for _ in range(100):
            await lock.acquire_async()
            lock.release()
            async with lock:
                pass
            lock.acquire()
            lock.release()

    children = [Child(contend) for _ in range(2)]
    # There the loop's connection is the first that the broker looks at, here it is the second.
    Child(lambda: run(use())).result()
    run(use())
    stop.set()
    for child in children:
        child.result()
    assert objects.party.held == ()


def test_a_release_is_not_overtaken(objects: SharedObjects) -> None:
    """Though the broker looks at the loop's connection before it looks at the thread's."""
    lock = objects.lock("x")

    async def main() -> None:
        await objects.event("e").wait_async(0)
        objects.party.locks._slot_of["x"] = -1  # As if there was no slot left for it.
        await lock.acquire_async()
        assert not objects.event("e").is_set()
        (broker,) = brokers(objects.party.service.token)
        os.kill(broker, signal.SIGSTOP)
        threading.Timer(0.05, os.kill, (broker, signal.SIGCONT)).start()
        lock.release()
        assert await lock.acquire_async()
        lock.release()

    run(main())
    assert objects.party.held == ()


def test_tasks_that_wait_for_each_other(objects: SharedObjects) -> None:
    """A deadlock among tasks of one loop is an error for the second, like one among processes."""
    one, two = objects.lock("one"), objects.lock("two")

    async def cross(first: Lock, second: Lock, mine: asyncio.Event, other: asyncio.Event) -> str:
        async with first:
            mine.set()
            await other.wait()
            try:
                async with second:
                    return "done"
            except DeadlockError:
                return "deadlock"

    async def main() -> tuple[str, str]:
        events = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(cross(one, two, *events), cross(two, one, *events[::-1]))

    assert sorted(run(main())) == ["deadlock", "done"]
    assert objects.party.held == ()


@pytest.mark.parametrize("is_waiting", [False, True])
@pytest.mark.parametrize("is_error", [False, True])
def test_whoever_dies_with_a_lock_is_told_of(objects: SharedObjects, is_waiting: bool, is_error: bool) -> None:
    """The warning names the line that awaits; if it is an error, nothing is taken."""
    lock = objects.lock("x")
    with lock:
        pass
    child = Child(lambda: hold_all(objects))
    assert objects.event("held").wait(DEADLINE_SECONDS)

    async def take() -> None:
        task = asyncio.create_task(take_here())
        if is_waiting:
            await asyncio.to_thread(until, lambda: is_marked(lock), "nobody waits")
        child.kill()
        await task

    async def take_here() -> None:
        await lock.acquire_async()

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("error" if is_error else "always")
        if is_error:
            with pytest.raises(AbandonedLockWarning):
                run(take())
        else:
            run(take())
            lock.release()
    if not is_error:
        assert [(warning.category, warning.filename) for warning in seen] == [(AbandonedLockWarning, __file__)]
    assert objects.party.held == ()
    assert is_there(objects, "lock")


# --- Cancelling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize(("name", "take", "give_back"), TAKEN, ids=[attempt[0] for attempt in TAKEN])
def test_cancelled_when_it_is_granted(
    objects: SharedObjects,
    name: str,
    take: Callable[[SharedObjects], Awaitable[object]],
    give_back: Callable[[SharedObjects], object],
    steps: int,
) -> None:
    """Whenever the task is cancelled, it has what it waited for, or nobody has."""
    holder = sync_form(objects, name)
    if name == "queue":
        objects.queue("x").put("first")
    holder()

    async def main() -> bool:
        task = asyncio.ensure_future(take(objects))
        for _ in range(3):
            await asyncio.sleep(0)
        give_it_up(objects, name)
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return False
        return True

    is_taken = run(main())
    if name != "queue":
        assert len(objects.party.held) == is_taken
    if is_taken:
        give_back(objects)
    assert is_there(objects, name)


def give_it_up(objects: SharedObjects, name: str) -> None:
    """Let go what this thread holds, from within a task of its loop."""
    if name == "queue":
        objects.queue("x").put("item")
    elif name == "semaphore":
        objects.semaphore("x", 1).release()
    elif name in {"read", "write"}:
        objects.rwlock("x").release_write()
    else:
        release_all(objects)


@pytest.mark.parametrize(("name", "take", "give_back"), TAKEN, ids=[attempt[0] for attempt in TAKEN])
def test_cancelled_while_it_waits(
    objects: SharedObjects,
    name: str,
    take: Callable[[SharedObjects], Awaitable[object]],
    give_back: Callable[[SharedObjects], object],
) -> None:
    """Its place is given up; other tasks go on waiting on the same connection."""
    child = Child(lambda: hold_all(objects))
    assert objects.event("held").wait(DEADLINE_SECONDS)

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(take(objects), 0.05)
        other = asyncio.ensure_future(take(objects))
        cancelled = [asyncio.ensure_future(take(objects)) for _ in range(3)]
        await asyncio.sleep(0.01)
        for task in cancelled:
            task.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)
        assert objects.party.held == ()
        assert not other.done()
        child.kill()
        if name == "queue":
            objects.queue("x").put("item")
        await other

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(main())
        assert len(objects.party.held) == (name != "queue")
        give_back(objects)
        assert is_there(objects, name)


def test_a_loop_that_is_cut_short(objects: SharedObjects) -> None:
    """What its tasks waited for is not given to anybody who is not there any more."""
    lock = objects.lock("x")
    lock.acquire()

    async def wait() -> None:
        waiting = asyncio.ensure_future(lock.acquire_async())
        await asyncio.sleep(0)
        assert not waiting.done()
        until(lambda: is_marked(lock), "the task does not wait")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(wait())
    (task,) = asyncio.all_tasks(loop)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # That is what this test is about.
    loop.close()
    lock.release()
    assert objects.party.release_leftovers("a.py::test_x") == []
    until(lambda: not is_marked(lock), "the broker keeps it for nobody")
    assert is_there(objects, "lock")


# --- Conditions -------------------------------------------------------------------------------------------------------


def test_conditions_in_tasks(objects: SharedObjects) -> None:
    """Tasks of two processes hand something to and fro; with a timeout they have the lock again."""
    condition, turn = objects.condition("c"), objects.value("turn", 0)

    async def play(me: int) -> int:
        for _ in range(10):
            async with condition:
                await condition.wait_for_async(lambda: turn.get() % 2 == me, DEADLINE_SECONDS)
                turn.add(1)
                condition.notify_all()
        return me

    async def main() -> None:
        assert await play(1) == 1
        async with condition, condition:
            assert await condition.wait_async(0.01) is False
            assert await condition.wait_for_async(lambda: "", 0.01) == ""
            assert [hold.depth for hold in objects.party.held] == [2]
        with pytest.raises(NotHeldError):
            await condition.wait_async()
        assert await condition.acquire_async()
        condition.release()

    child = Child(lambda: run(play(0)))
    run(main())
    assert child.result() == 0
    assert turn.get() == 20
    assert objects.party.held == ()


@pytest.mark.parametrize("steps", range(8))
def test_a_cancelled_wait_has_the_lock(objects: SharedObjects, steps: int) -> None:
    """As in ``asyncio``; a notification that it does not see is for the next one."""
    condition = objects.condition("c")
    seen: list[object] = []

    async def wait(name: str) -> None:
        async with condition:
            try:
                await condition.wait_async()
            except asyncio.CancelledError:
                assert len(objects.party.held) == 1
                seen.append(f"{name} cancelled")
                raise
            seen.append(name)

    async def main() -> None:
        tasks = [asyncio.create_task(wait("first"))]
        await enlisted(1)
        tasks.append(asyncio.create_task(wait("second")))
        await enlisted(2)
        async with condition:
            condition.notify()
        for _ in range(steps):
            await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        if seen == ["first"]:
            async with condition:
                condition.notify()
        await tasks[1]

    async def enlisted(count: int) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            async with condition:
                connection = objects.party.connections._of_loops
                assert connection is not None
                waiting = connection.of_running_loop()._waiting
                if len(waiting) == count:
                    return
            assert time.monotonic() < deadline, "the task does not wait"
            await asyncio.sleep(0)

    run(main())
    assert sorted(map(str, seen)) in (["first", "second"], ["first cancelled", "second"])
    assert objects.party.held == ()


def test_cancelled_when_it_is_notified(objects: SharedObjects) -> None:
    """Who is cancelled while it takes the lock again has the next one go on instead."""
    condition = objects.condition("c")
    ready = asyncio.Event()

    async def wait() -> bool:
        async with condition:
            ready.set()
            return await condition.wait_async()

    async def main() -> None:
        tasks = []
        for _ in range(2):
            ready.clear()
            tasks.append(asyncio.create_task(wait()))
            await ready.wait()
            async with condition:  # Now it waits.
                pass
        async with condition:
            condition.notify()
            slots, slot = objects.party.connections.slots, objects.party.locks._slot_of["condition:c"]
            assert slots is not None
            while not is_marked_slot(slots, slot):
                await asyncio.sleep(0)
            for _ in range(2):
                tasks[0].cancel()
                await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        assert await tasks[1] is True

    run(main())
    assert objects.party.held == ()


def test_a_broken_condition_in_a_task(objects: SharedObjects) -> None:
    """Who died with the lock is named."""
    condition, holds = objects.condition("c"), objects.event("holds")

    def hold() -> None:
        with condition:
            holds.set()
            signal.pause()

    async def main() -> None:
        async with condition:
            child = Child(hold)

            async def kill() -> None:
                assert await holds.wait_async(DEADLINE_SECONDS)
                child.kill()

            killing = asyncio.create_task(kill())
            with pytest.raises(BrokenConditionError, match="started by gw0 died"):
                await condition.wait_async(DEADLINE_SECONDS)
            await killing

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(main())
    assert objects.party.held == ()


# --- Connections ------------------------------------------------------------------------------------------------------


def test_a_loop_that_ends_closes_its_connection(objects: SharedObjects) -> None:
    """With ``asyncio.run`` at once; otherwise when the next one begins."""
    objects.event("e").set()
    gc.collect()  # Other tests have left some behind.
    before = count_descriptors()
    for _ in range(3):
        assert run(objects.event("e").wait_async())
        assert count_descriptors() == before
    loops = []
    for _ in range(5):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(objects.event("e").wait_async())
        loop.close()
        loops.append(loop)  # so that it is not collected
        assert count_descriptors() <= before + 1
    assert run(objects.event("e").wait_async())
    assert count_descriptors() == before


def test_a_child_forked_in_a_task(objects: SharedObjects) -> None:
    """It has nothing of its parent's loop, and may have a loop of its own."""
    lock, event = objects.lock("x"), objects.event("e")

    async def take() -> tuple[bool, bool]:
        return await lock.acquire_async(0.01), await event.wait_async(DEADLINE_SECONDS)

    async def main() -> None:
        async with lock:
            waiting = asyncio.create_task(event.wait_async(DEADLINE_SECONDS))
            await asyncio.sleep(0)
            connections = objects.party.connections._of_loops
            assert connections is not None
            sock = connections.of_running_loop()._sock
            child = Child(lambda: (sock.fileno(), lock.acquire(block=False), run(take())))
            event.set()
            assert await waiting
            assert await asyncio.to_thread(child.result) == (-1, False, (False, True))
            assert await event.wait_async()

    run(main())
    assert is_there(objects, "lock")


def test_a_test_that_closes_the_descriptor(objects: SharedObjects) -> None:
    """The loop goes on with another connection; who waited on the old one is told."""
    event = objects.event("e")

    async def main() -> None:
        waiting = asyncio.create_task(event.wait_async())
        await asyncio.sleep(0)
        connections = objects.party.connections._of_loops
        assert connections is not None
        fd = connections.of_running_loop()._sock.fileno()
        read_end, write_end = os.pipe()
        os.dup2(read_end, fd)
        assert await event.wait_async(0) is False
        with pytest.raises(BrokerLostError):
            await waiting
        event.set()
        assert await event.wait_async()
        assert os.fstat(fd).st_ino == os.fstat(read_end).st_ino
        for open_fd in (fd, read_end, write_end):
            os.close(open_fd)

    run(main())


def test_the_end_of_the_broker(objects: SharedObjects) -> None:
    """Who waits for it is told, and so is whoever comes later."""
    token = objects.party.service.token

    async def main() -> None:
        waiting = [asyncio.create_task(objects.event("e").wait_async()) for _ in range(3)]
        await asyncio.sleep(0)
        await objects.event("f").wait_async(0)
        objects.party.service.say_goodbye()
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, BrokerLostError)
        with pytest.raises(BrokerLostError):
            await objects.event("e").wait_async()

    run(main())
    until(lambda: brokers(token) == [], "the broker did not end")
