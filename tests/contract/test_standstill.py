"""A standstill as real processes see it: what the system says of them, and who may ask the broker to look."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager

import pytest

from pytest_parpool.model.sync_moves import Inspection
from pytest_parpool.policy.broker.standstill import SETTLED_SECONDS
from pytest_parpool.sync.errors import BrokerLostError, DeadlockError
from pytest_parpool.sync.inspection import inspect
from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.party import Party, join
from pytest_parpool.sync.unix_service import UnixService
from tests.sharing import DEADLINE_SECONDS, Child, brokers, until

if sys.platform != "linux":
    pytest.skip("elsewhere nothing is certain", allow_module_level=True)


@contextmanager
def prepared(prepare: Callable[[], object]) -> Iterator[int]:
    """Have a child get ready and then wait; give its process id."""
    ready_read, ready_write = os.pipe()

    def wait() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # A plugin for timeouts may watch this test.
        kept = prepare()
        os.write(ready_write, b"x")
        signal.pause()
        del kept

    child = Child(wait)
    try:
        assert os.read(ready_read, 1)
        yield child.pid
    finally:
        child.kill()
        os.close(ready_read)
        os.close(ready_write)


# --- What the system says ---------------------------------------------------------------------------------------------


def test_a_process_by_itself() -> None:
    """It has one thread and no children."""
    with prepared(lambda: None) as pid:
        assert inspect(pid) == Inspection(pid, 1, ())


def test_threads_are_counted() -> None:
    """Whatever they do."""

    def prepare() -> None:
        threading.Thread(target=signal.pause, daemon=True).start()

    with prepared(prepare) as pid:
        assert inspect(pid) == Inspection(pid, 2, ())


def test_children_are_named() -> None:
    """Also those that threads have started; not those that have ended."""
    read, write = os.pipe()
    over_read, over_write = os.pipe()

    def fork() -> None:
        child = os.fork()
        if child == 0:
            os.read(over_read, 1)
            os._exit(0)
        os.write(write, child.to_bytes(8, "little"))

    def prepare() -> None:
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        ended = os.fork()
        if ended == 0:
            os._exit(0)
        os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)

    with prepared(prepare) as pid:
        child = int.from_bytes(os.read(read, 8), "little")
        until(lambda: inspect(pid) == Inspection(pid, 1, (child,)), "what has ended is there")
        os.write(over_write, b"x")
    for fd in (read, write, over_read, over_write):
        os.close(fd)


def test_who_looks_does_not_count_itself() -> None:
    """The first process in a container adopts the broker, which is then its child."""

    def look_at_parent() -> Inspection | None:
        return inspect(os.getppid())

    def prepare() -> None:
        report_read, report_write = os.pipe()
        if os.fork() == 0:
            os.write(report_write, repr(look_at_parent()).encode())
            os._exit(0)
        os.write(write, os.read(report_read, 4096))

    read, write = os.pipe()
    with prepared(prepare) as pid:
        assert os.read(read, 4096).decode() == repr(Inspection(pid, 1, ()))
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("number", [signal.SIGALRM, signal.SIGTERM, signal.SIGUSR1])
def test_who_handles_signals_may_go_on(number: signal.Signals) -> None:
    """Its handler may do what it waits for."""
    with prepared(lambda: signal.signal(number, lambda *_: None)) as pid:
        assert inspect(pid) is None


def test_who_has_ended_waits_for_nothing() -> None:
    """Before it is reaped, and after."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert inspect(child.pid) is None
    child.wait()
    assert inspect(child.pid) is None


# --- Who may say that there is silence --------------------------------------------------------------------------------


def wait_for_another(token: str, owner_pid: int) -> None:
    """Be a worker that waits for ever for a second one."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    SharedObjects(join(token, owner_pid, "gw1")).barrier("b", 2).wait()


def is_waiting(token: str, owner_pid: int) -> bool:
    """Whether it waits; asked by a process that is gone again."""
    look = Child(lambda: SharedObjects(join(token, owner_pid, "visitor")).barrier("b", 2).n_waiting)
    return bool(look.result() == 1)


def is_told(child: Child, seconds: float) -> bool:
    """Whether something has come of a child within so many seconds."""
    return bool(select.select([child._result_fd], [], [], seconds)[0])


def test_silence_where_nobody_listens(token: str, party: Party) -> None:
    """Nothing happens, and nothing is started."""
    party.service.tell_silence((os.getpid(),), time.monotonic())
    assert brokers(token) == []


def test_the_owner_is_heard(token: str) -> None:
    """When all of its workers wait, they are told."""
    service = UnixService(token, os.getpid())
    worker = Child(lambda: wait_for_another(token, os.getppid()))
    until(lambda: is_waiting(token, os.getpid()), "the worker does not wait")

    def tell() -> bool:
        service.tell_silence((worker.pid,), time.monotonic())
        return is_told(worker, SETTLED_SECONDS)

    until(tell, "the worker is not told")
    with pytest.raises(DeadlockError) as caught:
        worker.result()
    assert re.search(r"\ngw1, at \S+:\d+, waits at barrier 'b' \(1 of 2 have come\)$", str(caught.value))
    service.say_goodbye()


def test_nobody_else_is_heard(token: str) -> None:
    """What another process says of the run's workers is not believed."""
    with prepared(lambda: None) as owner:
        worker = Child(lambda: wait_for_another(token, owner))
        until(lambda: is_waiting(token, owner), "the worker does not wait")
        service = UnixService(token, owner)
        for _ in range(10):
            service.tell_silence((worker.pid,), time.monotonic())
            assert not is_told(worker, 2 * SETTLED_SECONDS)
    with pytest.raises(BrokerLostError):
        worker.result()


# --- Event loops, in a run without workers ----------------------------------------------------------------------------


def in_own_run(token: str, use: Callable[[SharedObjects], Coroutine[object, object, object]]) -> object:
    """Run something in an event loop of a process that is a run of its own."""

    def own() -> object:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        return asyncio.run(use(SharedObjects(join(token, os.getpid(), "pytest"))))

    return Child(own).result()


def test_a_task_that_waits_may_be_helped_by_its_loop(token: str) -> None:
    """A timer sets what it waits for."""

    async def use(objects: SharedObjects) -> bool:
        event = objects.event("e")
        asyncio.get_running_loop().call_later(10 * SETTLED_SECONDS, event.set)
        return await event.wait_async()

    assert in_own_run(token, use) is True


def test_a_task_that_blocks_its_loop_is_not_helped(token: str) -> None:
    """The task that has the lock cannot go on meanwhile, also if its time is over."""

    async def hold(objects: SharedObjects, is_held: asyncio.Event) -> None:
        async with objects.lock("l"):
            is_held.set()
            await objects.event("e").wait_async(timeout=DEADLINE_SECONDS)

    async def use(objects: SharedObjects) -> None:
        is_held = asyncio.Event()
        holding = asyncio.create_task(hold(objects, is_held))
        await is_held.wait()
        try:
            objects.lock("l").acquire()
        finally:
            holding.cancel()

    with pytest.raises(DeadlockError, match="waits: lock 'l' is held by pytest"):
        in_own_run(token, use)
