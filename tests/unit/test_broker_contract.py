"""What all objects promise to those who wait. Runs on every type of request that can wait."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence

import pytest

from pytest_parpool.model.sync_requests import (
    AcquireLock,
    AcquireReadWrite,
    AcquireSemaphore,
    AwaitChange,
    BeginOnce,
    EndOnce,
    EnlistCondition,
    GetFromQueue,
    JoinQueue,
    NotifyCondition,
    PutOnQueue,
    ReleaseLock,
    ReleaseReadWrite,
    ReleaseSemaphore,
    Request,
    SetEvent,
    Status,
    TaskDone,
    WaitBarrier,
    WaitCondition,
    WaitEvent,
)
from tests.simulation.broker.bench import Bench

ONE = ("plain", 1)
EXCLUSIVE = "exclusive"  # What is granted to one at a time; undoing it grants it to the next.
ALL = "all"  # What lets all who wait go on at once.


@dataclasses.dataclass(frozen=True)
class Case:
    """One type of request that can wait.

    Attributes:
        prepare: What gw3 asks so that others have to wait.
        wait: What waits; its timeout is put in.
        serve: What gw3 asks to let somebody go on.
        who: Who goes on then.
    """

    prepare: Sequence[Request]
    wait: Request
    serve: Request
    who: str = ALL

    def waiting(self, timeout: float | None) -> Request:
        """Return the request with a timeout."""
        values = {name: getattr(self.wait, name) for name in self.wait.__match_args__}
        return type(self.wait)(**{**values, "timeout": timeout})


CASES: dict[str, Case] = {
    "lock": Case([AcquireLock("x", None)], AcquireLock("x", None), ReleaseLock("x"), EXCLUSIVE),
    "semaphore": Case(
        [AcquireSemaphore("x", 1, None)], AcquireSemaphore("x", 1, None), ReleaseSemaphore("x", 1, 1), EXCLUSIVE
    ),
    "write": Case(
        [AcquireReadWrite("x", False, None)], AcquireReadWrite("x", True, None), ReleaseReadWrite("x", False), EXCLUSIVE
    ),
    "read": Case(
        [AcquireReadWrite("x", True, None)], AcquireReadWrite("x", False, None), ReleaseReadWrite("x", True), ALL
    ),
    "event": Case([], WaitEvent("x", None), SetEvent("x")),
    "barrier": Case([], WaitBarrier("x", 3, None), WaitBarrier("x", 3, None)),
    "put": Case([PutOnQueue("x", 1, ONE, None)], PutOnQueue("x", 1, ONE, None), GetFromQueue("x", 1, None), "put"),
    "get": Case([], GetFromQueue("x", 0, None), PutOnQueue("x", 0, ONE, None), EXCLUSIVE),
    "join": Case([PutOnQueue("x", 0, ONE, None)], JoinQueue("x", 0, None), TaskDone("x", 0)),
    "once": Case([BeginOnce("x", None)], BeginOnce("x", None), EndOnce("x", False, ONE)),
    "condition": Case([], WaitCondition("x", 1, None), NotifyCondition("x", 1), EXCLUSIVE),
    "change": Case([SetEvent("x")], AwaitChange(1, None), SetEvent("y")),
}


class Stage:
    """A bench on which gw3 has prepared what others wait for."""

    def __init__(self, case: Case) -> None:
        self.bench = Bench()
        self.case = case
        for request in case.prepare:
            self.bench.ask(3, request)

    def wait(self, connection: int, timeout: float | None = None) -> tuple[int, int]:
        """Have somebody wait."""
        request = self.case.waiting(timeout)
        if isinstance(request, WaitCondition):
            ticket = self.bench.value(self.bench.ask(connection, EnlistCondition("x")))
            request = WaitCondition("x", ticket, timeout)
        return self.bench.ask(connection, request)

    def serve(self) -> None:
        """Have gw3 let somebody go on."""
        self.bench.ask(3, self.case.serve)


@pytest.fixture(params=CASES)
def stage(request: pytest.FixtureRequest) -> Stage:
    """A bench for each type of request that can wait."""
    return Stage(CASES[request.param])


@pytest.fixture(params=[name for name in CASES if name != "barrier"])
def lone_stage(request: pytest.FixtureRequest) -> Stage:
    """A bench for each at which one can be served without the other; a barrier has tests of its own."""
    return Stage(CASES[request.param])


@pytest.fixture(params=[name for name, case in CASES.items() if case.who == EXCLUSIVE])
def exclusive_stage(request: pytest.FixtureRequest) -> Stage:
    """A bench for each that is granted to one at a time."""
    return Stage(CASES[request.param])


def test_every_request_that_can_wait_has_a_case() -> None:
    """A new type of request with a timeout is covered on arrival."""
    can_wait = {kind for kind in typing.get_args(Request) if "timeout" in kind.__match_args__}
    assert {type(case.wait) for case in CASES.values()} == can_wait


def test_waits_until_it_is_served(stage: Stage) -> None:
    """Without a timeout there is no answer before it can go on, however long that takes."""
    key = stage.wait(1)
    other = stage.wait(2)
    stage.bench.wait(10_000)
    assert stage.bench.status(key) is stage.bench.status(other) is None
    stage.serve()
    assert stage.bench.status(key) is Status.DONE


def test_times_out_not_early(stage: Stage) -> None:
    """The answer comes at the deadline, which is told, and not before; it says what was waited for."""
    key = stage.wait(1, 5.0)
    stage.bench.now += 4.9
    stage.bench.wait(0)
    assert stage.bench.status(key) is None
    assert stage.bench.broker.next_deadline() == 105.0
    stage.bench.wait(0.1)
    assert stage.bench.text(key, Status.TIMED_OUT)
    assert stage.bench.broker.next_deadline() is None


def test_timeout_of_zero_does_not_wait(stage: Stage) -> None:
    """The answer comes at once."""
    assert stage.bench.text(stage.wait(1, 0), Status.TIMED_OUT)
    assert stage.bench.broker.next_deadline() is None


def test_endless_timeout_is_none(stage: Stage) -> None:
    """An infinite number of seconds is as good as no timeout, and no time at which to wake up."""
    key = stage.wait(1, float("inf"))
    assert stage.bench.broker.next_deadline() is None
    stage.wait(2)
    stage.serve()
    assert stage.bench.status(key) is Status.DONE


def test_who_comes_first_is_served_first(stage: Stage) -> None:
    """Of two who wait, the first is answered first, and the other one with it only if there is enough for both."""
    first, second = stage.wait(1), stage.wait(2)
    stage.serve()
    assert stage.bench.status(first) is Status.DONE
    assert (stage.bench.status(second) is Status.DONE) is (stage.case.who == ALL)
    served = [key for key in stage.bench.order if key in {first, second}]
    assert served == ([first, second] if stage.case.who == ALL else [first])


@pytest.mark.parametrize("how", ["part", "abandon", "die"])
def test_who_is_gone_is_not_waited_for(lone_stage: Stage, how: str) -> None:
    """Who waits and goes, in whichever way, is not answered; who comes behind has its place."""
    stage = lone_stage
    gone, left = stage.wait(1), stage.wait(2)
    if how == "abandon":
        stage.bench.abandon(gone)
    elif how == "part":
        stage.bench.part(1)
    else:
        stage.bench.die(1)
    stage.serve()
    assert stage.bench.status(gone) is None
    assert stage.bench.status(left) is Status.DONE


@pytest.mark.parametrize("is_parted", [False, True])
def test_what_is_granted_and_abandoned_goes_to_the_next(exclusive_stage: Stage, is_parted: bool) -> None:
    """Who does not look at its answer has not had anything, also if its connection is closed already."""
    stage = exclusive_stage
    first, second = stage.wait(1), stage.wait(2)
    stage.serve()
    assert stage.bench.status(second) is None
    if is_parted:
        stage.bench.part(1)
    stage.bench.abandon(first)
    assert stage.bench.status(second) is Status.DONE
    stage.bench.abandon(first)  # Nothing comes of it a second time.
    assert stage.bench.status(second) is Status.DONE


def test_abandoned_before_it_came(lone_stage: Stage) -> None:
    """A request that comes behind the word that it is abandoned does not wait, and is not granted."""
    stage = lone_stage
    stage.bench.abandon((1, stage.bench._numbers + (2 if isinstance(stage.case.wait, WaitCondition) else 1)))
    gone, left = stage.wait(1), stage.wait(2)
    stage.serve()
    assert stage.bench.status(gone) is None
    assert stage.bench.status(left) is Status.DONE


def test_no_entry_is_left_behind(stage: Stage) -> None:
    """When all who waited are gone, nothing remembers them: a process that runs for hours must not grow."""
    keys = [stage.wait(1, 50.0), stage.wait(2)]
    for key in keys:
        stage.bench.abandon(key)
    desk = stage.bench.broker._desk
    assert not desk._calls_of
    assert desk.deadlines.next() is None
    assert not any(connection.waiting for connection in stage.bench.broker._connections.values())
