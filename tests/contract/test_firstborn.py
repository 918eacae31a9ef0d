"""The first worker of a pool is its owner's own child; it does, and ends, as those that the template has forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_parpool import Pool, WorkerCrashed
from pytest_parpool.model.ids import worker_ids
from pytest_parpool.model.messages import Drain
from pytest_parpool.model.notices import Gone
from pytest_parpool.runtime import firstborn, running_pool, template
from pytest_parpool.runtime.firstborn import FirstBirth, Firstborn
from pytest_parpool.runtime.forking import Child, fork_bare
from pytest_parpool.runtime.running_pool import RunningPool
from pytest_parpool.runtime.sockets import stream_pair
from pytest_parpool.workload.process_engine import ProcessEngine
from tests import pooling
from tests.pooling import open_pool, square
from tests.sharing import DEADLINE_SECONDS, until

pytestmark = pytest.mark.skipif(not firstborn.is_possible(), reason="the template forks all workers here")


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool of two processes."""
    with open_pool("fork") as pool:
        yield pool
    pool.join()


def identify(_: object = None) -> tuple[int, int, bool]:
    """Return whose child a worker is, which process, and whether it leads its group."""
    return os.getppid(), os.getpid(), os.getpgrp() == os.getpid()


def say_and_die(number: int) -> None:
    """Write something, and end at once."""
    sys.stdout.write(f"last words of {number}")
    os.kill(os.getpid(), signal.SIGKILL)


def descriptors(_: object = None) -> list[str]:
    """Return what is open above the three that all have, but for sockets and what the lifeline is made of."""
    kinds = []
    for name in os.listdir("/proc/self/fd"):
        try:
            kinds.append(os.readlink(f"/proc/self/fd/{name}").partition(":")[0] if int(name) > 2 else "")
        except FileNotFoundError:  # noqa: PERF203  -- open for the listing
            continue
    return sorted(kinds)


def running(pool: Pool) -> RunningPool:
    """Return what a pool has of its processes."""
    engine = pool._engine
    assert isinstance(engine, ProcessEngine)
    return engine._service._pool


def has_ended(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def is_there(pid: int) -> bool:
    """Whether there is such a process, be it one that has ended and that nobody has waited for."""
    return Path(f"/proc/{pid}").exists()


def test_whose_child_it_is(pool: Pool) -> None:
    """The owner's; all others, and who comes in its place, are the template's, and all lead a group of their own."""
    template = running(pool).template_pid
    parent, pid, leads = pool.apply(identify)
    assert (parent, leads) == (os.getpid(), True)
    with pytest.raises(WorkerCrashed):
        pool.apply(pooling.kill_self, (signal.SIGKILL,))
    assert {pool.apply(identify)[::2] for _ in range(4)} == {(template, True)}
    assert not is_there(pid)


def test_it_has_open_what_others_have(pool: Pool) -> None:
    """Nothing of the owner's, and nothing of the template's."""
    first = pool.apply(descriptors)
    with pytest.raises(WorkerCrashed):
        pool.apply(pooling.kill_self, (signal.SIGKILL,))
    assert pool.apply(descriptors) == first


@pytest.mark.parametrize("number", range(20))
def test_its_first_task_may_be_its_last(number: int) -> None:
    """What it wrote is told, however soon it died."""
    with open_pool("fork") as pool, pytest.raises(WorkerCrashed, match="killed by SIGKILL") as caught:
        pool.apply(say_and_die, (number,))
    assert f"last words of {number}" in caught.value.output
    pool.join()


@pytest.mark.parametrize("end", [Pool.close, Pool.terminate])
def test_nothing_is_left_of_it(end: object) -> None:
    """It is waited for, whoever ends it."""
    pool = open_pool("fork")
    _, pid, _ = pool.apply(identify)
    assert callable(end)
    end(pool)
    pool.join()
    assert not is_there(pid)


def test_nothing_is_left_of_one_that_nobody_needed() -> None:
    """A pool may end before its first task."""
    pool = open_pool("fork")
    pid = running(pool).pid(worker_ids(1)[0])
    assert pid is not None
    assert is_there(pid)
    pool.close()
    pool.join()
    assert not is_there(pid)


def test_without_the_template_it_goes_on(pool: Pool) -> None:
    """As all who are alive; and it is waited for in the end."""
    template = running(pool).template_pid
    _, pid, _ = pool.apply(identify)
    os.kill(template, signal.SIGKILL)
    until(lambda: has_ended(template), "it did not end")
    assert pool.apply(square, (3,)) == 9
    pool.terminate()
    pool.join()
    assert not is_there(pid)


@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "reap"])
def test_an_owner_that_takes_the_ends_of_children(tmp_path: Path, handler: str) -> None:
    """There the template forks all workers: how they end is not lost."""
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import contextlib
import os
import signal

from pytest_parpool import Pool, WorkerCrashed

def reap(*_):
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)

signal.signal(signal.SIGCHLD, {handler})
with Pool(1, context="fork") as pool:
    assert pool.apply(os.getppid) != os.getpid()
    try:
        pool.apply(os.kill, (pool.apply(os.getpid), signal.SIGSEGV))
    except WorkerCrashed as error:
        assert "SIGSEGV" in str(error), error
        print("told")
pool.join()
"""
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert (done.stdout, done.stderr) == ("told\n", "")


def test_an_end_that_somebody_else_has_heard_of() -> None:
    """It cannot be known how it ended; that it did is."""
    owners_end, end = stream_pair()
    files = os.open(os.devnull, os.O_WRONLY), os.open(os.devnull, os.O_WRONLY)
    first = firstborn.Firstborn(FirstBirth(worker_ids(1)[0], end, owners_end, files), fork_bare, signal.pause)
    os.kill(first.born.pid, signal.SIGKILL)
    assert os.waitpid(first.born.pid, 0)[1] == signal.SIGKILL
    exit_ = first.wait_exit(DEADLINE_SECONDS)
    assert exit_.code is None
    assert "this program has waited for it" in exit_.describe()
    for fd in (first.born.pidfd, *files):
        os.close(fd)
    owners_end.close()


def test_one_that_is_abandoned() -> None:
    """Because there is no template, say; nothing of it is left."""
    owners_end, end = stream_pair()
    first = firstborn.Firstborn(FirstBirth(worker_ids(1)[0], end, owners_end, (-1, -1)), fork_bare, signal.pause)
    assert is_there(first.born.pid)
    first.abandon()
    assert not is_there(first.born.pid)
    owners_end.close()


def test_without_a_descriptor_to_watch_it_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no pool, and no process."""
    monkeypatch.setattr(firstborn, "open_pidfd", lambda _: -1)
    assert not firstborn.is_possible()
    owners_end, end = stream_pair()
    pids: list[int] = []

    def fork(live: Callable[[], None]) -> Child:
        child = fork_bare(live)
        pids.append(child.pid)
        return child

    with pytest.raises(OSError, match="no descriptor is left"):
        firstborn.Firstborn(FirstBirth(worker_ids(1)[0], end, owners_end, (-1, -1)), fork, signal.pause)
    assert not is_there(pids[0])
    owners_end.close()


def test_a_template_that_cannot_be_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first worker does not outlive that."""
    pids: list[int] = []
    init = firstborn.Firstborn.__init__

    def note(self: Firstborn, *args: Any) -> None:
        init(self, *args)
        pids.append(self.born.pid)

    def fail(_: object) -> Child:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(firstborn.Firstborn, "__init__", note)
    monkeypatch.setattr(template, "fork_bare", fail)
    with pytest.raises(BlockingIOError):
        open_pool("fork")
    assert len(pids) == 1
    assert not is_there(pids[0])


def test_one_that_cannot_be_born_has_begun_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its predecessor in the slot has claimed is not its own."""

    def fail() -> object:
        raise OSError(24, "Too many open files")

    with open_pool("fork", processes=2) as pool:
        second = worker_ids(2)[1]
        inner = running(pool)  # Nobody else uses it, as long as there is no task.
        inner.page(second).claim(3)
        monkeypatch.setattr(running_pool, "stream_pair", fail)
        inner.spawn(second, Drain())
        assert inner.page(second).claimed == 0
        # The first one may be ready meanwhile.
        (gone,) = [notice for notice in inner.wait(DEADLINE_SECONDS) if isinstance(notice, Gone)]
        assert "could not be started" in gone.exit.describe()
    pool.join()


def test_it_is_killed_with_its_owner(tmp_path: Path) -> None:
    """As all others."""
    script = tmp_path / "script.py"
    script.write_text(
        """
import os
import signal
import time

from pytest_parpool import Pool

def tell():
    print(os.getpid(), os.getppid(), flush=True)
    time.sleep(1000)

with Pool(1, context="fork") as pool:
    pool.apply(tell)
"""
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid, parent = map(int, process.stdout.readline().split())
    assert parent == process.pid
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: has_ended(pid), "it goes on")
