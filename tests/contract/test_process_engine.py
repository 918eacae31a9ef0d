"""What the engine of processes promises, with real processes: one outcome for each task, whatever a task does."""

from __future__ import annotations

import atexit
import contextlib
import gc
import itertools
import multiprocessing.util
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pytest_parpool.model.exits import CHANNEL_LOST_CODE, Exit
from pytest_parpool.model.ids import worker_ids
from pytest_parpool.policy.lifecycle import WorkerState
from pytest_parpool.runtime import template
from pytest_parpool.workload import process_engine
from pytest_parpool.workload.engine import (
    Cancelled,
    Crashed,
    Job,
    Outcome,
    Raised,
    Returned,
    Task,
    TimedOut,
    Unstartable,
)
from pytest_parpool.workload.process_engine import ProcessEngine

DEADLINE_SECONDS = 60.0  # for what takes milliseconds
assert sys.platform == "linux"


class Bench:
    """An engine, and short words for what is done with it."""

    def __init__(self, engine: ProcessEngine) -> None:
        self.engine = engine
        self._changed = threading.Condition()
        self.outcomes: dict[Task, Outcome] = {}
        self.twice: list[Task] = []

    def submit(
        self, function: Callable[..., Any], arguments: Iterable[Any], *, chunk: int = 0, **rules: Any
    ) -> list[Task]:
        """Submit one task for each argument, or for so many of them."""
        calls: list[tuple[tuple[Any], dict[str, Any]]] = [((argument,), {}) for argument in arguments]
        jobs = [Job(function, [call], is_chunk=False) for call in calls]
        if chunk:
            jobs = [Job(function, calls[first : first + chunk], is_chunk=True) for first in range(0, len(calls), chunk)]
        tasks = [self._task(job, rules) for job in jobs]
        self.engine.submit(tasks)
        return tasks

    def _task(self, job: Job, rules: dict[str, Any]) -> Task:
        def note(outcome: Outcome) -> None:
            with self._changed:
                if task in self.outcomes:
                    self.twice.append(task)
                self.outcomes[task] = outcome
                self._changed.notify_all()

        task = Task(self.engine.pack(job), lambda: "call", note, **rules)
        return task

    def wait(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Return the outcomes, once they are all there."""
        with self._changed:
            in_time = self._changed.wait_for(lambda: self.outcomes.keys() >= set(tasks), DEADLINE_SECONDS)
        assert in_time, f"{sum(task not in self.outcomes for task in tasks)} of {len(tasks)} are missing"
        assert not self.twice
        return [self.outcomes[task] for task in tasks]

    def call(self, function: Callable[..., Any], argument: Any = None, **rules: Any) -> Outcome:
        """Return the outcome of one call."""
        return self.wait(self.submit(function, [argument], **rules))[0]

    def values(self, tasks: Sequence[Task]) -> list[Any]:
        """Return what tasks returned; they have."""
        outcomes = self.wait(tasks)
        assert all(isinstance(outcome, Returned) for outcome in outcomes), outcomes
        return [outcome.value for outcome in outcomes if isinstance(outcome, Returned)]

    def value(self, function: Callable[..., Any], argument: Any = None) -> Any:
        """Return what one call returned."""
        return self.values(self.submit(function, [argument]))[0]

    def pids(self) -> set[int]:
        """Return the ids of the processes that are known."""
        pool = self.engine._service._pool
        return {pid for worker in worker_ids(self.engine.processes) if (pid := pool.pid(worker)) is not None}

    def count_of_processes(self) -> int:
        """Return how many there are. One may be at work before its template has said which process it is."""
        slots = self.engine._service._dispatcher._slots.values()
        until(lambda: len(self.pids()) >= sum(slot.is_alive for slot in slots), "nobody says which process it is")
        return len(self.pids())


@contextlib.contextmanager
def opened(*args: Any, **kwargs: Any) -> Iterator[Bench]:
    """A started engine; in the end nothing of it is left."""
    bench = Bench(ProcessEngine(*args, **{"start_method": "fork", **kwargs}))
    try:
        yield bench
    finally:
        bench.engine.terminate()
        join(bench.engine)


def join(engine: ProcessEngine) -> None:
    """Join in time."""
    engine._service.join(DEADLINE_SECONDS)
    thread = engine._service._thread
    assert thread is None or not thread.is_alive(), "the service thread did not end"


def until(is_true: Callable[[], bool], text: str) -> None:
    """Wait for what nobody tells, in time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, text
        time.sleep(0.001)


def is_alive(pid: int) -> bool:
    """Whether a process is there, and not only a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# --- What tasks do ----------------------------------------------------------------------------------------------------


def square(number: int) -> int:
    """Be quick."""
    return number * number


def own_pid(_: object) -> int:
    """Say where it runs."""
    return os.getpid()


def die(number: int) -> NoReturn:
    """End by a signal."""
    os.kill(os.getpid(), number)
    signal.pause()
    raise AssertionError("unreachable")


def die_at(argument: tuple[int, int]) -> int:
    """End by a signal, if two numbers are the same."""
    number, fatal = argument
    return die(signal.SIGKILL) if number == fatal else number


def leave(code: object) -> None:
    """End the process, as Python does."""
    sys.exit(code)  # type: ignore[arg-type]


def fail(text: str) -> None:
    """Raise."""
    raise ValueError(text)


def wait_for(path: Path) -> str:
    """Be busy until a file is there."""
    until(path.exists, "it never came")
    return path.name


def note_and_wait(paths: tuple[Path, Path]) -> None:
    """Say that it has begun, and wait."""
    paths[0].touch()
    wait_for(paths[1])


def note(argument: tuple[Path, int]) -> int:
    """Leave a line for each time that it is done."""
    path, number = argument
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{number}\n")
    return number


def die_once(path: Path) -> int:
    """Crash the first two times."""
    count = note((path, 0)) + len(path.read_text(encoding="utf-8").splitlines())
    return count if count > 2 else die(signal.SIGSEGV)


# --- Tests: what comes back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_results_come_back(start_method: str) -> None:
    """Each task has its own result, whatever the order and the number."""
    with opened(2, start_method=start_method) as bench:
        assert bench.values(bench.submit(square, range(2000))) == [number * number for number in range(2000)]
        tasks = bench.submit(square, range(100), chunk=7)
        assert list(itertools.chain(*bench.values(tasks))) == [number * number for number in range(100)]


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_dead_worker_costs_its_task(start_method: str) -> None:
    """The task it was in is told with how it ended, and everything else is done."""
    with opened(2, start_method=start_method) as bench:
        before = bench.submit(square, range(100))
        crashed = bench.submit(die, [signal.SIGKILL])
        after = bench.submit(square, range(100))
        assert bench.wait(crashed) == [Crashed(Exit(-9), 0, "")]
        assert bench.values(before) == bench.values(after) == [number * number for number in range(100)]


def test_what_is_raised_comes_back() -> None:
    """An exception is the outcome of its task, whatever kind it is; the worker lives on."""
    with opened(1) as bench:
        pid = bench.value(own_pid)
        outcome = bench.call(fail, "so it is")
        assert isinstance(outcome, Raised)
        assert outcome.error.args == ("so it is",)
        interrupted = bench.call(interrupt)
        assert isinstance(interrupted, Raised)
        assert type(interrupted.error) is KeyboardInterrupt
        recursive = bench.call(recurse)
        assert isinstance(recursive, Raised)
        assert type(recursive.error) is RecursionError
        assert bench.value(own_pid) == pid


def interrupt(_: object) -> None:
    """Ctrl-C, as it would come from a terminal."""
    signal.raise_signal(signal.SIGINT)


def recurse(argument: object) -> None:
    """Call itself for ever."""
    recurse(argument)


@pytest.mark.parametrize(
    ("code", "exit_code"), [(3, 3), (None, 0), ("a word", 1)], ids=["number", "nothing", "something else"]
)
def test_a_task_that_exits_ends_its_process(code: object, exit_code: int, capfd: pytest.CaptureFixture[str]) -> None:
    """``sys.exit`` does in a task what it does anywhere."""
    with opened(1) as bench:
        outcome = bench.call(leave, code)
        assert isinstance(outcome, Crashed)
        assert outcome.exit == Exit(exit_code)
        assert bench.value(square, 3) == 9


def test_the_call_of_a_chunk_is_told() -> None:
    """Of a chunk it is known in which call its worker died; those before it were made."""
    with opened(2) as bench:
        tasks = bench.submit(die_at, [(number, 5) for number in range(9)], chunk=3)
        first, crashed, last = bench.wait(tasks)
        assert first == Returned([0, 1, 2])
        assert last == Returned([6, 7, 8])
        assert isinstance(crashed, Crashed)
        assert crashed.call == 2


def test_a_crash_shows_where_it_was() -> None:
    """The Python stacks of a process that ended by a signal of its own are part of the outcome."""
    with opened(1) as bench:
        outcome = bench.call(die, signal.SIGSEGV)
        assert isinstance(outcome, Crashed)
        assert outcome.exit == Exit(-signal.SIGSEGV)
        assert "in die" in outcome.output


def test_a_task_may_be_tried_again(tmp_path: Path) -> None:
    """As often as it says; the last crash is told."""
    with opened(2) as bench:
        assert isinstance(bench.call(die_once, tmp_path / "once", retries=1), Crashed)
        assert bench.call(die_once, tmp_path / "twice", retries=2) == Returned(3)


def test_a_task_has_its_time(tmp_path: Path) -> None:
    """A task that takes too long is ended with its worker; others are not, and go on."""
    with opened(2) as bench:
        late = bench.submit(wait_for, [tmp_path / "never"], timeout_seconds=0.05)
        behind = bench.submit(square, range(200), timeout_seconds=DEADLINE_SECONDS)
        (outcome,) = bench.wait(late)
        assert isinstance(outcome, TimedOut)
        assert outcome.seconds >= 0.05
        assert bench.values(behind) == [number * number for number in range(200)]


def test_large_payloads() -> None:
    """What is large arrives whole, in both directions, and what is mutable can be changed."""
    with opened(2) as bench:
        sizes = [0, 1, 8191, 8192, 8193, 65_536, 300_000, 5_000_000]
        assert bench.values(bench.submit(len, [b"x" * size for size in sizes])) == sizes
        assert [len(value) for value in bench.values(bench.submit(bytes, sizes))] == sizes
        assert (
            bench.values(bench.submit(turn, [bytearray(range(256)) * 4000] * 3))
            == [bytearray(range(255, -1, -1)) * 4000] * 3
        )


def turn(data: bytearray) -> bytearray:
    """Change an argument."""
    data.reverse()
    return data


# --- Tests: handing out -----------------------------------------------------------------------------------------------


def test_nothing_waits_behind_a_long_task(tmp_path: Path) -> None:
    """Tasks that a worker holds behind one that takes long are done by others."""
    done = tmp_path / "done"
    with opened(2) as bench:
        bench.values(bench.submit(square, range(3000)))  # so that hands are large
        long = bench.submit(wait_for, [done])
        bench.values(bench.submit(square, range(3000)))
        assert not bench.outcomes.keys() & set(long)
        done.touch()
        assert bench.values(long) == ["done"]


def test_workers_are_replaced_after_their_share() -> None:
    """No process does more tasks than it may, and none is lost."""
    with opened(2, maxtasksperchild=3) as bench:
        pids = bench.values(bench.submit(own_pid, range(20)))
        assert len(pids) == 20
        assert max(pids.count(pid) for pid in pids) <= 3
        assert len(set(pids)) >= 7


def test_a_task_can_be_cancelled(tmp_path: Path) -> None:
    """One that was not begun ends as cancelled, and is not done; one that runs cannot be."""
    done, began = tmp_path / "done", tmp_path / "began"
    with opened(1) as bench:
        (running,) = bench.submit(note_and_wait, [(began, done)])
        until(began.exists, "it was not begun")
        waiting = bench.submit(note, [(tmp_path / "notes", number) for number in range(3)])
        assert not bench.engine.cancel(running)
        assert bench.engine.cancel(waiting[1])
        assert not bench.engine.cancel(waiting[1])
        assert bench.wait(waiting[1:2]) == [Cancelled()]
        done.touch()
        bench.wait([running, *waiting])
        assert (tmp_path / "notes").read_text(encoding="utf-8").split() == ["0", "2"]


def test_it_is_known_what_was_begun(tmp_path: Path) -> None:
    """A task says since when it runs; one that waits does not."""
    done, began = tmp_path / "done", tmp_path / "began"
    with opened(1) as bench:
        before = time.monotonic()
        (running,) = bench.submit(note_and_wait, [(began, done)])
        (waiting,) = bench.submit(square, [3])
        until(began.exists, "it was not begun")
        until(lambda: running.begun_at is not None, "nobody knows")
        assert running.begun_at is not None
        assert before <= running.begun_at <= time.monotonic()
        assert waiting.begun_at is None
        done.touch()
        bench.wait([running, waiting])


def test_many_threads_submit() -> None:
    """Tasks may come from any thread at any time."""
    with opened(2) as bench:
        results: list[list[int]] = []

        def submit(first: int) -> None:
            results.extend(bench.values(bench.submit(square, [number])) for number in range(first, first + 50))

        threads = [threading.Thread(target=submit, args=(first,)) for first in range(0, 200, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
        assert sorted(results) == [[number * number] for number in range(200)]


# --- Tests: births ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_the_initializer_is_called_in_each_worker(start_method: str, tmp_path: Path) -> None:
    """Once, before anything else."""
    notes = tmp_path / "notes"
    with opened(2, note, ((notes, 7),), start_method=start_method) as bench:
        assert bench.value(square, 3) == 9
        until(lambda: notes.read_text(encoding="utf-8") == "7\n7\n", "it was not called twice")


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_an_initializer_that_fails_ends_everything_once(start_method: str, tmp_path: Path) -> None:
    """What waits, and what comes later, says what failed; nobody is born again and again."""
    notes = tmp_path / "notes"
    with opened(2, note_and_fail, (notes,), start_method=start_method) as bench:
        for _ in range(2):
            for outcome in bench.wait(bench.submit(square, range(10))):
                assert isinstance(outcome, Unstartable)
                assert outcome.what == "initializer 'note_and_fail'"
                assert "ValueError: no luck" in outcome.text
        assert len(notes.read_text(encoding="utf-8").split()) <= 2


def note_and_fail(path: Path) -> NoReturn:
    """Fail, and leave a line."""
    note((path, 0))
    raise ValueError("no luck")


def test_processes_are_born_as_tasks_wait_for_them(tmp_path: Path) -> None:
    """One at once, and another one only when nobody has nothing to do."""
    never = tmp_path / "never"
    with opened(3) as bench:
        for number in range(20):
            assert bench.value(square, number) == number * number
        assert bench.count_of_processes() == 1
        begun = [tmp_path / "first", tmp_path / "second"]
        bench.submit(note_and_wait, [(path, never) for path in begun])
        until(lambda: all(path.exists() for path in begun), "they wait for each other")
        assert bench.count_of_processes() == 2


def test_the_first_process_is_known_before_there_is_a_task() -> None:
    """What it says of itself is not lost on a service that has nothing to do for it yet."""
    with opened(2) as bench:
        bench.submit(square, [])
        until(
            lambda: bench.engine._service._dispatcher._slots[worker_ids(1)[0]].state is WorkerState.ASKING,
            "nobody heard it",
        )
        assert bench.value(square, 3) == 9
        assert bench.count_of_processes() == 1


def test_workers_that_die_at_birth_are_given_up() -> None:
    """If every process dies before it can do anything, everything ends and says how they died."""
    with opened(2, os._exit, (7,)) as bench:
        (outcome,) = bench.wait(bench.submit(square, [1]))
        assert isinstance(outcome, Unstartable)
        assert "exit code 7" in outcome.text
        assert isinstance(bench.call(square, 2), Unstartable)


def test_processes_are_apart_from_the_owner_and_from_its_terminal() -> None:
    """Each leads a process group, and a terminal of the owner's is not theirs: Ctrl-C there reaches the owner alone."""
    script = """\
        import os
        from pytest_parpool import Pool

        os.setsid()
        _, end = os.openpty()
        os.open(os.ttyname(end), os.O_RDWR)
        os.close(os.open("/dev/tty", os.O_RDWR))  # it has one

        def look(_):
            try:
                os.close(os.open("/dev/tty", os.O_RDWR))
            except OSError:
                return os.getpgrp() == os.getpid()

        with Pool(2, context="fork") as pool:
            assert pool.map(look, range(8), 1) == [True] * 8
        """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    subprocess.run(command, check=True, timeout=DEADLINE_SECONDS)


def test_a_worker_that_leaves_does_what_multiprocessing_does_at_a_processs_exit(tmp_path: Path) -> None:
    """So what a task has put into a queue of multiprocessing, for one, has left the process before."""
    path = tmp_path / "done"
    with opened(1) as bench:
        assert isinstance(bench.call(touch_at_exit, path), Returned)
        bench.engine.close()
        join(bench.engine)
        assert path.exists()


def touch_at_exit(path: Path) -> None:
    """Have ``multiprocessing`` make a file when this process ends."""
    multiprocessing.util.Finalize(None, path.touch, exitpriority=1)


def test_services_that_have_ended_are_forgotten() -> None:
    """However many pools a process makes, it looks at those only that have not ended."""
    for _ in range(3):
        with opened(1) as bench:
            assert bench.value(square, 3) == 9
    with opened(1) as bench:
        others = [service for service in process_engine._services if service is not bench.engine._service]
        assert not any(service.is_ended for service in others)
        assert bench.engine._service in process_engine._services


def test_without_the_template_the_living_go_on() -> None:
    """The end of the process that forks workers loses no task as long as a worker lives."""
    with opened(2, square, (0,)) as bench:
        assert bench.value(square, 2) == 4
        until(lambda: len(bench.pids()) == 2, "they are not born")
        os.kill(bench.engine._service._pool.template_pid, signal.SIGKILL)
        assert bench.values(bench.submit(square, range(100))) == [number * number for number in range(100)]
        outcomes = bench.wait(bench.submit(die, [signal.SIGKILL] * 4))
        kinds = [type(outcome) for outcome in outcomes]
        assert (kinds.count(Crashed), kinds.count(Unstartable)) == (2, 2)


# --- Tests: hostile tasks ---------------------------------------------------------------------------------------------


def test_a_task_that_closes_everything() -> None:
    """It ends its worker, and says why."""
    with opened(1) as bench:
        outcome = bench.call(close_everything)
        assert isinstance(outcome, Crashed)
        assert outcome.exit == Exit(CHANNEL_LOST_CODE)
        assert bench.value(square, 3) == 9


def close_everything(_: object) -> None:
    """As some daemons do."""
    os.closerange(0, 1024)


def test_a_task_that_writes_nonsense_everywhere() -> None:
    """A worker whose stream was spoilt is replaced."""
    with opened(1) as bench:
        assert isinstance(bench.call(write_nonsense), Crashed)
        assert bench.value(square, 3) == 9


def write_nonsense(_: object) -> None:
    """Write into every socket that it finds."""
    for fd in range(3, 100):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                os.write(fd, b"\x00" * 40)


def test_a_task_whose_child_comes_back() -> None:
    """A forked child ends where the call would return, as if it had been a process of its own."""
    with opened(1) as bench:
        for ending in ("return", "raise", "exit"):
            assert bench.value(fork_and_wait, ending) == {"return": 0, "raise": 1, "exit": 5}[ending]
        assert bench.value(square, 3) == 9


def fork_and_wait(ending: str) -> int:
    """Fork; the child goes on as if it were the worker."""
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        if ending == "raise":
            raise ValueError("in the child")
        if ending == "exit":
            sys.exit(5)
        return -1
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_task_may_use_processes() -> None:
    """Workers are no daemons: what a task starts may be processes of multiprocessing."""
    with opened(1) as bench:
        assert bench.value(use_processes) == 0


def use_processes(_: object) -> int | None:
    """Start a process."""
    process = multiprocessing.get_context("fork").Process(target=square, args=(1,))
    process.start()
    process.join()
    return process.exitcode


def test_a_task_that_writes_much(capfd: pytest.CaptureFixture[str]) -> None:
    """A hundred megabytes of output are written where they belong, and nobody waits."""
    with opened(1) as bench:
        assert bench.value(write_much, os.devnull) == 100
        assert bench.value(print, "and this is shown") is None
    assert capfd.readouterr().out.endswith("and this is shown\n")


def write_much(path: str) -> int:
    """Write a hundred megabytes to the standard output, which is a file meanwhile."""
    kept = os.dup(1)
    fd = os.open(path, os.O_WRONLY)
    os.dup2(fd, 1)
    os.close(fd)
    for _ in range(100):
        sys.stdout.write("x" * (1 << 20))
    sys.stdout.flush()
    os.dup2(kept, 1)
    os.close(kept)
    return 100


def test_a_task_that_uses_up_the_memory() -> None:
    """A limit of memory is an error of the task; the worker lives on."""
    with opened(1) as bench:
        pid = bench.value(own_pid)
        outcome = bench.call(use_up_memory)
        assert isinstance(outcome, Raised)
        assert type(outcome.error) is MemoryError
        assert bench.value(own_pid) == pid


def use_up_memory(_: object) -> None:
    """Ask for more than there may be."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, limits[1]))
    try:
        bytearray(1 << 31)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_a_worker_that_is_killed_while_it_writes_a_result() -> None:
    """Half a result is none: its task has crashed, or is whole."""
    with opened(2) as bench:
        tasks = bench.submit(die_while_returning, [1 << 24] * 4)
        for outcome in bench.wait(tasks):
            assert isinstance(outcome, Crashed) or (isinstance(outcome, Returned) and len(outcome.value) == 1 << 24)
        assert bench.value(square, 3) == 9


def die_while_returning(size: int) -> bytearray:
    """Have a child kill this process when it is probably writing."""
    worker = os.getpid()
    if os.fork() == 0:
        stat = Path(f"/proc/{worker}/syscall")
        deadline = time.monotonic() + 1.0
        # Number 20 is writev on x86-64; elsewhere the deadline has to do.
        while time.monotonic() < deadline and not stat.read_text(encoding="ascii").startswith("20 "):
            pass
        os.kill(worker, signal.SIGKILL)
        os._exit(0)
    return bytearray(size)


def test_an_idle_worker_that_is_killed_is_replaced() -> None:
    """Nobody hears of it."""
    with opened(2) as bench:
        for _ in range(5):
            pid = bench.value(own_pid)
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: not is_alive(pid), "it lives")  # type: ignore[misc]
        assert bench.values(bench.submit(square, range(50))) == [number * number for number in range(50)]


def test_500_random_kills(tmp_path: Path) -> None:
    """Whenever a worker is killed: each task has one outcome, and none is done twice."""
    notes = tmp_path / "notes"
    chance = random.Random(20)
    with opened(2) as bench:
        tasks: list[Task] = []
        kills = 0
        while kills < 500:
            tasks += bench.submit(note, [(notes, len(tasks) + number) for number in range(20)])
            for pid in chance.sample(sorted(pids), 1) if (pids := bench.pids()) else ():
                with contextlib.suppress(ProcessLookupError):  # It ended a moment ago.
                    kills += is_alive(pid)
                    os.kill(pid, signal.SIGKILL)
            if chance.random() < 0.3:
                bench.wait(tasks[-1:])
        outcomes = bench.wait(tasks)
        assert {type(outcome) for outcome in outcomes} <= {Returned, Crashed}
        returned = [outcome.value for outcome in outcomes if isinstance(outcome, Returned)]
        begun = [int(line) for line in notes.read_text(encoding="utf-8").split()]
        assert len(begun) == len(set(begun))
        assert set(returned) <= set(begun)
        assert len(returned) >= len(tasks) - 500


# --- Tests: ends ------------------------------------------------------------------------------------------------------


def test_closing_waits_for_everything(tmp_path: Path) -> None:
    """What was submitted is done, workers leave as processes do, and nothing more is taken."""
    left = tmp_path / "left"
    with opened(2) as bench:
        tasks = bench.submit(register_at_exit, [left] * 2) + bench.submit(square, range(500))
        bench.engine.close()
        with pytest.raises(ValueError, match="not running"):
            bench.submit(square, [1])
        join(bench.engine)
        assert len(bench.values(tasks)) == 502
        assert left.read_text(encoding="utf-8") == "0\n0\n"
        bench.engine.close()


def register_at_exit(path: Path) -> None:
    """Have something done when the process ends."""
    atexit.register(note, (path, 0))


def test_closing_what_was_never_used(tmp_path: Path) -> None:
    """The initializer has been called all the same, in each worker; without one nobody need have been born."""
    with opened(2) as bench:
        bench.engine.close()
        join(bench.engine)
        assert bench.pids() == set()
    with opened(2, register_at_exit, (tmp_path / "left",)) as bench:
        bench.engine.close()
        join(bench.engine)
    assert (tmp_path / "left").read_text(encoding="utf-8") == "0\n0\n"


def test_joining_an_open_engine_is_refused() -> None:
    """It would wait for ever."""
    with opened(1) as bench, pytest.raises(ValueError, match="still running"):
        bench.engine.join()


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
@pytest.mark.parametrize("state", ["new", "idle", "busy", "dying", "closed"])
def test_terminating_leaves_nothing(state: str, start_method: str, tmp_path: Path) -> None:
    """From any state: no process is left, and every task has an outcome."""
    with opened(2, start_method=start_method) as bench:
        tasks: list[Task] = []
        if state != "new":
            assert bench.value(square, 2) == 4
        if state in {"busy", "closed"}:
            tasks = bench.submit(wait_for, [tmp_path / "never"] * 10)
        if state == "dying":
            tasks = bench.submit(die, [signal.SIGKILL] * 10)
        if state == "closed":
            bench.engine.close()
        group = bench.pids()
        bench.engine.terminate()
        join(bench.engine)
        assert {type(outcome) for outcome in bench.wait(tasks)} <= {Cancelled, Crashed}
        assert [pid for pid in group if is_alive(pid)] == []
        assert multiprocessing.active_children() == []
        with pytest.raises(ValueError, match="not running"):
            bench.submit(square, [1])


def test_terminating_does_not_wait_for_who_is_being_born(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of which nobody has heard yet are killed by the template, which can end then."""
    monkeypatch.setattr(template, "_LEAVE_SECONDS", 2 * DEADLINE_SECONDS)
    for _ in range(10):
        began_at = time.monotonic()
        ProcessEngine(2, square, (0,), start_method="fork").terminate()
        assert time.monotonic() - began_at < DEADLINE_SECONDS


def test_a_forgotten_engine_ends() -> None:
    """When nobody knows it any more, its processes and its thread are gone."""
    bench = Bench(ProcessEngine(2, start_method="fork"))
    assert bench.value(square, 2) == 4
    pids, thread = bench.pids(), bench.engine._service._thread
    assert thread is not None
    del bench
    gc.collect()
    thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()
    until(lambda: not any(map(is_alive, pids)), "they live")


SCRIPT = """
    import os, signal, sys, threading, time
    from pytest_parpool.workload.engine import Job, Task
    from pytest_parpool.workload.process_engine import ProcessEngine

    def submit(engine, function, argument):
        told, outcomes = threading.Event(), []
        def note(outcome):
            outcomes.append(outcome)
            told.set()
        engine.submit([Task(engine.pack(Job(function, [((argument,), {})], is_chunk=False)), str, note)])
        return told, outcomes

    def call(engine, function, argument):
        told, outcomes = submit(engine, function, argument)
        assert told.wait(60)
        return outcomes[0].value

    def own_pid(_):
        return os.getpid()
"""


def script(text: str, *, is_ended: bool = True) -> tuple[list[str], subprocess.Popen[str]]:
    """Run a script, and return what it wrote; to its end, or up to a line "ready"."""
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT) + textwrap.dedent(text)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        if not is_ended and line == "ready\n":
            break
        lines.append(line.strip())
    if is_ended:
        process.wait(DEADLINE_SECONDS)
        process.stdout.close()
    return lines, process


def test_the_end_of_the_interpreter_ends_the_pool() -> None:
    """A script that just ends leaves no process, whatever they are doing."""
    (pid,), process = script(
        """
        engine = ProcessEngine(2)
        print(call(engine, own_pid, 0))
        submit(engine, time.sleep, 1000)
        """
    )
    assert process.returncode == 0
    assert not is_alive(int(pid))


@pytest.mark.parametrize("has_child", [False, True], ids=["alone", "with a forked child"])
def test_the_death_of_the_owner_ends_the_pool(has_child: bool) -> None:
    """Also while a process lives that the owner has forked."""
    lines, process = script(
        f"""
        engine = ProcessEngine(2)
        print(call(engine, own_pid, 0))
        if {has_child}:
            pid = os.fork()
            if pid == 0:
                sys.stdout = None
                time.sleep(1000)
            print(pid)
        submit(engine, time.sleep, 1000)
        print("ready", flush=True)
        time.sleep(1000)
        """,
        is_ended=False,
    )
    process.kill()
    process.wait(DEADLINE_SECONDS)
    try:
        until(lambda: not is_alive(int(lines[0])), "the worker lives")
    finally:
        for pid in lines[1:]:
            os.kill(int(pid), signal.SIGKILL)
        if process.stdout is not None:
            process.stdout.close()


def test_a_forked_copy_of_the_owner_disturbs_nobody() -> None:
    """The end of a child that has a copy of the engine is nothing to the engine."""
    lines, process = script(
        """
        engine = ProcessEngine(2)
        assert call(engine, abs, -1) == 1
        if (pid := os.fork()) == 0:
            engine = None
            sys.exit(3)
        assert os.waitpid(pid, 0)[1] == 3 << 8
        print(call(engine, abs, -5))
        """
    )
    assert (lines, process.returncode) == (["5"], 0)


def test_control_c_ends_the_script_and_its_workers() -> None:
    """The signal of a terminal reaches who waits; workers are not interrupted, and end with it."""
    lines, process = script(
        """
        engine = ProcessEngine(2)
        print(call(engine, own_pid, 0))
        told, _ = submit(engine, time.sleep, 1000)
        try:
            print("ready", flush=True)
            told.wait(1000)
        except KeyboardInterrupt:
            sys.exit(7)
        """,
        is_ended=False,
    )
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(DEADLINE_SECONDS) == 7
    assert not is_alive(int(lines[0]))
    if process.stdout is not None:
        process.stdout.close()


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_in_a_daemonic_process(start_method: str) -> None:
    """Also a process that multiprocessing allows no children may have a pool, whose tasks may start processes."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=use_engine, args=(theirs, start_method), daemon=True)
    process.start()
    assert ours.poll(DEADLINE_SECONDS)
    assert ours.recv() == 0
    process.join(DEADLINE_SECONDS)
    assert process.exitcode == 0


def use_engine(connection: Any, start_method: str) -> None:
    """Have a pool do something that starts a process."""
    with opened(2, start_method=start_method) as bench:
        connection.send(bench.value(use_processes))


def test_under_spawn_a_script_is_found(tmp_path: Path) -> None:
    """Functions of a script with a main guard are found by fresh interpreters."""
    path = tmp_path / "program.py"
    end = 'if __name__ == "__main__":\n    print(call(ProcessEngine(1, start_method="spawn"), twice, 21))\n'
    path.write_text(f"{textwrap.dedent(SCRIPT)}\ndef twice(number):\n    return 2 * number\n\n{end}", encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert (done.stdout, done.returncode) == ("42\n", 0), done.stderr


def test_under_spawn_a_script_without_a_main_guard_says_so(tmp_path: Path) -> None:
    """Instead of starting itself again and again."""
    path = tmp_path / "program.py"
    end = 'engine = ProcessEngine(1, start_method="spawn")\ntold, outcomes = submit(engine, abs, 1)\ntold.wait(60)\n'
    path.write_text(f"{textwrap.dedent(SCRIPT)}\n{end}print(outcomes[0].text)\n", encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert "__main__" in done.stdout
    assert done.returncode == 0, done.stderr
