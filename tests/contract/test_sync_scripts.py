"""Shared objects without a name: what scripts see of them, and what becomes of them."""

from __future__ import annotations

import gc
import inspect
import multiprocessing
import os
import pickle
import queue
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pytest_parpool
from pytest_parpool import runs
from pytest_parpool.model.sync_requests import OpenLock
from pytest_parpool.sync import claims
from pytest_parpool.sync import party as parties
from pytest_parpool.sync.errors import AbandonedLockWarning, BrokerLostError
from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.party import Party
from pytest_parpool.sync.proxy import Proxy
from tests.sharing import DEADLINE_SECONDS, Child, brokers, until

ROOT = Path(__file__).resolve().parents[2]

# How each kind is made, what is done to one somewhere else, and what is seen of that here.
KINDS: dict[str, tuple[Callable[[], Any], Callable[[Any], object], Callable[[Any], object]]] = {
    "Lock": (pytest_parpool.Lock, lambda it: it.acquire(block=False), lambda it: not it.locked()),
    "RLock": (pytest_parpool.RLock, lambda it: it.acquire() and it.acquire(), lambda it: not it.locked()),
    "RWLock": (pytest_parpool.RWLock, lambda it: it.acquire_read(), lambda it: it.acquire_write(block=False)),
    "Semaphore": (lambda: pytest_parpool.Semaphore(0), lambda it: it.release(2), lambda it: it.acquire()),
    "Event": (pytest_parpool.Event, lambda it: it.set(), lambda it: it.is_set()),
    "Condition": (pytest_parpool.Condition, lambda it: it.acquire(), lambda it: not it.locked()),
    "Barrier": (lambda: pytest_parpool.Barrier(2), lambda it: it.abort(), lambda it: it.broken),
    "Queue": (lambda: pytest_parpool.Queue(1), lambda it: it.put("x"), lambda it: it.full() and it.get() == "x"),
    "Value": (lambda: pytest_parpool.Value([1]), lambda it: it.set([2]), lambda it: it.get() == [2]),
    "Counter": (pytest_parpool.Counter, next, lambda it: next(it) == 1),
    "Dict": (pytest_parpool.Dict, lambda it: it.update(a=1), lambda it: it["a"] == 1),
    "Array": (lambda: pytest_parpool.Array("i", 2), lambda it: it.__setitem__(0, 5), lambda it: list(it) == [5, 0]),
}


@pytest.fixture
def no_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is a script's, with a party of its own that ends with the test."""
    monkeypatch.setattr(runs, "_runs", [])
    monkeypatch.setattr(claims, "_own", {})
    yield
    own = claims._own.pop(os.getpid(), None)
    if own is not None:
        own.service.say_goodbye()
        until(lambda: brokers(own.service.token) == [], "the broker did not end")
        del parties._parties[own.service.token]


def use(kind: str, shared: Any) -> None:
    """Do to an object what its kind has for this; for children, which find it by its name."""
    KINDS[kind][1](shared)


def fill(is_ready: Any, jobs: Any, log: list[int]) -> None:
    """Wait for an event, and put on a queue what is in a list."""
    is_ready.wait()
    for number in log:
        jobs.put(number)


def run_script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a script as users do, without pytest."""
    (folder / "script.py").write_text(inspect.cleandoc(text), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def test_all_kinds_are_here() -> None:
    """Whoever adds a class finds here that it has to be made without a name, too."""
    exported = [getattr(pytest_parpool, name) for name in pytest_parpool.__all__]
    assert {it.__name__ for it in exported if isinstance(it, type) and issubclass(it, Proxy)} == set(KINDS)


# --- Where they can be used -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_share_them(kind: str, method: str) -> None:
    """What a child does to an object is seen here; what it held when it ended is free again."""
    make, _, is_seen = KINDS[kind]
    shared = make()
    child: Any = multiprocessing.get_context(method).Process(target=use, args=(kind, shared))  # type: ignore[attr-defined]  # The stubs know each method's own class only.
    child.start()
    child.join(DEADLINE_SECONDS)
    assert child.exitcode == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedLockWarning)
        assert is_seen(shared)


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_pickled_is_the_same_object(kind: str) -> None:
    """Two proxies of one object are equal, and those of two objects are not, though one line has made both."""
    first, second = [KINDS[kind][0]() for _ in range(2)]
    again = pickle.loads(pickle.dumps(first))
    assert again == first != second
    assert again._party is first._party
    assert type(again) is type(first)
    assert f"{os.path.basename(__file__)}:" in first.name


@pytest.mark.usefixtures("no_run")
def test_spawned_children_have_objects_of_their_own(tmp_path: Path) -> None:
    """A process that has received objects makes its own beside them, and both go on working."""
    result = run_script(
        tmp_path,
        """
        import multiprocessing
        import pytest_parpool

        def work(squares):
            numbers = pytest_parpool.Queue()
            numbers.put(7)
            squares.put(numbers.get() ** 2)

        if __name__ == "__main__":
            squares = pytest_parpool.Queue()
            for method in ("fork", "spawn"):
                child = multiprocessing.get_context(method).Process(target=work, args=(squares,))
                child.start()
                child.join()
                print(squares.get())
        """,
    )
    assert (result.stdout, result.stderr) == ("49\n49\n", "")


@pytest.mark.usefixtures("no_run")
def test_threads_share_them() -> None:
    """A thread waits for what another one does."""
    is_ready, jobs = pytest_parpool.Event(), pytest_parpool.Queue()
    thread = threading.Thread(target=fill, args=(is_ready, jobs, [1, 2]))
    thread.start()
    with pytest.raises(queue.Empty):
        jobs.get(block=False)
    is_ready.set()
    assert [jobs.get(timeout=DEADLINE_SECONDS) for _ in range(2)] == [1, 2]
    thread.join()


def test_a_script_that_uses_none_starts_nothing(tmp_path: Path) -> None:
    """Making objects costs no process; the first use does, and the broker ends with the script."""
    result = run_script(
        tmp_path,
        """
        from pathlib import Path
        import pytest_parpool

        def brokers():
            token = lock._party.service.token.encode()
            lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
            return sum(line.endswith(token + b"\\0") for line in lines)

        lock = pytest_parpool.Lock()
        print(brokers())
        with lock:
            print(brokers())
        print(lock._party.service.token)
        """,
    )
    *counts, token = result.stdout.split()
    assert counts == ["0", "1"], result.stderr
    until(lambda: brokers(token) == [], "the broker did not end")


@pytest.mark.usefixtures("no_run")
def test_counts_and_shapes_are_checked() -> None:
    """The message names the argument; a list is no shape, because ``multiprocessing`` takes it for the values."""
    wrong: Any
    for wrong in (-1, 1.5, None):
        with pytest.raises(ValueError, match=r"^value: .* is not allowed"):
            pytest_parpool.Semaphore(wrong)
    for wrong in (0, "2"):
        with pytest.raises(ValueError, match=r"^parties: .* is not allowed"):
            pytest_parpool.Barrier(wrong)
    wrong = [1, 2]
    with pytest.raises(ValueError, match=r"^shape: the list \[1, 2\]"):
        pytest_parpool.Array("i", wrong)


# --- Within a run -----------------------------------------------------------------------------------------------------


def test_named_objects_are_of_the_same_classes(objects: SharedObjects) -> None:
    """What the fixture makes is an instance of what annotations name; a list of lengths is a shape there."""
    assert isinstance(objects.lock("db"), pytest_parpool.Lock)
    assert isinstance(objects.semaphore("s", 2), pytest_parpool.Semaphore)
    shape: Any = [2, 3]
    assert objects.array("a", "d", shape).shape == (2, 3)


@pytest.mark.parametrize("arguments", [("-n", "2"), ("-n", "2", "--start-method", "spawn"), ("-n", "0")])
def test_they_are_the_runs(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """Made in any process of a run, an object is at the run's broker; those of two workers are two."""
    pytester.makepyfile(
        """
        import os
        import pytest
        import pytest_parpool
        from tests.sharing import Child

        def address_of(shared):
            return shared._party.service.token

        @pytest.mark.parametrize("number", range(4))
        def test_it(parpool, number):
            made = [pytest_parpool.Event() for _ in range(2)]
            names = parpool.dict("names")
            for event in (*made, Child(pytest_parpool.Event).result()):
                assert address_of(event) == parpool.party.service.token
                assert names.setdefault(event.name, number) == number
                assert not event.is_set()
                event.set()

        def test_names_of_processes():
            assert pytest_parpool.Event()._party.name in {"gw0", "gw1", "pytest"}
        """
    )
    pytester.syspathinsert(ROOT)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments).assert_outcomes(passed=5)


def test_a_run_inside_of_another_is_left_again(pytester: pytest.Pytester) -> None:
    """Objects belong to the innermost run that is under way."""
    before = runs.innermost()
    pytester.makepyfile(
        """
        from pytest_parpool import Lock, runs

        def test_it():
            assert Lock()._party is runs.innermost()()
            with Lock():
                pass
        """
    )
    pytester.runpytest_inprocess("-n", "0").assert_outcomes(passed=1)
    assert runs.innermost() is before


# --- Deaths and ends --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_run")
def test_whoever_dies_with_a_lock_is_named() -> None:
    """The next one is told which process it was, what it was doing, and which line made the lock."""
    lock, is_held = pytest_parpool.Lock(), pytest_parpool.Event()

    def hold() -> None:
        parties.name_work("task 'resize'")
        lock.acquire()
        is_held.set()
        threading.Event().wait()

    child = Child(hold)
    assert is_held.wait(DEADLINE_SECONDS)
    child.kill()
    with pytest.warns(AbandonedLockWarning) as seen, lock.within(DEADLINE_SECONDS):
        pass
    text = str(seen[0].message)
    assert f"process {child.pid}, started by process {os.getpid()} died while it held lock" in text
    assert f"'{lock.name}', taken in task 'resize' at " in text


@pytest.mark.usefixtures("no_run")
def test_work_is_named_in_parties_that_are_joined_later(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a process that has used nothing yet can say what it does."""
    monkeypatch.setattr(parties, "_work", "")
    parties.name_work("task 'resize'")
    joined = parties.join(token, os.getpid(), "gw0")
    del parties._parties[token]
    assert joined.connections.test == "task 'resize'"
    parties.name_work("")


def own_until_told(pipe: Any) -> None:
    """Make a lock and an event, send them, and end when something comes; for children."""
    shared = pytest_parpool.Lock(), pytest_parpool.Event()
    shared[1].set()
    pipe.send_bytes(pickle.dumps(shared))
    pipe.recv()


@pytest.mark.usefixtures("no_run")
def test_who_outlives_the_owner_is_told() -> None:
    """At the next use, also of a lock that it could take by itself before; what it holds it can let go."""
    context = multiprocessing.get_context("fork")
    pipe, other_end = context.Pipe()
    owner = context.Process(target=own_until_told, args=(other_end,))
    owner.start()
    data = pipe.recv_bytes()
    lock, event = pickle.loads(data)
    assert event.is_set()
    assert lock.acquire()
    pipe.send(None)
    owner.join()
    token = lock._party.service.token
    until(lambda: brokers(token) == [], "the broker did not end")
    lock.release()
    uses: list[Callable[[], object]] = [lock.acquire, event.is_set]
    for use_it in uses:
        with pytest.raises(BrokerLostError, match="the process that made them, has ended"):
            use_it()
    del parties._parties[token]
    late, _ = pickle.loads(data)
    with pytest.raises(BrokerLostError, match=f"process {owner.pid}, to which these shared objects belong, has ended"):
        late.acquire()
    del parties._parties[token]


def test_a_wait_that_nobody_is_left_to_end_fails(tmp_path: Path) -> None:
    """A worker that dies before it fills the queue does not keep its consumer waiting for ever."""
    result = run_script(
        tmp_path,
        """
        import os
        import pytest_parpool

        jobs = pytest_parpool.Queue()
        pid = os.fork()
        if pid == 0:
            os._exit(1)
        os.waitpid(pid, 0)
        try:
            jobs.get()
        except pytest_parpool.DeadlockError as error:
            print(error)
        """,
    )
    assert "nobody is left who could end these waits" in result.stdout, result.stderr
    assert "at script.py:10, waits: queue 'script.py:4 #1' is empty" in result.stdout


# --- When they are forgotten ------------------------------------------------------------------------------------------

MANY = 200  # Names are forgotten 64 at a time.


def make_many() -> Party:
    """Make and use so many locks that what can be forgotten is, and return whose they are."""
    party = pytest_parpool.Lock()._party
    for _ in range(MANY):
        with pytest_parpool.Lock():
            pass
    return party


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(
    "make",
    [
        pytest_parpool.Lock,
        pytest_parpool.RLock,
        pytest_parpool.Condition,
        lambda: pytest_parpool.Value().get_lock(),
        lambda: pytest_parpool.Dict().get_lock(),
        lambda: pytest_parpool.Array("i", 1).get_lock(),
    ],
)
def test_a_script_may_make_any_number_of_locks(make: Callable[[], Any]) -> None:
    """Slots of locks that are garbage are given to others, whatever the lock belongs to."""
    for _ in range(2 * MANY):
        with make():
            pass
    mine = make_many()
    assert mine.ask(OpenLock("one more")) < MANY
    assert len(mine.locks._slot_of) < MANY
    assert len(mine.claimed) < MANY


@pytest.mark.usefixtures("no_run")
def test_locks_that_are_garbage_while_they_are_held() -> None:
    """They are let go, and nobody who gets their slot finds it taken."""
    for _ in range(MANY):
        assert pytest_parpool.Lock().acquire()
        assert pytest_parpool.RWLock().acquire_write()
        assert pytest_parpool.Semaphore().acquire()
    mine = make_many()
    assert len(mine.held) < MANY
    child = Child(lambda: [pytest_parpool.Lock.of(mine, f"new {n}").acquire(block=False) for n in range(MANY)])
    assert all(child.result())


@pytest.mark.usefixtures("no_run")
def test_memory_of_arrays_that_are_garbage() -> None:
    """Neither this process nor the broker keeps it."""
    array = pytest_parpool.Array("d", 1000)
    array[0] = 1.0
    (broker,) = brokers(array._party.service.token)
    folder = Path(f"/proc/{broker}/fd")
    for _ in range(MANY):
        pytest_parpool.Array("d", 1000)[0] = 1.0
    make_many().ask(OpenLock("what was told before was heard"))
    memories = [path for path in folder.iterdir() if "parpool-array" in os.readlink(path)]
    assert len(memories) < MANY
    assert len(array._party.arrays) < MANY
    assert array[0] == 1.0


@pytest.mark.usefixtures("no_run")
def test_what_was_pickled_stays() -> None:
    """Nobody knows who will read it."""
    event = pytest_parpool.Event()
    event.set()
    data = pickle.dumps(event)
    del event
    make_many()
    assert pickle.loads(data).is_set()


@pytest.mark.usefixtures("no_run")
def test_what_a_child_inherited_stays() -> None:
    """The parent's last proxy is not the last one."""
    go, event = pytest_parpool.Event(), pytest_parpool.Event()
    event.set()
    box = [event]
    del event

    def look() -> object:
        go.wait()
        return box[0].is_set()

    child = Child(look)
    box.clear()
    make_many()
    go.set()
    assert child.result() is True


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("kind", ["Value", "Counter", "Dict", "Array"])
def test_the_lock_of_an_object_keeps_it(kind: str) -> None:
    """Who holds the lock has the object's name; when both are garbage, so is the name."""
    lock = KINDS[kind][0]().get_lock()
    make_many()
    gc.collect()
    assert lock.acquire()
    assert lock.name in lock._party.claimed
    assert not Child(lambda: lock.acquire(block=False)).result()
    lock.release()
    mine, name = lock._party, KINDS[kind][0]().get_lock().name
    gc.collect()
    assert name not in mine.claimed


@pytest.mark.usefixtures("no_run")
def test_nothing_is_told_where_nothing_was_used() -> None:
    """Objects that were only made are forgotten without a broker, which is not started for it."""
    mine = pytest_parpool.Lock()._party
    for _ in range(MANY):
        pytest_parpool.Lock()
    assert brokers(mine.service.token) == []
    assert len(mine.forgettable) < MANY


def test_a_lost_broker_has_nothing_to_forget(party: Party, objects: SharedObjects) -> None:
    """When it is gone, its objects are; to make others is no error."""
    assert objects.lock("db").acquire()
    party.service.say_goodbye()
    until(lambda: brokers(party.service.token) == [], "the broker did not end")
    party.forgettable += [{str(number)} for number in range(MANY)]
    party.forget_unclaimed()
    assert not party.forgettable
