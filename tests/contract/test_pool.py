"""What the pool promises, with real processes and without pytest in them: every end is told, and nothing is left."""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import importlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeAlias

import pytest

from pytest_parpool.model.exits import CHANNEL_LOST_CODE, Exit
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import (
    Asked,
    Begin,
    Drain,
    Event,
    Finished,
    Interrupted,
    Left,
    Ready,
    Run,
    Wait,
    WarningSeen,
)
from pytest_parpool.model.notices import Gone, Heard, TemplateGone
from pytest_parpool.runtime.framing import frame
from pytest_parpool.runtime.lifeline import Lifeline, Tie
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.runtime.pool import WorkerPool
from pytest_parpool.runtime.running_pool import RunningPool

DEADLINE_SECONDS = 60.0  # for what takes milliseconds
# There is nothing to test where workers cannot be forked, and type checkers know it.
assert sys.platform == "linux"

GW0, GW1 = WorkerId("gw0"), WorkerId("gw1")
BEGIN = Begin(b"identity")


@pytest.fixture(params=["bare", "multiprocessing"], autouse=True)
def forked_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the process that starts the pool has loaded ``multiprocessing``: processes are forked in two ways."""
    if request.param == "multiprocessing":
        importlib.import_module("multiprocessing.process")
    else:
        monkeypatch.delitem(sys.modules, "multiprocessing.process", raising=False)
    return str(request.param)


Task: TypeAlias = Callable[[WorkerLink], object]
"""What a worker does for one item."""


def serve(*tasks: Task) -> Callable[[WorkerLink, WorkerId], None]:
    """Return a worker's main function: item N calls ``tasks[N]``; it leaves when it is drained."""

    def main(link: WorkerLink, worker: WorkerId) -> None:
        while link.inbox.identity is None:
            link.receive()
        tell(link, Ready(os.getpid(), (-1, -1, -1)))
        position = 0
        while not link.inbox.is_drained:
            if position == link.inbox.items:
                link.receive()
                continue
            item = link.items[position]
            position += 1
            try:
                tasks[item](link)
            except KeyboardInterrupt:
                link.post(Interrupted(item, ""))
            tell(link, Finished(item, 0.0))
        tell(link, Left(b""))

    return main


def tell(link: WorkerLink, event: Event) -> None:
    """Send one event now."""
    link.post(event)
    link.flush()


def run(*items: int) -> Run:
    """Return the command to run items."""
    return Run(tuple(ItemIndex(item) for item in items))


def wait_for_ever(link: WorkerLink) -> NoReturn:
    """Be busy; says so first."""
    tell(link, Asked())
    while True:
        signal.pause()


class Observer:
    """A started pool, and all that came out of it."""

    def __init__(self, pool: RunningPool) -> None:
        self.pool = pool
        self.seen: list[Heard | Gone | TemplateGone] = []

    def until(self, is_enough: Callable[[], bool]) -> None:
        """Wait for notices until there are enough."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not is_enough():
            seconds = deadline - time.monotonic()
            assert seconds > 0, f"not in time; seen: {self.seen}"
            self.seen += self.pool.wait(seconds)

    def events(self, worker: WorkerId = GW0) -> list[Event]:
        """Return what a slot's processes have said."""
        return [notice.event for notice in self.seen if isinstance(notice, Heard) and notice.worker == worker]

    def exits(self, worker: WorkerId = GW0) -> list[Exit]:
        """Return how a slot's processes have ended."""
        return [notice.exit for notice in self.seen if isinstance(notice, Gone) and notice.worker == worker]

    def birth(self, worker: WorkerId = GW0) -> int:
        """Have a worker born, and return its pid once it is ready and known to the pool."""
        before = sum(isinstance(event, Ready) for event in self.events(worker))
        self.pool.spawn(worker, BEGIN)

        def pids() -> list[int]:
            return [event.pid for event in self.events(worker) if isinstance(event, Ready)][before:]

        self.until(lambda: bool(pids()) and self.pool.pid(worker) is not None)
        assert self.pool.pid(worker) == pids()[0]
        return pids()[0]

    def command(self, command: Run | Drain | Wait, worker: WorkerId = GW0) -> None:
        """Send a command."""
        self.pool.send(worker, command)

    def until_gone(self, count: int = 1, worker: WorkerId = GW0) -> Exit:
        """Wait for the slot's so many-th end, and return it."""
        self.until(lambda: len(self.exits(worker)) >= count)
        return self.exits(worker)[count - 1]

    def until_heard(self, kind: type[Event], worker: WorkerId = GW0, count: int = 1) -> None:
        """Wait until a slot has sent so many events of a kind."""
        self.until(lambda: sum(isinstance(event, kind) for event in self.events(worker)) >= count)


@contextlib.contextmanager
def started(*tasks: Task, processes: int = 2) -> Iterator[Observer]:
    """Start a pool whose workers know these tasks."""
    with WorkerPool(processes).start(serve(*tasks)) as pool:
        yield Observer(pool)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_until(is_true: Callable[[], bool], what: str) -> None:
    """Look again until something is true that no notice tells of."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.001)


# --- Parameters -------------------------------------------------------------------------------------------------------


def test_parameters_are_those_of_multiprocessing() -> None:
    """Names and meaning are known; slots are named by number."""
    calls: list[tuple[object, ...]] = []
    pool = WorkerPool(3, initializer=lambda *args: calls.append(args), initargs=(1, 2), maxtasksperchild=5)
    assert pool.workers == ("gw0", "gw1", "gw2")
    pool.initialize()
    assert calls == [(1, 2)]
    WorkerPool(1).initialize()


@pytest.mark.parametrize(("processes", "maxtasksperchild"), [(0, None), (-1, None), (1, 0)])
def test_impossible_parameters_are_refused(processes: int, maxtasksperchild: int | None) -> None:
    """A pool has workers, and a worker does something."""
    with pytest.raises(ValueError, match="must be at least 1"):
        WorkerPool(processes, maxtasksperchild=maxtasksperchild)


# --- Births and good ends ---------------------------------------------------------------------------------------------


def test_a_worker_is_born_works_and_leaves() -> None:
    """Its events come in their order, and its end comes behind them, with code 0."""
    with started(lambda link: tell(link, WarningSeen(b"one")), lambda link: tell(link, WarningSeen(b"two"))) as seen:
        pid = seen.birth()
        seen.command(run(0))
        seen.command(run(1))
        seen.until_heard(Finished, count=2)
        seen.command(Drain())
        assert seen.until_gone() == Exit(0)
        assert seen.events() == [
            Ready(pid, (-1, -1, -1)),
            WarningSeen(b"one"),
            Finished(ItemIndex(0), 0.0),
            WarningSeen(b"two"),
            Finished(ItemIndex(1), 0.0),
            Left(b""),
        ]
        assert isinstance(seen.seen[-1], Gone)
        assert seen.pool.pid(GW0) is None


def test_workers_are_children_of_the_template_in_sessions_of_their_own() -> None:
    """Each leads its own session and process group, so that it can be killed with all it started."""

    def report(link: WorkerLink) -> None:
        tell(link, WarningSeen(repr((os.getppid(), os.getsid(0) == os.getpid() == os.getpgrp())).encode()))

    with started(report) as seen:
        for worker in (GW0, GW1):
            seen.birth(worker)
            seen.command(run(0), worker)
            seen.until_heard(Finished, worker)
            assert WarningSeen(repr((seen.pool.template_pid, True)).encode()) in seen.events(worker)
        assert os.getsid(seen.pool.template_pid) == seen.pool.template_pid


def test_a_worker_inherits_nothing_of_the_pool_but_its_own_channel(forked_by: str) -> None:
    """Neither a sibling's channel, nor the lifeline's write end, nor the selector is open in a worker."""

    def report(link: WorkerLink) -> None:
        kinds = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd_is_open(int(fd))]
        ours = [kind for kind in kinds if kind.startswith(("socket:", "anon_inode:"))]
        tell(link, WarningSeen("\n".join(ours).encode()))

    def fd_is_open(fd: int) -> bool:
        try:
            fcntl.fcntl(fd, fcntl.F_GETFD)
        except OSError:
            return False
        return True

    inherited = {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd_is_open(int(fd))}
    with started(report) as seen:
        for worker in (GW0, GW1):
            seen.birth(worker)
            seen.command(run(0), worker)
            seen.until_heard(Finished, worker)
        for worker in (GW0, GW1):
            (found,) = [event.warning for event in seen.events(worker) if isinstance(event, WarningSeen)]
            kinds = [kind for kind in found.decode().split() if kind not in inherited]
            # As a process of multiprocessing it has made a descriptor itself that tells of its parent's end.
            own = "anon_inode:[pidfd]" if forked_by == "multiprocessing" else "none"
            assert sorted(kind.partition(":")[0] for kind in kinds if kind != own) == ["socket"]
            assert kinds.count(own) <= 1


# --- Bad ends ---------------------------------------------------------------------------------------------------------


def crash(link: WorkerLink) -> None:
    """End by a segmentation fault, without a word on the terminal and without a core file."""
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("task", "code"),
    [
        pytest.param(lambda _: os._exit(3), 3, id="exit"),
        pytest.param(lambda _: os._exit(0), 0, id="exit as if all were well"),
        pytest.param(crash, -signal.SIGSEGV, id="segfault"),
        pytest.param(lambda _: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL, id="kill"),
        pytest.param(lambda _: os.closerange(3, 1000), None, id="closed descriptors"),
    ],
)
def test_how_a_worker_ended_is_told(task: Task, code: int | None) -> None:
    """The end says the exit code or the signal, comes behind what the worker had sent, and the slot is free again."""

    def send_and_die(link: WorkerLink) -> None:
        tell(link, WarningSeen(b"last words"))
        try:
            task(link)
            link.flush()
            tell(link, Asked())
        except LinkLostError:
            os._exit(CHANNEL_LOST_CODE)

    with started(send_and_die) as seen:
        first = seen.birth()
        seen.command(run(0))
        assert seen.until_gone() == Exit(CHANNEL_LOST_CODE if code is None else code)
        assert seen.events()[1:] == [WarningSeen(b"last words")]
        second = seen.birth()
        assert second != first
        seen.command(Drain())
        assert seen.until_gone(2) == Exit(0)


def test_one_death_leaves_the_others_alone() -> None:
    """Another worker goes on, and the dead one's replacement works."""
    with started(lambda _: os._exit(1), lambda link: tell(link, WarningSeen(b"fine"))) as seen:
        seen.birth(GW0)
        seen.birth(GW1)
        for number in range(1, 4):
            seen.command(run(0), GW0)
            seen.command(run(1), GW1)
            assert seen.until_gone(number) == Exit(1)
            seen.until_heard(Finished, GW1, number)
            seen.birth(GW0)
        assert seen.exits(GW1) == []


def test_kill_ends_a_worker_and_what_it_started() -> None:
    """A worker that ignores everything, and the child it has in its process group, are gone."""

    def start_a_child_and_ignore(link: WorkerLink) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        tell(link, WarningSeen(str(child.pid).encode()))
        wait_for_ever(link)

    with started(start_a_child_and_ignore) as seen:
        pid = seen.birth()
        seen.command(run(0))
        seen.until_heard(Asked)
        (child,) = [int(event.warning) for event in seen.events() if isinstance(event, WarningSeen)]
        assert is_alive(child)
        seen.pool.kill(GW0)
        assert seen.until_gone() == Exit(-signal.SIGKILL)
        wait_until(lambda: not is_alive(pid) and not is_alive(child), "the worker's group is gone")


def test_an_interrupt_is_a_keyboard_interrupt_in_the_worker() -> None:
    """It cuts off what runs; the worker itself goes on."""
    with started(wait_for_ever) as seen:
        seen.birth()
        seen.command(run(0))
        seen.until_heard(Asked)
        seen.pool.interrupt(GW0)
        seen.until_heard(Finished)
        assert Interrupted(ItemIndex(0), "") in seen.events()
        assert seen.exits() == []


def test_to_a_slot_without_a_process_nothing_is_sent() -> None:
    """Commands and signals for a worker that has left are no error."""
    with started() as seen:
        seen.birth()
        seen.command(Drain())
        seen.until_gone()
        seen.command(Wait())
        seen.pool.kill(GW0)
        seen.pool.interrupt(GW0)
        assert seen.pool.wait(0.0) == []


# --- What a worker sends ----------------------------------------------------------------------------------------------


def test_a_half_written_frame_spoils_nothing() -> None:
    """What was sent before it arrives, its writer's end is told, and others are heard meanwhile."""

    def die_while_writing(link: WorkerLink) -> None:
        tell(link, WarningSeen(b"whole"))
        os.write(link.fd, frame(b"x" * 1000)[:500])
        tell_when_told(link)

    def tell_when_told(link: WorkerLink) -> None:
        while not link.inbox.waits:
            link.receive()
        os.kill(os.getpid(), signal.SIGKILL)

    with started(die_while_writing, lambda _: None) as seen:
        seen.birth(GW0)
        seen.birth(GW1)
        seen.command(run(0), GW0)
        seen.until_heard(WarningSeen, GW0)
        seen.command(run(1), GW1)
        seen.until_heard(Finished, GW1)
        seen.command(Wait(), GW0)
        assert seen.until_gone() == Exit(-signal.SIGKILL)
        assert seen.events()[1:] == [WarningSeen(b"whole")]


def test_twenty_megabytes_arrive() -> None:
    """An event of any size comes whole, and small ones of another worker are not held up for ever."""
    size = 20 * 1024 * 1024

    def send_much(link: WorkerLink) -> None:
        tell(link, WarningSeen(b"x" * size))

    with started(send_much, lambda _: None) as seen:
        seen.birth(GW0)
        seen.birth(GW1)
        seen.command(run(0), GW0)
        seen.command(run(1), GW1)
        seen.until(lambda: all(any(isinstance(e, Finished) for e in seen.events(w)) for w in (GW0, GW1)))
        assert WarningSeen(b"x" * size) in seen.events(GW0)


def test_a_death_in_the_middle_of_a_large_event_is_told() -> None:
    """The worker is killed while the socket is full: its end comes, and the rest of the run is not spoiled."""

    def send_much(link: WorkerLink) -> None:
        tell(link, Asked())
        tell(link, WarningSeen(b"x" * (50 * 1024 * 1024)))

    with started(send_much) as seen:
        pid = seen.birth()
        seen.command(run(0))
        seen.until_heard(Asked)
        os.kill(pid, signal.SIGKILL)
        assert seen.until_gone() == Exit(-signal.SIGKILL)
        assert seen.events()[1:] in ([Asked()], [Asked(), WarningSeen(b"x" * (50 * 1024 * 1024))])


def test_a_grandchild_that_holds_the_channel_hides_no_death() -> None:
    """A daemonised child keeps the worker's socket open; the end is told all the same, behind all that was sent."""

    def daemonise_and_die(link: WorkerLink) -> None:
        child = os.fork()
        if child == 0:
            os.setsid()
            while True:
                signal.pause()
        tell(link, WarningSeen(str(child).encode()))
        os._exit(5)

    with started(daemonise_and_die) as seen:
        pid = seen.birth()
        seen.command(run(0))
        assert seen.until_gone() == Exit(5)
        assert not is_alive(pid)
        (last,) = seen.events()[1:]
        assert isinstance(last, WarningSeen)
        assert is_alive(int(last.warning))
        os.kill(int(last.warning), signal.SIGKILL)


def test_a_foreign_file_under_the_links_number_gets_nothing(tmp_path: Path) -> None:
    """A test that closes every descriptor and opens its own file gets no byte of ours; the worker says why it left."""
    file = tmp_path / "file"

    def take_our_number(link: WorkerLink) -> None:
        os.closerange(3, link.fd + 1)
        file.touch()
        os.dup2(os.open(file, os.O_RDWR), link.fd)
        try:
            tell(link, WarningSeen(b"must not get there"))
        except LinkLostError:
            os._exit(CHANNEL_LOST_CODE)

    with started(take_our_number) as seen:
        seen.birth()
        seen.command(run(0))
        assert seen.until_gone() == Exit(CHANNEL_LOST_CODE)
        assert file.read_bytes() == b""


def test_nothing_is_lost_or_doubled_when_handlers_raise() -> None:
    """An alarm that a test left behind raises all the time while the worker talks; every event comes once, in order."""
    count = 300

    class StormError(Exception):
        pass

    def storm(link: WorkerLink) -> None:
        is_armed = False

        def strike(number: int, frame: FrameType | None) -> None:
            nonlocal is_armed
            if is_armed:
                is_armed = False
                raise StormError

        signal.signal(signal.SIGALRM, strike)
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
        for number in range(count):
            link.post(WarningSeen(number.to_bytes(2, "big") * 5000))
            waits = link.inbox.waits
            while link._outgoing.posted or link._outgoing.data or link.inbox.waits == waits:
                with contextlib.suppress(StormError):
                    is_armed = True
                    link.flush()
                    if link.inbox.waits == waits:
                        link.receive()  # one command for each event
                    is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    with started(storm) as seen:
        seen.birth()
        seen.command(run(0))
        for number in range(1, count + 1):
            seen.until_heard(WarningSeen, count=number)
            seen.command(Wait())
        seen.until_heard(Finished)
        found = [event.warning for event in seen.events() if isinstance(event, WarningSeen)]
        assert found == [number.to_bytes(2, "big") * 5000 for number in range(count)]


# --- Born ahead -------------------------------------------------------------------------------------------------------


def test_a_worker_born_ahead_is_the_one_that_is_asked_for() -> None:
    """It waits, and nothing is heard of it, until it is given its first command."""
    with started() as seen:
        seen.pool.spawn_ahead([GW0, GW1])
        seen.until(lambda: seen.pool.pid(GW0) is not None and seen.pool.pid(GW1) is not None)
        assert seen.seen == []
        pid = seen.pool.pid(GW0)
        assert seen.birth() == pid


def test_a_worker_that_dies_before_it_is_asked_for_is_none() -> None:
    """Its end is not told, and who asks for it gets another."""
    with started() as seen:
        seen.pool.spawn_ahead([GW0])
        seen.until(lambda: seen.pool.pid(GW0) is not None)
        dead = seen.pool.pid(GW0)
        seen.pool.kill(GW0)
        seen.until(lambda: seen.pool.pid(GW0) is None)
        assert seen.seen == []
        assert seen.birth() != dead


def test_ahead_of_a_template_that_is_gone() -> None:
    """That nobody can be born is told when somebody asks."""
    with started() as seen:
        os.kill(seen.pool.template_pid, signal.SIGKILL)
        seen.until(lambda: any(isinstance(notice, TemplateGone) for notice in seen.seen))
        seen.pool.spawn_ahead([GW0])
        seen.pool.spawn(GW0, BEGIN)
        assert "template process is gone" in seen.until_gone().why


# --- The template -----------------------------------------------------------------------------------------------------


def test_a_template_that_is_to_finish_ends_with_the_last_worker() -> None:
    """Not before, and behind what it says of that end."""
    with started() as seen:
        seen.birth(GW0)
        seen.birth(GW1)
        seen.pool.finish()
        seen.pool.kill(GW0)
        assert seen.until_gone(worker=GW0).code == -signal.SIGKILL
        assert not any(isinstance(notice, TemplateGone) for notice in seen.seen)
        seen.pool.kill(GW1)
        assert seen.until_gone(worker=GW1).code == -signal.SIGKILL
        seen.until(lambda: any(isinstance(notice, TemplateGone) for notice in seen.seen))


def test_workers_outlive_the_template() -> None:
    """It is killed: that is told, live workers go on and their ends are seen, and nobody can be born any more."""
    with started(lambda _: None) as seen:
        seen.birth(GW0)
        os.kill(seen.pool.template_pid, signal.SIGKILL)
        seen.until(lambda: any(isinstance(notice, TemplateGone) for notice in seen.seen))
        assert TemplateGone(Exit(-signal.SIGKILL)) in seen.seen
        seen.command(run(0))
        seen.until_heard(Finished)
        seen.pool.spawn(GW1, BEGIN)
        gone = seen.until_gone(worker=GW1)
        assert gone.code is None
        assert "template process is gone" in gone.why
        seen.command(Drain())
        assert seen.until_gone() == Exit(None)
        assert seen.events()[-1] == Left(b"")


def test_a_birth_that_the_template_does_not_live_to_see_is_told() -> None:
    """The template is stopped, asked, and killed: the slot's end comes out."""
    with started() as seen:
        os.kill(seen.pool.template_pid, signal.SIGSTOP)
        seen.pool.spawn(GW0, BEGIN)
        os.kill(seen.pool.template_pid, signal.SIGKILL)
        assert seen.until_gone().code is None


def test_a_fork_that_fails_is_told() -> None:
    """The system gives no process: the slot's end says so, and the pool goes on."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with started() as seen:
        # The template can take no further descriptor, not even the worker's end of its channel.
        resource.prlimit(seen.pool.template_pid, resource.RLIMIT_NOFILE, (0, hard_limit))
        seen.pool.spawn(GW0, BEGIN)
        assert seen.until_gone().code is None


# --- The end of the pool ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["busy", "stopped", "waiting", "half born", "born ahead"])
def test_close_leaves_no_process_and_no_descriptor(state: str) -> None:
    """Whatever workers are doing, none of them survives, nor does the template; every descriptor is given back."""
    before = sorted(os.listdir("/proc/self/fd"))
    with started(wait_for_ever) as seen:
        pids = [seen.pool.template_pid]
        if state == "half born":
            seen.pool.spawn(GW0, BEGIN)
        elif state == "born ahead":
            seen.pool.spawn_ahead([GW0])
            seen.until(lambda: seen.pool.pid(GW0) is not None)
            pids += [seen.pool.pid(GW0) or 0]
        else:
            pids += [seen.birth(GW0), seen.birth(GW1)]
        if state == "busy":
            seen.command(run(0))
            seen.until_heard(Asked)
        if state == "stopped":
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: not any(map(is_alive, pids)), "all processes are gone")
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_pools_can_be_used_one_after_the_other() -> None:
    """A second pool in the same process knows nothing of the first."""
    for _ in range(2):
        with started(lambda _: None) as seen:
            seen.birth()
            seen.command(run(0))
            seen.until_heard(Finished)


def test_a_broken_off_pool_is_closed() -> None:
    """An exception of whoever uses it ends all its processes on its way out."""
    pids: list[int] = []
    with contextlib.suppress(ZeroDivisionError), started() as seen:
        pids += [seen.pool.template_pid, seen.birth()]
        raise ZeroDivisionError
    wait_until(lambda: not any(map(is_alive, pids)), "all processes are gone")


# --- The lifeline -----------------------------------------------------------------------------------------------------


def tied_child(lifeline: Lifeline, control: socket.socket, act: Callable[[Tie], None]) -> int:
    """Fork a leader of its own group that is tied, acts, and then waits with all signals blocked."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    act(Tie(lifeline))
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    control.send(b"tied")
    while True:
        time.sleep(DEADLINE_SECONDS)


def test_the_end_of_the_lifeline_kills_everybody_who_is_tied() -> None:
    """All of them, though they block every signal; and the children in their group."""
    ours, theirs = socket.socketpair()
    ours.settimeout(DEADLINE_SECONDS)
    lifeline = Lifeline()
    with ours, theirs:
        pids = [tied_child(lifeline, theirs, lambda _: None) for _ in range(3)]
        for _ in pids:
            assert ours.recv(4) == b"tied"
        assert [os.waitpid(pid, os.WNOHANG)[0] for pid in pids] == [0, 0, 0]
        lifeline.close()
        for pid in pids:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_who_was_released_survives_the_end() -> None:
    """After a good end, what a worker left running on purpose is not killed."""
    ours, theirs = socket.socketpair()
    ours.settimeout(DEADLINE_SECONDS)
    lifeline = Lifeline()
    with ours, theirs:
        released = tied_child(lifeline, theirs, Tie.release)
        tied = tied_child(lifeline, theirs, lambda _: None)
        for _ in range(2):
            assert ours.recv(4) == b"tied"
        lifeline.close()
        assert os.waitstatus_to_exitcode(os.waitpid(tied, 0)[1]) == -signal.SIGKILL
        assert os.waitpid(released, os.WNOHANG)[0] == 0
        os.kill(released, signal.SIGKILL)
        os.waitpid(released, 0)


def test_who_is_tied_too_late_is_killed_at_once() -> None:
    """The controller has gone before the tie was made: the process does not go on."""
    lifeline = Lifeline()
    read_gone, gone = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(gone)
        os.read(read_gone, 1)  # Until the parent has let go.
        Tie(lifeline)
        os._exit(0)
    lifeline.close()
    os.close(gone)
    os.close(read_gone)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
