"""What a pool promises whoever starts its workers, a template or a launcher; and what a launcher promises besides.

``test_pool`` has the rest of what forked workers promise, by tasks that a fresh interpreter would not find.
"""

from __future__ import annotations

import ast
import collections
import contextlib
import functools
import marshal
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_parpool.model.exits import CHANNEL_LOST_CODE, Exit
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import Asked, Drain, Finished, Interrupted, Left, Ready, WarningSeen
from pytest_parpool.model.notices import Gone
from pytest_parpool.runtime.exit_watch import ExitWatch
from pytest_parpool.runtime.launch import Launch
from pytest_parpool.runtime.outputs import LastOutput
from pytest_parpool.runtime.pool import WorkerPool
from pytest_parpool.runtime.running_pool import RunningPool
from tests import launching

if sys.platform == "linux":
    from tests.contract.test_pool import BEGIN, GW0, GW1, Observer, is_alive, run, wait_until

# There is nothing to test where workers cannot be forked, and type checkers know it.
assert sys.platform == "linux"

ROOT = str(Path(launching.__file__).parent.parent)

StartPool = Callable[..., RunningPool]


def launch(*tasks: str, processes: int = 3, **changes: object) -> RunningPool:
    """Start a pool of fresh interpreters that do these tasks."""
    fields: dict[str, object] = {
        "entry": launching.ENTRY,
        "order": marshal.dumps(list(tasks)),
        "environment": lambda worker: {"PYTEST_XDIST_WORKER": str(worker)},
        "directory": ROOT,
        "path": [ROOT, *sys.path],
        "argv": ["own-argv"],
        "is_silent": True,
    }
    return WorkerPool(processes).launch(Launch(**{**fields, **changes}))  # type: ignore[arg-type]


def fork(*tasks: str, processes: int = 3) -> RunningPool:
    """Start a pool of forked workers that do these tasks."""
    return WorkerPool(processes).start(functools.partial(launching.serve, order=marshal.dumps(list(tasks))))


@pytest.fixture(params=[fork, launch], ids=["template", "launcher"])
def start_pool(request: pytest.FixtureRequest) -> StartPool:
    """Starts a pool in one of the ways."""
    found: StartPool = request.param
    return found


@contextlib.contextmanager
def observed(pool: RunningPool) -> Iterator[Observer]:
    """Observe a pool, to its end."""
    with pool:
        yield Observer(pool)


def reported(seen: Observer, worker: WorkerId = GW0, count: int = 1) -> object:
    """Wait for what a worker has to report for the so many-th time, and return it."""
    seen.until_heard(WarningSeen, worker, count)
    warnings = [event.warning for event in seen.events(worker) if isinstance(event, WarningSeen)]
    return ast.literal_eval(warnings[count - 1].decode())


def asked(seen: Observer, *tasks: int, worker: WorkerId = GW0) -> object:
    """Have a worker born, give it items, and return what it reports."""
    seen.birth(worker)
    seen.command(run(*tasks), worker)
    return reported(seen, worker)


def descriptors() -> list[str]:
    """Return this process's descriptors."""
    return sorted(os.listdir("/proc/self/fd"))


# --- Births and good ends ---------------------------------------------------------------------------------------------


def test_a_worker_is_born_works_and_leaves(start_pool: StartPool) -> None:
    """Its events come in their order, and its end comes behind them, with code 0."""
    with observed(start_pool("nothing", "nothing")) as seen:
        pid = seen.birth()
        seen.command(run(0, 1))
        seen.until_heard(Finished, count=2)
        seen.command(Drain())
        assert seen.until_gone() == Exit(0)
        ready, *others = seen.events()
        assert isinstance(ready, Ready)
        assert ready.pid == pid
        assert others == [Finished(ItemIndex(0), 0.0), Finished(ItemIndex(1), 0.0), Left(b"")]
        assert isinstance(seen.seen[-1], Gone)
        assert seen.pool.pid(GW0) is None


def test_workers_have_one_parent_and_sessions_of_their_own(start_pool: StartPool) -> None:
    """The spawner's process is their parent; each leads its own group, so that it can be killed with all it started."""
    with observed(start_pool("family")) as seen:
        for worker in (GW0, GW1):
            assert asked(seen, 0, worker=worker) == (seen.pool.template_pid, True)


def test_a_worker_has_nothing_of_its_siblings_open(start_pool: StartPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One socket, its channel, one pipe, the lifeline, and the files it made; what it starts gets nothing of that."""
    # With it, loaded by whichever test, a fork is multiprocessing's, which has pipes of its own.
    monkeypatch.delitem(sys.modules, "multiprocessing.process", raising=False)
    inherited = collections.Counter(launching.descriptors() if start_pool is fork else ())
    with observed(start_pool("descriptors", "of-child")) as seen:
        seen.birth(GW1)
        found = asked(seen, 0, 1)
        assert isinstance(found, list)
        more = collections.Counter(found) - inherited
        own = collections.Counter(files=3, pipe=1, socket=1)
        # A forked one has closed some of what this process has open.
        assert more == own or (start_pool is fork and more <= own), more
        # Standard input, output and error; and what pytest has left inheritable.
        most = launching.descriptors_of_child() if start_pool is fork else 3
        of_child = reported(seen, count=2)
        assert isinstance(of_child, int)
        assert 3 <= of_child <= most


def test_a_slot_has_one_worker_after_the_other(start_pool: StartPool) -> None:
    """Each works, none costs a descriptor, and their ends are told in their order."""
    with observed(start_pool("nothing", "exit 7")) as seen:
        counts = []
        for number in range(4):
            seen.birth()
            seen.command(run(0, 1))
            assert seen.until_gone(number + 1) == Exit(7)
            counts.append(len(descriptors()))
        assert len(set(counts)) == 1
        assert sum(isinstance(event, Finished) for event in seen.events()) == 4


# --- Bad ends ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "code"),
    [
        pytest.param("exit 3", 3, id="exit"),
        pytest.param("exit 0", 0, id="exit as if all were well"),
        pytest.param("raise", 1, id="exception"),
        pytest.param("segfault", -signal.SIGSEGV, id="segfault"),
        pytest.param("kill", -signal.SIGKILL, id="kill"),
        pytest.param("close", CHANNEL_LOST_CODE, id="closed descriptors"),
    ],
)
def test_how_a_worker_ended_is_told(
    start_pool: StartPool, task: str, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """The exit code or the signal; an exception that nobody caught is shown."""
    with observed(start_pool(task)) as seen:
        seen.birth()
        seen.command(run(0))
        assert seen.until_gone() == Exit(code)
    assert ("ZeroDivisionError" in capfd.readouterr().err) == (task == "raise")


def test_what_a_killed_worker_had_written_is_there(start_pool: StartPool) -> None:
    """Its capture files are read after its death."""
    with observed(start_pool("write", "kill")) as seen:
        seen.birth()
        seen.command(run(0, 1))
        seen.until_gone()
        assert seen.pool.last_output(GW0) == LastOutput("out", "err", "stack")


def test_three_that_end_at_once_are_each_told(start_pool: StartPool) -> None:
    """Each with its own code, whatever the order."""
    workers = [WorkerId(f"gw{number}") for number in range(3)]
    with observed(start_pool("exit 3", "exit 4", "exit 5")) as seen:
        for number, worker in enumerate(workers):
            seen.birth(worker)
            seen.command(run(number), worker)
        assert [seen.until_gone(worker=worker) for worker in workers] == [Exit(3), Exit(4), Exit(5)]


def test_a_worker_that_is_killed_at_its_birth_is_told(start_pool: StartPool) -> None:
    """It has not said a word yet; the slot can have another."""
    with observed(start_pool("nothing")) as seen:
        seen.pool.spawn(GW0, BEGIN)
        seen.until(lambda: seen.pool.pid(GW0) is not None)
        seen.pool.kill(GW0)
        assert seen.until_gone() == Exit(-signal.SIGKILL)
        seen.birth()
        seen.command(Drain())
        assert seen.until_gone(2) == Exit(0)


def test_kill_ends_a_worker_and_what_it_started(start_pool: StartPool) -> None:
    """A worker that ignores everything, and the child it has in its process group, are gone."""
    with observed(start_pool("resist")) as seen:
        child = asked(seen, 0)
        assert isinstance(child, int)
        pid = seen.pool.pid(GW0)
        assert pid is not None
        seen.until_heard(Asked)
        seen.pool.interrupt(GW0)
        assert is_alive(child)
        seen.pool.kill(GW0)
        assert seen.until_gone() == Exit(-signal.SIGKILL)
        wait_until(lambda: not is_alive(pid) and not is_alive(child), "the worker's group is gone")


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "background job"])
def test_an_interrupt_is_a_keyboard_interrupt_in_the_worker(
    start_pool: StartPool, handler: Callable[..., object] | signal.Handlers
) -> None:
    """It cuts off what runs, also if the shell has this process ignore Ctrl-C; the worker itself goes on."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        with observed(start_pool("wait")) as seen:
            seen.birth()
            seen.command(run(0))
            seen.until_heard(Asked)
            seen.pool.interrupt(GW0)
            seen.until_heard(Finished)
            assert Interrupted(ItemIndex(0), "") in seen.events()
            assert seen.exits() == []
    finally:
        signal.signal(signal.SIGINT, before)


# --- The ledger -------------------------------------------------------------------------------------------------------


def test_what_a_busy_worker_has_not_claimed_is_taken_back(start_pool: StartPool) -> None:
    """The controller sees what is claimed, and the worker sees what was taken back, while it reads no messages."""
    with observed(start_pool("wait", "nothing", "nothing")) as seen:
        seen.birth(GW0)
        seen.birth(GW1)
        seen.command(run(0, 1, 2))
        seen.until_heard(Asked)
        assert seen.pool.page(GW0).claimed == 1
        assert seen.pool.page(GW1).claimed == 0
        assert seen.pool.take_back(GW0, 1) == 1
        seen.command(run(2, 1), GW1)
        seen.until_heard(Finished, GW1, 2)
        seen.pool.interrupt(GW0)
        seen.command(Drain())
        assert seen.until_gone() == Exit(0)
        assert [event for event in seen.events() if isinstance(event, Finished)] == [Finished(ItemIndex(0), 0.0)]


def test_a_successor_begins_with_a_clean_page(start_pool: StartPool) -> None:
    """Nothing that was claimed or taken back in its predecessor's time holds for it."""
    with observed(start_pool("wait", "nothing")) as seen:
        seen.birth()
        seen.command(run(0, 1))
        seen.until_heard(Asked)
        assert seen.pool.take_back(GW0, 1) == 1
        seen.pool.kill(GW0)
        seen.until_gone()
        seen.birth()
        assert seen.pool.page(GW0).claimed == 0
        seen.command(run(1))
        seen.until_heard(Finished)


# --- The end of the pool, and of its process --------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["busy", "stopped", "waiting", "half born", "born ahead"])
def test_close_leaves_no_process_and_no_descriptor(start_pool: StartPool, state: str) -> None:
    """Whatever workers are doing, none of them survives; every descriptor is given back."""
    before = descriptors()
    with observed(start_pool("wait")) as seen:
        pids = []
        if state == "half born":
            seen.pool.spawn(GW0, BEGIN)
        elif state == "born ahead":
            seen.pool.spawn_ahead([GW0])
            seen.until(lambda: seen.pool.pid(GW0) is not None)
            pids = [seen.pool.pid(GW0) or 0]
        else:
            pids = [seen.birth(GW0), seen.birth(GW1)]
        if state == "busy":
            seen.command(run(0))
            seen.until_heard(Asked)
        if state == "stopped":
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: not any(map(is_alive, pids)), "all processes are gone")
    assert descriptors() == before
    assert _has_no_child()


def test_a_broken_off_pool_is_closed(start_pool: StartPool) -> None:
    """An exception of whoever uses it ends all its processes on its way out."""
    pids: list[int] = []
    with contextlib.suppress(ZeroDivisionError), observed(start_pool()) as seen:
        pids += [seen.birth()]
        raise ZeroDivisionError
    wait_until(lambda: not any(map(is_alive, pids)), "all processes are gone")


def test_a_worker_born_ahead_is_the_one_that_is_asked_for(start_pool: StartPool) -> None:
    """It waits, and nothing is heard of it, until it is given its first command."""
    with observed(start_pool()) as seen:
        seen.pool.spawn_ahead([GW0, GW1])
        seen.until(lambda: seen.pool.pid(GW0) is not None and seen.pool.pid(GW1) is not None)
        assert seen.seen == []
        pid = seen.pool.pid(GW0)
        assert seen.birth() == pid


@pytest.mark.parametrize("moment", ["busy", "being born"])
def test_no_worker_outlives_a_killed_controller(start_pool: StartPool, moment: str) -> None:
    """Neither one that ignores everything, nor its child, nor one that has not even begun."""
    told, tell = os.pipe()
    controller = os.fork()
    if controller == 0:
        try:
            with observed(start_pool("resist")) as seen:
                if moment == "busy":
                    child = asked(seen, 0)
                    seen.until_heard(Asked)
                    os.write(tell, repr([seen.pool.pid(GW0), child]).encode())
                else:
                    seen.pool.spawn(GW0, BEGIN)
                    seen.until(lambda: seen.pool.pid(GW0) is not None)
                    os.write(tell, repr([seen.pool.pid(GW0)]).encode())
                signal.pause()
        finally:
            os._exit(1)
    try:
        pids = ast.literal_eval(os.read(told, 1000).decode())
    finally:
        os.kill(controller, signal.SIGKILL)
        os.waitpid(controller, 0)
        os.close(told)
        os.close(tell)
    wait_until(lambda: not any(map(is_alive, pids)), f"all of {pids} are gone")


def _has_no_child() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG) == (0, 0)  # Others' children, that are alive.
    except ChildProcessError:
        return True


# --- What a fresh interpreter is given --------------------------------------------------------------------------------


def test_a_launched_worker_finds_what_it_was_given(tmp_path: Path) -> None:
    """Its directory, arguments, path and variables are as said, and its standard input is empty."""
    path = [ROOT, str(tmp_path), *sys.path]
    with observed(launch("environment", directory=str(tmp_path), path=path, argv=["a", "-n", "2"])) as seen:
        for worker in (GW0, GW1):
            assert asked(seen, 0, worker=worker) == (str(tmp_path), ["a", "-n", "2"], path, worker, b"")


def test_later_workers_find_the_variables_that_the_first_ones_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to the controller's environment meanwhile is nothing to them."""
    monkeypatch.setenv("OF_A_TEST", "first")
    with observed(launch("variable OF_A_TEST")) as seen:
        assert asked(seen, 0) == "first"
        monkeypatch.setenv("OF_A_TEST", "second")
        assert asked(seen, 0, worker=GW1) == "first"


@pytest.mark.parametrize("given", [None, "random", "0", "17"])
def test_sets_have_one_order_in_all_launched_workers(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    """They share a hash seed, the user's if there is one; the variable is as it was for what tests start."""
    if given is None:
        monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    else:
        monkeypatch.setenv("PYTHONHASHSEED", given)
    with observed(launch("order x", "variable PYTHONHASHSEED")) as seen:
        assert asked(seen, 0, 1) == asked(seen, 0, worker=GW1)
        assert reported(seen, count=2) == given


def test_an_interrupt_of_a_young_worker_waits_for_it() -> None:
    """It comes while the interpreter starts, which it would kill otherwise, and is heard when the entry allows it."""
    with observed(launch(entry="tests.launching:serve_after_interrupt", defers_interrupts=True)) as seen:
        seen.pool.spawn_ahead([GW0])
        seen.until(lambda: seen.pool.pid(GW0) is not None)
        seen.pool.interrupt(GW0)
        seen.birth()
        assert seen.events()[0] == Interrupted(None, "")
        seen.command(Drain())
        assert seen.until_gone() == Exit(0)


@pytest.mark.parametrize("is_silent", [True, False])
def test_standard_output_is_heard_if_it_is_to_be(is_silent: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """It goes where the controller's goes, or nowhere."""
    with observed(launch("print hello", is_silent=is_silent)) as seen:
        seen.birth()
        seen.command(run(0))
        seen.until_heard(Finished)
    assert capfd.readouterr().out == ("" if is_silent else "hello")


def test_workers_are_launched_whatever_threads_do() -> None:
    """A thread that starts and ends others all the time, and takes locks, is no trouble."""
    is_over = threading.Event()

    def be_busy() -> None:
        while not is_over.is_set():
            thread = threading.Thread(target=is_over.wait, args=(0.001,))
            thread.start()
            thread.join()

    busy = threading.Thread(target=be_busy)
    busy.start()
    try:
        with observed(launch("exit 0")) as seen:
            for number in range(3):
                seen.birth()
                seen.command(run(0))
                assert seen.until_gone(number + 1) == Exit(0)
    finally:
        is_over.set()
        busy.join()


# --- A launch that fails ----------------------------------------------------------------------------------------------


def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    """The slot's end says why nobody could be born; when it is there again, somebody can."""
    directory = tmp_path / "gone"
    with observed(launch("nothing", directory=str(directory))) as seen:
        seen.pool.spawn(GW0, BEGIN)
        gone = seen.until_gone()
        assert gone.code is None
        assert "could not be started" in gone.why
        assert str(directory) in gone.why
        directory.mkdir()
        seen.birth()


def test_an_interpreter_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The slot's end says which; nothing is left open, and the pool goes on."""
    with observed(launch("nothing")) as seen:
        before = descriptors()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(tmp_path / "python"))
            seen.pool.spawn(GW0, BEGIN)
        gone = seen.until_gone()
        assert gone.code is None
        assert str(tmp_path / "python") in gone.why
        assert descriptors() == before
        seen.birth()


def test_a_worker_that_cannot_be_watched_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a descriptor that tells of its end it is ended at once, and that is told."""

    def fail(watch: ExitWatch, pid: int) -> None:
        del watch
        pids.append(pid)
        raise OSError(24, "Too many open files")

    pids: list[int] = []
    with observed(launch("nothing")) as seen:
        before = descriptors()
        with monkeypatch.context() as patch:
            patch.setattr(ExitWatch, "watch", fail)
            seen.pool.spawn(GW0, BEGIN)
        assert "Too many open files" in seen.until_gone().why
        assert not any(map(is_alive, pids))
        assert descriptors() == before
        seen.birth()


def test_an_entry_that_does_not_exist_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """The worker ends with an exception that names it."""
    with observed(launch(entry="tests.launching:nowhere")) as seen:
        seen.pool.spawn(GW0, BEGIN)
        assert seen.until_gone() == Exit(1)
    assert "nowhere" in capfd.readouterr().err


# --- The watch --------------------------------------------------------------------------------------------------------


def test_a_watch_tells_of_each_end_once_and_reaps_nobody() -> None:
    """Who has ended before the watch began is told as well; the exit code is left to the parent."""
    watch = ExitWatch()
    pids = []
    for code in (3, 4):
        pid = os.fork()
        if pid == 0:
            os._exit(code)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        watch.watch(pid)
        pids.append(pid)
    found: list[int] = []
    wait_until(lambda: len(found.__iadd__(watch.ended())) >= 2, "both ends are told")
    assert sorted(found) == sorted(pids)
    assert watch.ended() == []
    watch.wake()
    assert watch.ended() == []
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [3, 4]
    watch.close()
