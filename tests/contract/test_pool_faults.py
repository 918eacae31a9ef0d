"""What a pool of processes makes of what goes wrong: an outcome that a user would expect, and never a hang."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_parpool import (
    AsyncResult,
    Pool,
    TaskTimeoutError,
    UnpicklableResultError,
    UnpicklableTaskError,
    WorkerCrashed,
)
from pytest_parpool.workload.fork_gate import fork_gate
from pytest_parpool.workload.task_maker import EAGER_BYTES
from tests import pooling
from tests.pooling import no_cloudpickle, open_executor, open_pool, square
from tests.sharing import DEADLINE_SECONDS, until

__all__ = ["no_cloudpickle"]


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool of two processes."""
    with open_pool("fork") as pool:
        yield pool
    pool.join()


# --- Crashes ----------------------------------------------------------------------------------------------------------


def test_a_worker_that_is_killed(pool: Pool) -> None:
    """Its task says which signal; all others are done."""
    results: list[AsyncResult[Any]] = [pool.apply_async(square, (number,)) for number in range(10)]
    crash = pool.apply_async(pooling.kill_self, (signal.SIGSEGV,))
    results += [pool.apply_async(square, (number,)) for number in range(10, 20)]
    with pytest.raises(
        WorkerCrashed, match=r"^the worker .* running 'kill_self\(.*SIGSEGV.*\)' is gone: killed by SIGS"
    ):
        crash.get(DEADLINE_SECONDS)
    assert [result.get(DEADLINE_SECONDS) for result in results] == [number**2 for number in range(20)]


def test_the_call_within_its_chunk(pool: Pool) -> None:
    """A chunk's crash names the one call in which it happened."""
    with pytest.raises(WorkerCrashed, match=r"^the worker .* 'exit_if_three\(3\)' is gone: exit code 7$") as caught:
        pool.map(pooling.exit_if_three, range(8), chunksize=8)
    assert caught.value.task == "exit_if_three(3)"
    assert caught.value.call == 3
    assert caught.value.exitcode == 7


def test_crashes_among_results_one_by_one(pool: Pool) -> None:
    """The iterator raises for the one that crashed, and goes on."""
    results = pool.imap(pooling.exit_if_three, range(6))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(WorkerCrashed, match="exit code 7"):
        next(results)
    assert list(results) == [4, 5]


def test_the_last_output(pool: Pool) -> None:
    """The error has what the task printed, and the stacks of a worker that was killed by a fault."""
    pool.apply(pooling.say, ("said by another task",))
    with pytest.raises(WorkerCrashed) as caught:
        pool.apply(pooling.write_and_die, ("these are my last words",))
    assert "write_and_die" in caught.value.output
    assert "these are my last words" in caught.value.output
    assert "another task" not in caught.value.output
    assert caught.value.output in str(caught.value)


def test_retries(pool: Pool, tmp_path: Path) -> None:
    """A task that may be tried again is; one that may not is not."""
    assert pool.apply(pooling.crash_once, (str(tmp_path / "first"),), retries=1) == "survived"
    with pytest.raises(WorkerCrashed):
        pool.apply(pooling.crash_once, (str(tmp_path / "second"),))
    with pytest.raises(WorkerCrashed):
        pool.apply(pooling.kill_self, retries=2)
    assert pool.map(pooling.crash_once, [str(tmp_path / "third")], retries=1) == ["survived"]


def test_timeouts(pool: Pool, tmp_path: Path) -> None:
    """Too long a task is killed with its worker, and says for how long it ran; others are not touched."""
    path = str(tmp_path / "here")
    result = pool.apply_async(pooling.wait_long, (path,), timeout=0.2)
    assert pool.map(square, range(10)) == [number**2 for number in range(10)]
    with pytest.raises(
        TaskTimeoutError, match=r"'wait_long\(.*\)' was killed with its worker: it had been running for"
    ):
        result.get(DEADLINE_SECONDS)
    outcomes = []
    for number, each in pool.completed(_stay_if_two, range(4), timeout=1.0):
        outcomes.append((number, each.successful()))
    assert sorted(outcomes) == [(0, True), (1, True), (2, False), (3, True)]


def _stay_if_two(number: int) -> int:
    if number == 2:
        threading.Event().wait(DEADLINE_SECONDS)
    return number


def test_workers_killed_at_random(pool: Pool) -> None:
    """However often somebody kills workers: each result is a value or a crash, and there is one for each."""
    generator = random.Random(5)
    numbers = range(600)
    crashes = 0
    results = pool.completed(_square_and_pid, numbers, buffersize=8)
    seen = []
    for number, result in results:
        seen.append(number)
        if not result.successful():
            with pytest.raises(WorkerCrashed, match="killed by SIGKILL"):
                result.get()
            crashes += 1
            continue
        value, pid = result.get()
        assert value == number**2
        if generator.random() < 0.2:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # It was killed before, and the one after it has another number.
    assert sorted(seen) == list(numbers)
    assert crashes


def _square_and_pid(number: int) -> tuple[int, int]:
    time.sleep(0.002)  # Long enough to be killed during it.
    return number**2, os.getpid()


# --- What tasks do to their process -----------------------------------------------------------------------------------


def _fork_and_fall_through() -> int:
    """Return twice: in the worker, and in a child of it."""
    return os.fork()


def _interrupt() -> None:
    raise KeyboardInterrupt


def _recurse(number: int) -> int:
    return _recurse(number + 1)


def _write(count: int) -> int:
    for _ in range(count):
        os.write(2, b"x" * 1_000_000)
    return count


def _fill_limited_memory() -> None:
    import resource

    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + (64 << 20), hard))
    held = []
    while True:
        held.append(bytearray(1 << 20))


def _close_everything() -> None:
    os.closerange(3, 200)


def test_a_task_that_forks(pool: Pool) -> None:
    """The child does not become a second worker."""
    pids = [pool.apply(_fork_and_fall_through) for _ in range(3)]
    assert all(pid > 0 for pid in pids)
    assert pool.map(square, range(10)) == [number**2 for number in range(10)]


def test_errors_that_are_no_exceptions(pool: Pool) -> None:
    """A KeyboardInterrupt is the task's error; a SystemExit ends the worker, as the task wants."""
    with pytest.raises(KeyboardInterrupt):
        pool.apply(_interrupt)
    with pytest.raises(WorkerCrashed, match="exit code 4"):
        pool.apply(sys.exit, (4,))
    with pytest.raises(RecursionError):
        pool.apply(_recurse, (0,))
    assert pool.apply(square, (3,)) == 9


def test_a_task_that_closes_all_descriptors(pool: Pool) -> None:
    """That costs this task, and nobody waits for ever."""
    with pytest.raises(WorkerCrashed):
        pool.apply_async(_close_everything).get(DEADLINE_SECONDS)
    assert pool.apply(square, (3,)) == 9


def test_a_task_that_exhausts_memory(pool: Pool) -> None:
    """A MemoryError is the task's error."""
    with pytest.raises(MemoryError):
        pool.apply(bytes, (1 << 60,))
    assert pool.apply(square, (3,)) == 9


def test_a_task_that_reaches_its_memory_limit(pool: Pool) -> None:
    """What the system does not give is the task's error; the pool goes on."""
    with pytest.raises(MemoryError):
        pool.apply_async(_fill_limited_memory).get(DEADLINE_SECONDS)
    assert pool.map(square, range(4)) == [0, 1, 4, 9]


# --- Another pool beside a busy one -----------------------------------------------------------------------------------

MIDST = f"""
import sys
import threading

from pytest_parpool import Pool
from pytest_parpool.workload import process_engine
from pytest_parpool.workload.fork_gate import fork_gate
from tests.sharing import until

# Else it is spawned, or forked all the same, where the callback gets no CPU for so long.
process_engine._PATIENCE_SECONDS = {DEADLINE_SECONDS}
lock = threading.Lock()
is_held = threading.Event()


def hold(_):
    with lock:
        is_held.set()
        until(lambda: fork_gate._is_closed, "nobody forks")


def take_lock():
    return lock.acquire(timeout={DEADLINE_SECONDS})


with Pool(2, context="fork") as first:
    result = first.apply_async(abs, (-3,), callback=hold)
    assert is_held.wait({DEADLINE_SECONDS})
    with Pool(1, context=sys.argv[1] if sys.argv[1:] else None) as second:
        assert second.apply(take_lock)
    second.join()
    assert result.get() == 3
first.join()
"""


@pytest.mark.parametrize("context", ["fork", None])
def test_a_pool_is_not_forked_in_the_midst_of_a_callback(tmp_path: Path, context: str | None) -> None:
    """What a callback of the first pool holds is not held for ever in the workers of the second one.

    In a process of its own: beside threads of other tests, which nobody may be able to end, it would be spawned.
    """
    script = tmp_path / "script.py"
    script.write_text(MIDST, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), *([context] if context else [])],
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE_SECONDS,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_callback_that_never_ends_keeps_nobody_from_forking(pool: Pool) -> None:
    """It may wait for what comes behind the fork."""
    may_end = threading.Event()
    result = pool.apply_async(square, (3,), callback=lambda _: may_end.wait(DEADLINE_SECONDS))
    until(lambda: bool(fork_gate._busy), "there is no callback")
    with open_pool("fork", 1) as second:
        may_end.set()
        assert second.apply(square, (4,)) == 16
    second.join()
    assert result.get() == 9


# --- What cannot be sent ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_cloudpickle")
@pytest.mark.parametrize(
    ("function", "argument", "text"),
    [
        (
            lambda number: number,
            1,
            r"^the lambda at .*test_pool_faults.py:\d+ cannot be sent to a worker process; define",
        ),
        (square, lambda: 3, r"^argument 1 of square: the lambda at .* pip install \"pytest-parpool\[cloudpickle\]\""),
        (square, pooling.Holder(), r"^.members\['lock'\]\[1\] of argument 1 of square: <unlocked _thread.lock"),
        (square, {"a": {1: pooling.Holder()}}, r"^\['a'\]\[1\].members\['lock'\]\[1\] of argument 1 of square"),
        (partial(pooling.identity, pooling.Holder()), 1, r"^.args\[0\].members\['lock'\]\[1\] of partial\(identity\)"),
        (pooling.Holder().method, 1, r"^.__self__.members\['lock'\]\[1\] of Holder.method: <unlocked"),
    ],
)
def test_tasks_that_cannot_be_sent(pool: Pool, function: Callable[..., Any], argument: object, text: str) -> None:
    """The error names the value, its place, and what would help; it comes where other errors of the task do."""
    errors: list[BaseException] = []
    result = pool.apply_async(function, (argument,), error_callback=errors.append)
    with pytest.raises(UnpicklableTaskError, match=text) as caught:
        result.get()
    assert errors == [caught.value]
    with pytest.raises(UnpicklableTaskError, match="cannot be sent"):
        pool.map(function, [argument, argument])
    assert pool.apply(square, (3,)) == 9


@pytest.mark.usefixtures("no_cloudpickle")
def test_which_of_many_calls_cannot_be_sent(pool: Pool) -> None:
    """The call's number within its chunk is said."""
    numbers: list[Any] = [1, 2, threading.Lock()]
    with pytest.raises(UnpicklableTaskError, match=r"argument 1 in call 2 of square"):
        pool.map(square, numbers, chunksize=3)


class Heavy:
    """Four mebibytes, that know how often they were pickled in this process."""

    pickled_count = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        type(self).pickled_count += 1
        return make_heavy, (self.number, bytearray(EAGER_BYTES // 4))


def make_heavy(number: int, _: object) -> int:
    """Be that in the worker."""
    return number


@pytest.fixture
def heavy_items() -> list[Any]:
    """Large items, of which the last but one cannot be pickled."""
    Heavy.pickled_count = 0
    return [*[Heavy(number) for number in range(12)], pooling.Holder(), Heavy(12)]


@pytest.mark.usefixtures("no_cloudpickle")
def test_large_arguments_are_pickled_as_workers_want_them(tmp_path: Path, heavy_items: list[Any]) -> None:
    """A few are at once; one that cannot be pickled is that task's error, also if it is found later."""
    with open_pool("fork", 1) as pool:
        gate = str(tmp_path / "gate")
        pool.apply_async(pooling.wait_for, (gate,))
        result = pool.map_async(pooling.identity, heavy_items, 1)
        assert Heavy.pickled_count <= 6
        Path(gate).touch()
        with pytest.raises(UnpicklableTaskError, match=r"argument 1 of identity: <unlocked _thread.lock"):
            result.get(DEADLINE_SECONDS)
        assert Heavy.pickled_count == 13
        assert pool.apply(square, (3,)) == 9


@pytest.mark.usefixtures("no_cloudpickle")
def test_an_executor_pickles_large_arguments_late_as_well(tmp_path: Path, heavy_items: list[Any]) -> None:
    """What is done before the one that cannot be pickled has its result."""
    with open_executor("fork", 1) as executor:
        gate = str(tmp_path / "gate")
        executor.submit(pooling.wait_for, gate)
        results = executor.map(pooling.identity, heavy_items)
        assert Heavy.pickled_count <= 6
        Path(gate).touch()
        assert list(itertools.islice(results, 12)) == list(range(12))
        with pytest.raises(UnpicklableTaskError, match=r"argument 1 of identity: <unlocked _thread.lock"):
            next(results)


def test_lambdas_with_cloudpickle(pool: Pool) -> None:
    """They are sent, and so are closures and functions that come back."""
    offset = 3

    def add(number: int) -> int:
        return number + offset

    assert pool.map(lambda number: number * 2, range(5)) == [0, 2, 4, 6, 8]
    assert pool.map(add, range(3)) == [3, 4, 5]
    assert pool.apply(_make_adder, (4,))(5) == 9


def _make_adder(offset: int) -> Callable[[int], int]:
    return lambda number: number + offset


@pytest.mark.usefixtures("no_cloudpickle")
def test_results_that_cannot_be_sent() -> None:
    """The error says which value, and is multiprocessing's error, too."""
    from multiprocessing.pool import MaybeEncodingError  # type: ignore[attr-defined]

    with open_pool("fork") as pool:
        with pytest.raises(MaybeEncodingError) as caught:
            pool.apply(pooling.make_holder)
        assert isinstance(caught.value, UnpicklableResultError)
        assert str(caught.value).startswith(".members['lock'][1] of the task's result: <unlocked _thread.lock")
        assert "Holder object" in caught.value.value
        assert "TypeError" in caught.value.exc
        with pytest.raises(UnpicklableResultError, match=r"\[1\] of the task's result: the lambda at"):
            pool.apply(_make_adders)
        assert pool.apply(square, (3,)) == 9


def _make_adders() -> list[Callable[[int], int]]:
    return [int, lambda number: number]


def test_results_that_cannot_be_rebuilt(pool: Pool) -> None:
    """They do no harm but to their own result."""
    with pytest.raises(UnpicklableResultError, match="could not be rebuilt here: ValueError: invalid literal for int"):
        pool.apply(pooling.CannotBeRebuilt)
    with pytest.raises(UnpicklableTaskError, match="could not be rebuilt in the worker: ValueError: invalid literal"):
        pool.apply(pooling.identity, (pooling.CannotBeRebuilt(),))
    assert pool.apply(square, (3,)) == 9


def test_errors_that_cannot_be_rebuilt(pool: Pool) -> None:
    """The error that comes instead says so, and has the original traceback."""
    with pytest.raises(
        UnpicklableResultError, match="'TwoArgumentsError: first', which could not be rebuilt"
    ) as caught:
        pool.apply(pooling.raise_two_arguments)
    assert 'raise TwoArgumentsError("first", "second")' in str(caught.value.__cause__)
    assert pool.apply(square, (3,)) == 9


def test_a_pool_that_is_made_while_an_error_is_handled() -> None:
    """The owner's error is no part of the tasks' errors."""
    try:
        raise LookupError("the owner's")
    except LookupError:
        pool = open_pool("fork")
    with pool, pytest.raises(ValueError, match="1 is odd") as caught:
        pool.apply(pooling.fail_if_odd, (1,))
    assert "the owner's" not in str(caught.value.__cause__)


def test_functions_that_came_later(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that the workers cannot know is named, and nobody hangs."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "came_later.py").write_text("def function(): pass\n", encoding="utf-8")
    import came_later  # type: ignore[import-not-found]

    (tmp_path / "came_later.py").unlink()
    with pytest.raises(
        UnpicklableTaskError, match=r"came_later.*a worker knows what was defined when the pool was made"
    ):
        pool.apply(came_later.function)


def test_large_values(pool: Pool) -> None:
    """Arrays come whole, and can be written to, on either side; so do bytes."""
    import numpy as np

    array = np.arange(1_000_000)
    doubled = pool.apply(_double_in_place, (array,))
    assert (doubled == array * 2).all()
    doubled += 1
    assert array[1] == 1
    data = os.urandom(3_000_000)
    assert pool.map(pooling.identity, [data] * 5) == [data] * 5


def _double_in_place(array: Any) -> Any:
    array *= 2
    return array


# --- Scripts ----------------------------------------------------------------------------------------------------------


def run_script(text: str, tmp_path: Path, *, redirection: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    path = tmp_path / "script.py"
    path.write_text(text, encoding="utf-8")
    command = ["sh", "-c", f'exec "$0" "$1" {redirection}', sys.executable, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False, env=environment, cwd=tmp_path
    )


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    """Under fork it needs none: workers do not import it again."""
    script = """
from pytest_parpool import Pool

def square(number):
    return number * number

with Pool(2, context="fork") as pool:
    print(pool.map(square, range(4)))
"""
    run = run_script(script, tmp_path)
    assert (run.stdout, run.stderr, run.returncode) == ("[0, 1, 4, 9]\n", "", 0)


def test_a_script_that_is_started_without_standard_input(tmp_path: Path) -> None:
    """As by a daemon: the number is a descriptor of the pool's then, and not for a worker to close."""
    script = """
from pytest_parpool import Pool

with Pool(2, context="fork") as pool:
    print(pool.map(abs, range(-3, 0)))
"""
    run = run_script(script, tmp_path, redirection="<&-")
    assert (run.stdout, run.stderr, run.returncode) == ("[3, 2, 1]\n", "", 0)


def test_a_pool_that_is_made_at_import_and_forgotten(tmp_path: Path) -> None:
    """The script ends, with exit code 0, and no process is left."""
    script = """
import os, time
from pytest_parpool import Pool

pool = Pool(2, context="fork")
print(*{pool.apply(os.getpid) for _ in range(10)})
pool.apply_async(time.sleep, (1000,))
"""
    run = run_script(script, tmp_path)
    assert (run.stderr, run.returncode) == ("", 0)
    for pid in run.stdout.split():
        assert not pooling.is_running(int(pid))


def test_ctrl_c_while_waiting(tmp_path: Path) -> None:
    """The wait ends with KeyboardInterrupt, and the workers with the pool."""
    script = """
import os, signal, time
from pytest_parpool import Pool

def interrupt(pid):
    os.kill(pid, signal.SIGINT)
    time.sleep(1000)

try:
    with Pool(1, context="fork") as pool:
        worker = pool.apply(os.getpid)
        pool.map(interrupt, [os.getpid()])
except KeyboardInterrupt:
    pool.join()
    print(worker)
"""
    run = run_script(script, tmp_path)
    assert (run.stderr, run.returncode) == ("", 0)
    assert not pooling.is_running(int(run.stdout))


def test_a_pool_in_a_daemon_process(tmp_path: Path) -> None:
    """Multiprocessing's workers may not have children by its own rules; they may have a pool."""
    script = """
import multiprocessing
from pytest_parpool import Pool

def squares(count):
    with Pool(2, context="fork") as pool:
        return pool.map(abs, range(count))

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(pool.apply(squares, (3,)))
"""
    run = run_script(script, tmp_path)
    assert (run.stdout, run.returncode) == ("[0, 1, 2]\n", 0)


def test_output_of_tasks(tmp_path: Path) -> None:
    """What tasks write goes where the script's own output goes, however much it is."""
    script = """
import os
from pytest_parpool import Pool

def write(count):
    for _ in range(count):
        os.write(1, b"x" * 1000000)
    print("written")

with Pool(2, context="fork") as pool:
    pool.map(write, [10, 10])
"""
    run = run_script(script, tmp_path)
    assert run.stdout.count("written") == 2  # The line's end comes by itself where Python does not buffer.
    assert run.stdout.count("x") == 20_000_000


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_start_methods(method: str, tmp_path: Path) -> None:
    """A script's own functions, and its lambdas, are found by workers of either kind."""
    script = f"""
import multiprocessing, sys
from pytest_parpool import Pool

def square(number):
    return number * number

if __name__ == "__main__":
    for context in ("{method}", multiprocessing.get_context("{method}")):
        with Pool(2, context=context) as pool:
            print(pool.map(square, range(4)), pool.map(lambda number: -number, range(4)))
"""
    run = run_script(script, tmp_path)
    assert (run.stdout, run.stderr) == ("[0, 1, 4, 9] [0, -1, -2, -3]\n" * 2, "")


def test_forgotten_pools_leave_no_process() -> None:
    """Also if they are at work."""
    pool = open_pool("fork")
    pids = {pool.apply(os.getpid) for _ in range(20)}
    pool.apply_async(_stay_if_two, (2,))
    with pytest.warns(ResourceWarning, match="unclosed"):
        del pool
    until(lambda: not any(pooling.is_running(pid) for pid in pids), "workers are left")
