"""What users of ``Pool`` are promised, of threads as of processes."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import pytest_parpool
from pytest_parpool import (
    AsyncResult,
    Pool,
    PoolTerminatedError,
    PoolUsageError,
    ResultTimeoutError,
    WorkerStartError,
)
from pytest_parpool.workload import batches
from pytest_parpool.workload.engine import Task
from tests import pooling
from tests.pooling import Way, fail_if_odd, open_pool, square, wait_for
from tests.sharing import DEADLINE_SECONDS, Child, until

MakePool = Callable[..., Pool]


@pytest.fixture(params=["thread", "fork"])
def way(request: pytest.FixtureRequest) -> Way:
    """How the pool's workers are made."""
    way: Way = request.param
    return way


@pytest.fixture
def make_pool(way: Way) -> Iterator[MakePool]:
    """Makes pools, which are ended afterwards."""
    pools: list[Pool] = []

    def make(processes: int = 2, **options: Any) -> Pool:
        pools.append(open_pool(way, processes, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.terminate()
        pool.join()


@pytest.fixture
def pool(make_pool: MakePool) -> Pool:
    """A pool of two."""
    return make_pool()


def _error_of(call: Callable[[], object]) -> object:
    """Return what a call raises."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001  -- compared by whoever asks
        return error


# --- Calls ------------------------------------------------------------------------------------------------------------


def test_apply(pool: Pool) -> None:
    """One call gets its arguments, and its value comes back."""
    assert pool.apply(divmod, (7, 2)) == (3, 1)
    assert pool.apply(int, ("ff",), {"base": 16}) == 255
    assert pool.apply_async(square, [3]).get() == 9


def test_maps(pool: Pool) -> None:
    """Lists come in the order of their items, whatever the chunks are."""
    numbers = list(range(50))
    squares = [number**2 for number in numbers]
    assert pool.map(square, numbers) == squares
    assert pool.map(square, iter(numbers), chunksize=7) == squares
    assert pool.map_async(square, numbers, 60).get() == squares
    assert pool.starmap(pow, [(number, 2) for number in numbers]) == squares
    assert pool.starmap_async(pow, zip(numbers, itertools.repeat(2), strict=False), chunksize=9).get() == squares
    assert list(pool.imap(square, numbers)) == squares
    assert list(pool.imap(square, numbers, 8)) == squares
    assert sorted(pool.imap_unordered(square, numbers, 3)) == squares


def test_nothing_to_do(pool: Pool) -> None:
    """An empty iterable is an empty result, at once."""
    assert pool.map(square, []) == []
    assert pool.map_async(square, [], chunksize=1).ready()
    assert list(pool.imap(square, [])) == []
    assert list(pool.completed(square, [])) == []


def test_starmap_with_an_item_that_is_no_sequence(pool: Pool) -> None:
    """It is an error of that call, as Python says it."""
    with pytest.raises(TypeError, match="int"):
        pool.starmap(pow, [(1, 2), 3])  # type: ignore[list-item]


def test_completed(pool: Pool) -> None:
    """Each input comes with its result, also if that is an error."""
    outcomes: dict[int, object] = {}
    for number, result in pool.completed(fail_if_odd, range(6)):
        assert result.ready()
        outcomes[number] = result.get() if result.successful() else "failed"
    assert outcomes == {0: 0, 1: "failed", 2: 2, 3: "failed", 4: 4, 5: "failed"}


def test_processes(way: Way) -> None:
    """Without a number there is one worker per CPU that this process may use."""
    from pytest_parpool.cpus import usable_cpus

    with Pool(kind="thread" if way == "thread" else "process") as pool:
        assert pool.processes == usable_cpus()


def test_side_by_side(pool: Pool, tmp_path: Path) -> None:
    """Two workers work at the same time."""
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    waiting = pool.apply_async(wait_for, (first,))
    until(Path(f"{first}.awaited").exists, "it was not begun")
    pool.apply(pooling.touch, (second,))
    pooling.touch(first)
    assert waiting.get(DEADLINE_SECONDS) == first


# --- Results ----------------------------------------------------------------------------------------------------------


def test_results(pool: Pool, tmp_path: Path) -> None:
    """A result says whether it is there, and whether it is a value."""
    path = str(tmp_path / "go")
    result = pool.apply_async(wait_for, (path,))
    assert not result.ready()
    assert "not ready" in repr(result)
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    result.wait(0.01)
    assert not result.ready()
    pooling.touch(path)
    result.wait()
    assert result.ready()
    assert result.successful()
    assert result.get(0) == result.get() == path
    failed = pool.apply_async(fail_if_odd, (1,))
    failed.wait()
    assert not failed.successful()
    assert "failed" in repr(failed)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^1 is odd$"):
            failed.get()


def test_get_with_a_timeout(make_pool: MakePool, tmp_path: Path) -> None:
    """It is multiprocessing's and the built-in error, and says which task runs for how long, or has not begun."""
    pool = make_pool(1)
    path = str(tmp_path / "go")
    running = pool.apply_async(wait_for, (path,))
    until(Path(f"{path}.awaited").exists, "it was not begun")
    waiting = pool.apply_async(square, (2,))
    with pytest.raises(
        multiprocessing.TimeoutError, match=r"^there is no result after 0.01 s: 'wait_for\(.*\)' has be"
    ):
        running.get(timeout=0.01)
    with pytest.raises(TimeoutError, match=r"^there is no result after 0.01 s: 'square\(2\)' has not begun$"):
        waiting.get(0.01)
    everything = pool.map_async(square, range(100), chunksize=10)
    with pytest.raises(
        ResultTimeoutError, match=r"'square\(0\) and 9 more calls' has not begun; 10 chunks are not don"
    ):
        everything.get(0.01)
    results = pool.imap(square, [5])
    with pytest.raises(ResultTimeoutError, match=r"'square\(5\)' has not begun$"):
        results.next(0.01)
    pooling.touch(path)
    assert running.get(DEADLINE_SECONDS) == path
    assert results.next(timeout=DEADLINE_SECONDS) == 25


def test_callbacks(pool: Pool) -> None:
    """The one for values gets values, the other one errors, each once, before the result is ready."""
    values: list[object] = []
    errors: list[BaseException] = []
    pool.apply_async(fail_if_odd, (2,), callback=values.append, error_callback=errors.append).wait()
    assert (values, errors) == ([2], [])
    pool.map_async(fail_if_odd, [0, 2], callback=values.append, error_callback=errors.append).wait()
    assert (values, errors) == ([2, [0, 2]], [])
    pool.starmap_async(fail_if_odd, [(1,), (2,)], 1, values.append, errors.append).wait()
    assert values == [2, [0, 2]]
    assert [str(error) for error in errors] == ["1 is odd"]


def test_a_callback_that_raises(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook for errors of threads gets to know it, and the pool and the result are as ever."""
    reported: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)

    def complain(value: object) -> None:
        raise LookupError(value)

    assert pool.apply_async(square, (2,), callback=complain).get(DEADLINE_SECONDS) == 4
    assert pool.map(square, range(10)) == [number**2 for number in range(10)]
    with pytest.raises(ValueError, match="odd"):
        pool.apply_async(fail_if_odd, (3,), error_callback=complain).get(DEADLINE_SECONDS)
    assert [str(args.exc_value) for args in reported] == ["4", "3 is odd"]


def test_a_callback_must_not_wait_for_its_pool(pool: Pool) -> None:
    """That would hang for ever; it is told so. It may submit."""
    seen: list[object] = []
    later: list[AsyncResult[int]] = []

    def wait(_: object) -> None:
        later.append(pool.apply_async(square, (4,)))
        seen.extend(
            _error_of(call)
            for call in (later[0].get, lambda: pool.map(square, [1]), lambda: next(pool.imap(square, [1])))
        )

    pool.apply_async(square, (2,), callback=wait).wait()
    assert [type(error) for error in seen] == [PoolUsageError] * 3
    assert str(seen[0]).startswith("a callback must not wait for another result of its pool")
    assert later[0].get() == 16


def test_errors_show_where_they_were_raised(pool: Pool, way: Way) -> None:
    """With processes the cause is the worker's traceback; with threads it is the error's own."""
    with pytest.raises(ValueError, match="odd") as caught:
        pool.apply(fail_if_odd, (5,))
    if way == "thread":
        assert caught.value.__cause__ is None
        assert caught.traceback[-1].name == "fail_if_odd"
    else:
        text = str(caught.value.__cause__)
        assert 'raise ValueError(f"{number} is odd")' in text
        assert "pytest_parpool" not in text


def test_a_map_ends_when_all_of_it_is_done(pool: Pool, tmp_path: Path) -> None:
    """A failed chunk does not end it before the others, as in multiprocessing."""
    path = str(tmp_path / "go")
    result = pool.starmap_async(os.mkdir, [("/nonexistent/folder",), (path,)], chunksize=1)
    with pytest.raises(FileNotFoundError):
        result.get()
    assert Path(path).exists()


# --- Endless inputs ---------------------------------------------------------------------------------------------------


def test_inputs_are_read_as_results_are_taken(pool: Pool) -> None:
    """No more chunks than the buffer's size are read and not taken, in the thread that takes them."""
    read: list[int] = []
    threads = set()

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            read.append(number)
            threads.add(threading.get_ident())
            yield number

    results = pool.imap(square, numbers(), buffersize=3)
    assert len(read) == 3
    for count in range(1, 20):
        assert next(results) == (count - 1) ** 2
        assert len(read) == 3 + count
    assert threads == {threading.get_ident()}
    del read[:]
    pool.imap_unordered(square, numbers(), chunksize=10)
    assert len(read) == 10 * 4 * pool.processes


def test_leaving_early(pool: Pool) -> None:
    """Who breaks out of an endless loop has a pool that can be closed."""
    for value in pool.imap(square, itertools.count()):
        if value > 1000:
            break
    pool.close()
    pool.join()


def test_inputs_that_fail_half_way(pool: Pool) -> None:
    """What was read before has results; then comes the error, and then the end."""

    def numbers(count: int) -> Iterator[int]:
        yield from range(count)
        raise LookupError("no more numbers")

    for imap in (pool.imap, pool.imap_unordered):
        results = imap(square, numbers(5))
        assert sorted(itertools.islice(results, 5)) == [0, 1, 4, 9, 16]
        with pytest.raises(LookupError, match="no more numbers"):
            next(results)
        assert list(results) == []
    with pytest.raises(LookupError):
        pool.map(square, numbers(3))
    with pytest.raises(LookupError):
        next(pool.imap(square, numbers(0)))


def test_a_call_that_fails_does_not_end_the_iterator(pool: Pool) -> None:
    """The next result comes next."""
    results = pool.imap(fail_if_odd, range(4))
    assert next(results) == 0
    with pytest.raises(ValueError, match="1 is odd"):
        next(results)
    assert next(results) == 2


def test_an_interrupted_reader_loses_nothing(pool: Pool) -> None:
    """If reading on is interrupted, the result that was to be returned comes with the next call."""
    numbers = iter([0, 1, 2])

    class Interrupted:
        def __iter__(self) -> Interrupted:
            return self

        def __next__(self) -> int:
            number = next(numbers)
            if number == 2:
                raise KeyboardInterrupt
            return number

    results = pool.imap(square, Interrupted(), buffersize=2)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert list(results) == [0, 1]


def test_closing_while_inputs_are_left(pool: Pool) -> None:
    """Iterators go on after ``close``, and ``join`` reads what they have not read."""
    results = pool.imap(square, range(100), buffersize=2)
    others = pool.imap_unordered(square, range(100), buffersize=2)
    pool.close()
    assert next(results) == 0
    assert sorted(others) == [number**2 for number in range(100)]
    pool.join()
    assert list(results) == [number**2 for number in range(1, 100)]


def test_an_iterator_that_nobody_uses(pool: Pool, tmp_path: Path) -> None:
    """What its tasks do is done before the pool has been joined."""
    pool.imap_unordered(pooling.touch, [str(tmp_path / str(number)) for number in range(30)], buffersize=1)
    gc.collect()
    pool.close()
    pool.join()
    assert len(list(tmp_path.iterdir())) == 30


def test_taking_from_many_threads(pool: Pool) -> None:
    """Each result is given once."""
    results = pool.imap(square, range(200))
    taken: list[int] = []
    threads = [threading.Thread(target=lambda: taken.extend(results)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()
    assert sorted(taken) == [number**2 for number in range(200)]


# --- Progress ---------------------------------------------------------------------------------------------------------


def test_progress(pool: Pool) -> None:
    """A function is told how many calls are done, of how many."""
    reports: list[tuple[int, int | None]] = []
    pool.map(square, range(10), chunksize=4, progress=lambda *report: reports.append(report))
    assert [total for _, total in reports] == [10, 10, 10]
    assert [done for done, _ in reports][-1] == 10
    del reports[:]
    list(
        pool.imap(
            square, (number for number in range(9)), buffersize=1, progress=lambda *report: reports.append(report)
        )
    )
    assert [done for done, _ in reports] == list(range(1, 10))
    assert reports[0] == (1, None)


def test_progress_as_a_line(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    """True is a line on the standard error; one, if that is no terminal."""
    pool.map(square, range(10), chunksize=4, progress=True)
    assert capsys.readouterr().err == "10 / 10\n"
    list(pool.imap_unordered(square, range(10), progress=True))
    until(lambda: capsys.readouterr().err in {"10 / 10\n", ""}, "no line")


# --- Bad arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"processes": 0}, "^processes must be >= 1, not 0$"),
        ({"processes": -1}, "^processes must be >= 1, not -1$"),
        ({"processes": "2"}, "^processes must be a whole number >= 1, not '2'$"),
        ({"initializer": 1}, "^initializer must be callable, not 1$"),
        ({"maxtasksperchild": 0}, "^maxtasksperchild must be a whole number >= 1 or None, not 0$"),
        ({"maxtasksperchild": "12"}, "^maxtasksperchild must be a whole number >= 1 or None, not '12'$"),
        ({"kind": "fiber"}, "^kind must be 'process' or 'thread', not 'fiber'$"),
        ({"context": "forks"}, "^context must be 'fork' or 'spawn', not 'forks'$"),
        ({"context": 3}, "^context must be 'fork', 'spawn' or a multiprocessing context, not 3$"),
        ({"context": "fork", "kind": "thread"}, "^context must be None for threads, not 'fork'$"),
    ],
)
def test_pools_that_cannot_be(options: dict[str, Any], error: str) -> None:
    """What is wrong is named, with what is allowed."""
    with pytest.raises((TypeError, ValueError), match=error):
        Pool(**options)


def test_calls_that_cannot_be(pool: Pool) -> None:
    """What is wrong is named before anything is done."""
    number: Any = 3
    for wrong in (
        lambda: pool.apply_async(number),
        lambda: pool.map(number, []),
        lambda: pool.imap(number, []),
        lambda: pool.apply_async(square, (1,), callback=number),
        lambda: pool.map_async(square, [], error_callback=number),
        lambda: pool.map(square, 3),  # type: ignore[arg-type]
        lambda: pool.map(square, [], progress=number),
        lambda: pool.apply(square, (1,), timeout="1"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=r"must be|iterable"):
            wrong()
    for wrong in (
        lambda: pool.map(square, [], chunksize=0),
        lambda: pool.imap(square, [], chunksize=0),
        lambda: pool.imap(square, [], buffersize=0),
        lambda: pool.apply(square, (1,), retries=-1),
        lambda: pool.apply(square, (1,), timeout=0),
    ):
        with pytest.raises(ValueError, match="must be"):
            wrong()


def test_a_timeout_for_threads() -> None:
    """It is refused: a thread cannot be killed."""
    with Pool(1, kind="thread") as pool, pytest.raises(ValueError, match="a thread cannot be killed"):
        pool.map(square, [1], timeout=1)


# --- Initializers and replacement -------------------------------------------------------------------------------------

_initialised: list[str] = []


def _initialise(text: str) -> None:
    _initialised.append(text)


def _is_initialised(_: object) -> bool:
    return "prepared" in _initialised


def _cannot(_: object) -> None:
    raise OSError("no connection")


def test_initializers(make_pool: MakePool) -> None:
    """It has been called in each worker before its first task."""
    try:
        assert all(make_pool(initializer=_initialise, initargs=("prepared",)).map(_is_initialised, range(20), 1))
    finally:
        _initialised.clear()


def test_an_initializer_that_fails(make_pool: MakePool) -> None:
    """Every result says so, with the traceback; nothing is started again and again."""
    pool = make_pool(initializer=_cannot, initargs=(1,))
    results: list[AsyncResult[Any]] = [pool.apply_async(square, (1,)), pool.map_async(square, range(10))]
    for result in results:
        with pytest.raises(WorkerStartError, match=r"(?s)initializer '_cannot'.*OSError: no connection"):
            result.get(DEADLINE_SECONDS)
    with pytest.raises(WorkerStartError):
        pool.apply(square, (1,))
    pool.close()
    pool.join()


def test_maxtasksperchild(make_pool: MakePool) -> None:
    """A worker does so many tasks, and another one takes its place."""
    pool = make_pool(2, maxtasksperchild=2)
    workers = [pool.apply(pooling.whoami) for _ in range(10)]
    assert max(workers.count(worker) for worker in workers) <= 2
    assert len(set(workers)) >= 5


# --- The end ----------------------------------------------------------------------------------------------------------


def test_close_and_join(pool: Pool) -> None:
    """What was submitted is done; nothing more is taken."""
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    results = [pool.apply_async(square, (number,)) for number in range(20)]
    pool.close()
    pool.close()
    for call in (pool.apply, pool.apply_async, lambda _: pool.map(square, [1]), lambda _: pool.imap(square, [1])):
        with pytest.raises(ValueError, match="Pool not running: it is closed"):
            call(square)
    with pytest.raises(ValueError, match="Pool not running"), pool:
        pass
    pool.join()
    pool.join()
    assert [result.get(0) for result in results] == [number**2 for number in range(20)]


def test_terminating(pool: Pool, tmp_path: Path) -> None:
    """Who waits, or asks later, is told so; what has a result keeps it."""
    path = str(tmp_path / "go")
    done = pool.apply_async(square, (2,))
    done.wait()
    waiting: list[AsyncResult[Any]] = [pool.apply_async(wait_for, (path,)), pool.apply_async(wait_for, (path,))]
    waiting.append(pool.map_async(square, range(100), 1))
    more = [pool.apply_async(wait_for, (path,)) for _ in range(4)]
    results = pool.imap(square, itertools.count(), buffersize=1)
    until(Path(f"{path}.awaited").exists, "it was not begun")
    errors: list[object] = []
    thread = threading.Thread(target=lambda: errors.append(_error_of(more[-1].get)))
    thread.start()
    pool.terminate()
    pool.terminate()
    thread.join(DEADLINE_SECONDS)
    assert "terminated before 'wait_for(" in str(errors[0])
    pooling.touch(path)
    pool.join()
    assert done.get() == 4
    for result in (*waiting, *more):
        with pytest.raises(PoolTerminatedError, match="the pool was terminated before"):
            result.get()
    with pytest.raises(PoolTerminatedError):
        for _ in results:
            pass
    with pytest.raises(ValueError, match="Pool not running: it is terminated"):
        pool.apply(square)


def test_terminating_while_a_map_is_waited_for(pool: Pool, tmp_path: Path) -> None:
    """The map raises; multiprocessing's would hang for ever."""
    path = str(tmp_path / "go")

    def terminate() -> None:
        until(Path(f"{path}.awaited").exists, "it was not begun")
        pool.terminate()

    thread = threading.Thread(target=terminate)
    thread.start()
    with pytest.raises(PoolTerminatedError):
        pool.map(wait_for, [path] * 10, chunksize=1)
    thread.join()
    pooling.touch(path)


def _after_first_part(pool: Pool, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something be done when the first part of a list is submitted, and each of its chunks be a part."""
    engine = pool._engine
    submit = engine.submit

    def submit_part(tasks: Sequence[Task]) -> None:
        monkeypatch.setattr(engine, "submit", submit)
        submit(tasks)
        act()

    monkeypatch.setattr(batches, "_BATCH_SECONDS", 0)
    monkeypatch.setattr(engine, "submit", submit_part)


def test_terminating_while_a_list_is_submitted(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call is accepted, and its result says what has become of it."""
    errors: list[BaseException] = []
    _after_first_part(pool, monkeypatch, pool.terminate)
    result = pool.map_async(square, range(10), chunksize=3, error_callback=errors.append)
    with pytest.raises(PoolTerminatedError, match="the pool was terminated before"):
        result.get(DEADLINE_SECONDS)
    assert len(errors) == 1
    with pytest.raises(ValueError, match="Pool not running"):
        pool.map_async(square, range(10))


def test_terminating_when_a_list_comes(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not accepted at all is told to its caller at once."""
    pool.terminate()
    monkeypatch.setattr(pool, "_check_running", lambda: None)  # As if that had been a moment before.
    with pytest.raises(ValueError, match="Pool not running"):
        pool.map_async(square, range(10))


def test_closing_while_a_list_is_submitted(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is done, since it was begun before; the one who closes waits until all of it is submitted."""
    thread = threading.Thread(target=pool.close)

    def close() -> None:
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()

    _after_first_part(pool, monkeypatch, close)
    assert pool.map(square, range(10), chunksize=3) == [number**2 for number in range(10)]
    thread.join(DEADLINE_SECONDS)
    pool.join()


def test_a_pool_that_was_never_used(way: Way) -> None:
    """It has no thread, and ends at once, one way or the other."""
    threads = threading.active_count()
    for end in (Pool.close, Pool.terminate):
        pool = open_pool(way)
        assert threading.active_count() == threads
        end(pool)
        pool.join()


def test_a_pool_that_is_forgotten(way: Way) -> None:
    """There is a warning, and its workers end, while they work even."""
    threads = set(threading.enumerate())
    pool = open_pool(way, 2)
    pool.map(square, range(10))
    ref = weakref.ref(pool)
    with pytest.warns(ResourceWarning, match="unclosed running pool <pytest_parpool"):
        del pool
    assert ref() is None
    until(lambda: set(threading.enumerate()) <= threads, "threads are left")


def test_a_result_keeps_its_pool(way: Way) -> None:
    """A pool that nobody but a result knows ends when the result is there."""
    pool = open_pool(way, 1)
    ref = weakref.ref(pool)
    result = pool.apply_async(square, (3,))
    del pool
    with pytest.warns(ResourceWarning, match="unclosed"):
        result.get(DEADLINE_SECONDS)
    assert result.get() == 9
    until(lambda: ref() is None, "the pool is kept")


class _Thing:
    """Can be referred to weakly, and goes to other processes."""


def test_nothing_is_kept(pool: Pool) -> None:
    """Arguments and results are let go when they are done with."""
    things = [_Thing() for _ in range(10)]
    results = pool.map(pooling.identity, things)
    refs = [weakref.ref(thing) for thing in (*things, *results)]
    del things, results
    until(lambda: {ref() for ref in refs} == {None}, "something is kept")


def test_pools_cannot_be_pickled(pool: Pool) -> None:
    """As multiprocessing's."""
    with pytest.raises(NotImplementedError, match="cannot be passed between processes or pickled"):
        pickle.dumps(pool)


def test_the_copy_in_a_forked_child(pool: Pool) -> None:
    """It is of no use there, and says so; the parent's goes on."""
    result = pool.apply_async(square, (3,))
    result.wait()
    other = pool.imap(square, itertools.count())

    def use() -> list[str]:
        tries: list[Callable[[], object]] = [
            lambda: pool.apply(square, (3,)),
            lambda: pool.imap(square, [1]),
            lambda: next(other),
            pool.close,
            pool.terminate,
            pool.join,
        ]
        return [str(_error_of(attempt)) for attempt in tries] + [str(result.get())]

    *texts, value = Child(use).result()
    assert value == "9"
    assert all(f"process {os.getpid()}, which has forked this one" in text for text in texts)
    assert pool.apply(square, (4,)) == 16


def test_nothing_of_multiprocessing_is_loaded(way: Way) -> None:
    """Who uses a pool without errors does not pay for multiprocessing."""

    def use() -> list[str]:
        for name in [name for name in sys.modules if name.split(".")[0] == "multiprocessing"]:
            del sys.modules[name]
        with open_pool(way, 1) as pool:
            pool.map(square, range(3))
            assert list(pool.imap(square, range(3))) == [0, 1, 4]
        return [name for name in sys.modules if name.startswith("multiprocessing")]

    assert Child(use).result() == []


def test_nested_pools(pool: Pool, way: Way) -> None:
    """A task may have a pool of its own."""
    assert pool.map(_squares_by_pool, [(way, 3), (way, 4)]) == [[0, 1, 4], [0, 1, 4, 9]]


def _squares_by_pool(case: tuple[Way, int]) -> list[int]:
    way, count = case
    with open_pool(way, 2) as pool:
        return pool.map(square, range(count))


def test_names_are_loaded_when_they_are_asked_for() -> None:
    """All that the package exports is there."""
    for name in pytest_parpool.__all__:
        assert getattr(pytest_parpool, name) is not None
