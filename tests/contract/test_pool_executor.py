"""``PoolExecutor`` is a ``concurrent.futures.Executor``, which survives its workers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_parpool import PoolExecutor, PoolUsageError, TaskTimeoutError, UnpicklableTaskError, WorkerCrashed
from tests import pooling
from tests.contract.test_pool_faults import run_script
from tests.pooling import Way, fail_if_odd, no_cloudpickle, open_executor, square, wait_for
from tests.sharing import DEADLINE_SECONDS, Child, until

__all__ = ["no_cloudpickle"]

MakeExecutor = Callable[..., PoolExecutor]


@pytest.fixture(params=["thread", "fork"])
def way(request: pytest.FixtureRequest) -> Way:
    """How the workers are made."""
    way: Way = request.param
    return way


@pytest.fixture
def make_executor(way: Way) -> Iterator[MakeExecutor]:
    """Makes executors, which are ended afterwards."""
    executors: list[PoolExecutor] = []

    def make(processes: int = 2, **options: Any) -> PoolExecutor:
        executors.append(open_executor(way, processes, **options))
        return executors[-1]

    yield make
    for executor in executors:
        executor.terminate_workers()
        executor.shutdown()


@pytest.fixture
def executor(make_executor: MakeExecutor) -> PoolExecutor:
    """An executor of two workers."""
    return make_executor()


@pytest.fixture
def processes() -> Iterator[PoolExecutor]:
    """An executor of two processes."""
    with open_executor("fork") as executor:
        yield executor


def test_submit(executor: PoolExecutor) -> None:
    """A future has the value, or the error."""
    assert isinstance(executor, concurrent.futures.Executor)
    assert executor.submit(int, "ff", base=16).result() == 255
    future = executor.submit(fail_if_odd, 1)
    assert isinstance(future, concurrent.futures.Future)
    with pytest.raises(ValueError, match="1 is odd"):
        future.result()
    assert isinstance(future.exception(), ValueError)
    called: list[object] = []
    future.add_done_callback(called.append)
    assert called == [future]


def test_wait_and_as_completed(executor: PoolExecutor) -> None:
    """The functions of the standard library work with these futures."""
    futures = [executor.submit(square, number) for number in range(10)]
    assert {future.result() for future in concurrent.futures.as_completed(futures, DEADLINE_SECONDS)} == {
        number**2 for number in range(10)
    }
    done, not_done = concurrent.futures.wait(futures, DEADLINE_SECONDS)
    assert (len(done), len(not_done)) == (10, 0)


def test_map(executor: PoolExecutor) -> None:
    """It takes several iterables, in chunks of any size, as far as the shortest reaches."""
    assert list(executor.map(square, range(10))) == [number**2 for number in range(10)]
    assert list(executor.map(pow, range(10), itertools.repeat(3), chunksize=4)) == [number**3 for number in range(10)]
    assert list(executor.map(square, [])) == []
    results = executor.map(fail_if_odd, [0, 1, 2])
    assert next(results) == 0
    with pytest.raises(ValueError, match="1 is odd"):
        next(results)
    for options in ({"chunksize": 0}, {"buffersize": 0}):
        with pytest.raises(ValueError, match="size must be >= 1"):
            executor.map(square, [1], **options)


def test_map_with_a_buffer(executor: PoolExecutor) -> None:
    """An endless iterable is read only so far ahead."""
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            read.append(number)
            yield number

    results = executor.map(square, numbers(), buffersize=3)
    assert len(read) == 3
    assert list(itertools.islice(results, 10)) == [number**2 for number in range(10)]
    assert len(read) == 13


def test_map_with_a_timeout(executor: PoolExecutor, tmp_path: Path) -> None:
    """The time is over for all of it; what has not begun is cancelled."""
    path = str(tmp_path / "go")
    with pytest.raises(concurrent.futures.TimeoutError):
        list(executor.map(wait_for, [path] * 9, timeout=0.05))
    pooling.touch(path)


def test_cancelling(make_executor: MakeExecutor, tmp_path: Path) -> None:
    """What runs cannot be cancelled; what waits can, and those who wait for it hear that."""
    executor = make_executor(1)
    path = str(tmp_path / "go")
    running = executor.submit(wait_for, path)
    until(Path(f"{path}.awaited").exists, "it was not begun")
    until(running.running, "nobody noticed")
    waiting = [executor.submit(wait_for, path) for _ in range(3)]
    last = waiting[-1]
    threading.Timer(0.01, last.cancel).start()
    assert concurrent.futures.wait([last], DEADLINE_SECONDS).done == {last}
    assert last.cancelled()
    assert last.cancel()
    assert not last.running()
    assert not running.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        last.result()
    pooling.touch(path)
    assert running.result(DEADLINE_SECONDS) == path
    assert not running.cancel()
    assert waiting[0].result(DEADLINE_SECONDS) == path


def test_shutdown(executor: PoolExecutor) -> None:
    """What was submitted is done, nothing more is taken."""
    futures = [executor.submit(square, number) for number in range(20)]
    executor.shutdown()
    executor.shutdown()
    assert [future.result(0) for future in futures] == [number**2 for number in range(20)]
    for call in (lambda: executor.submit(square, 1), lambda: executor.map(square, [1])):
        with pytest.raises(RuntimeError, match=r"^cannot schedule new futures after shutdown$"):
            call()


def test_shutdown_that_cancels(make_executor: MakeExecutor, tmp_path: Path) -> None:
    """What has not begun is cancelled, and what has is done."""
    executor = make_executor(1)
    path = str(tmp_path / "go")
    running = executor.submit(wait_for, path)
    until(Path(f"{path}.awaited").exists, "it was not begun")
    waiting = [executor.submit(square, number) for number in range(50)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert waiting[-1].cancelled()
    pooling.touch(path)
    assert running.result(DEADLINE_SECONDS) == path
    executor.shutdown()
    assert all(future.done() for future in waiting)


def test_terminating(executor: PoolExecutor, tmp_path: Path) -> None:
    """All futures that are not done are cancelled."""
    path = str(tmp_path / "go")
    futures = [executor.submit(wait_for, path) for _ in range(5)]
    executor.terminate_workers()
    assert concurrent.futures.wait(futures, DEADLINE_SECONDS).not_done == set()
    assert all(future.cancelled() for future in futures)
    pooling.touch(path)


def test_a_forgotten_executor(way: Way, tmp_path: Path) -> None:
    """It does what it has, and then it ends."""
    threads = set(threading.enumerate())
    executor = open_executor(way)
    path = str(tmp_path / "go")
    futures = [executor.submit(wait_for, path) for _ in range(3)]
    del executor
    gc.collect()
    pooling.touch(path)
    assert [future.result(DEADLINE_SECONDS) for future in futures] == [path] * 3
    del futures
    until(lambda: set(threading.enumerate()) <= threads, "threads are left")


def test_asyncio(executor: PoolExecutor) -> None:
    """An event loop runs tasks in it."""

    async def gather() -> list[int]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(executor, square, number) for number in range(10)))

    assert asyncio.run(gather()) == [number**2 for number in range(10)]


def test_crashes(processes: PoolExecutor) -> None:
    """Only the future of the task that crashed fails; the executor goes on, where others break."""
    futures = [processes.submit(pooling.exit_if_three, number) for number in range(10)]
    with pytest.raises(WorkerCrashed, match=r"'exit_if_three\(3\)' is gone: exit code 7"):
        futures[3].result(DEADLINE_SECONDS)
    assert [future.result(DEADLINE_SECONDS) for future in futures if future is not futures[3]] == [
        number for number in range(10) if number != 3
    ]
    assert processes.submit(square, 5).result() == 25


def test_retries_and_timeouts(tmp_path: Path) -> None:
    """They hold for all tasks of an executor."""
    with open_executor("fork", retries=1, timeout=0.5) as executor:
        assert executor.submit(pooling.crash_once, str(tmp_path / "crashed")).result() == "survived"
        with pytest.raises(TaskTimeoutError, match="was killed with its worker"):
            executor.submit(pooling.wait_long, str(tmp_path / "here")).result()
    with pytest.raises(ValueError, match="a thread cannot be killed"):
        PoolExecutor(kind="thread", timeout=1)
    with pytest.raises(ValueError, match=r"^max_workers must be >= 1, not 0$"):
        PoolExecutor(0)


@pytest.mark.usefixtures("no_cloudpickle")
def test_what_cannot_be_sent(processes: PoolExecutor) -> None:
    """The future says what."""
    with pytest.raises(UnpicklableTaskError, match="the lambda at"):
        processes.submit(lambda: 1).result()


def test_the_copy_in_a_forked_child(executor: PoolExecutor) -> None:
    """It says that it is of no use."""

    def use() -> str:
        try:
            executor.submit(square, 1)
        except PoolUsageError as error:
            return str(error)
        return ""

    assert f"process {os.getpid()}, which has forked this one" in Child(use).result()


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_the_interpreter_waits_at_its_exit(kind: str, tmp_path: Path) -> None:
    """As with the standard library's executors, what was submitted is done."""
    script = f"""
import pathlib, time
from pytest_parpool import PoolExecutor

def work(number):
    time.sleep(0.05)
    pathlib.Path(str(number)).touch()

if __name__ == "__main__":
    executor = PoolExecutor(2, kind="{kind}")
    for number in range(6):
        executor.submit(work, number)
"""
    run = run_script(script, tmp_path)
    assert (run.stderr, run.returncode) == ("", 0)
    assert {path.name for path in tmp_path.glob("?")} == set("012345")


def test_no_thread_of_its_own(way: Way) -> None:
    """An executor that is not used has none."""
    before = threading.active_count()
    with open_executor(way):
        assert threading.active_count() == before
