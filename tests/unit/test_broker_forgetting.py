"""Objects that nobody will ask for again: they are as if they had never been, unless somebody still waits for them."""

from __future__ import annotations

import pytest

from pytest_parpool.model.sync_moves import CloseMemory, Free, Try
from pytest_parpool.model.sync_requests import (
    AbortBarrier,
    AcquireLock,
    AcquireReadWrite,
    AcquireSemaphore,
    AskDict,
    DictVerb,
    EnlistCondition,
    ForgetNames,
    GetFromQueue,
    IsEventSet,
    JoinQueue,
    OpenArray,
    OpenLock,
    OpenValue,
    PutOnQueue,
    ReadBarrier,
    ReadQueue,
    ReleaseLock,
    Request,
    SetEvent,
    Status,
    WaitBarrier,
    WaitCondition,
    WaitEvent,
)
from tests.simulation.broker.bench import Bench

ONE = ("plain", 1)
FORGET = ForgetNames(("a",))

# What is done to an object, what is asked then, and what the answer is for a new one.
CHANGED: list[tuple[Request, Request, object]] = [
    (SetEvent("a"), IsEventSet("a"), False),
    (AbortBarrier("a", 2), ReadBarrier("a", 2), (0, False)),
    (AcquireSemaphore("a", 1, None), AcquireSemaphore("a", 1, 0), ""),
    (AcquireSemaphore("a", 1, None), AcquireSemaphore("a", 2, 0), ""),
    (AcquireReadWrite("a", True, None), AcquireReadWrite("a", True, 0), ""),
    (PutOnQueue("a", 0, ONE, None), ReadQueue("a", 5), (0, 0)),
    (EnlistCondition("a"), EnlistCondition("a"), 1),
    (AskDict("a", int(DictVerb.SET), "key", ONE), AskDict("a", int(DictVerb.LENGTH), None, None), 0),
]

# What is done to an object, what waits for it then, and what is asked to see that it is still the same.
AWAITED: list[tuple[Request, Request, Request, object]] = [
    (AcquireSemaphore("a", 1, None), AcquireSemaphore("a", 1, None), AcquireSemaphore("a", 2, 0), Status.MISMATCH),
    (AcquireReadWrite("a", True, None), AcquireReadWrite("a", True, None), AcquireReadWrite("a", False, 0), None),
    (WaitBarrier("a", 3, None), WaitBarrier("a", 3, None), ReadBarrier("a", 3), (2, False)),
    (IsEventSet("a"), WaitEvent("a", None), SetEvent("a"), None),
    (ReadQueue("a", 1), GetFromQueue("a", 1, None), PutOnQueue("a", 1, ONE, None), None),
    (PutOnQueue("a", 1, ONE, None), PutOnQueue("a", 1, ONE, None), ReadQueue("a", 1), (1, 1)),
    (PutOnQueue("a", 1, ONE, None), JoinQueue("a", 1, None), ReadQueue("a", 1), (1, 1)),
    (EnlistCondition("a"), WaitCondition("a", 1, None), EnlistCondition("a"), 2),
]


@pytest.mark.parametrize(("change", "question", "answer"), CHANGED)
def test_what_is_asked_for_again_is_new(change: Request, question: Request, answer: object) -> None:
    """Nothing is left of what it was; forgetting what is not there changes nothing."""
    bench = Bench()
    bench.ask(1, FORGET)
    bench.value(bench.ask(1, change))
    bench.ask(1, FORGET)
    assert bench.value(bench.ask(2, question)) == answer


@pytest.mark.parametrize(("change", "wait", "question", "answer"), AWAITED)
def test_what_somebody_waits_for_stays(change: Request, wait: Request, question: Request, answer: object) -> None:
    """Who forgets it was wrong, or an interrupted wait is not known to be over."""
    bench = Bench()
    bench.ask(1, change)
    waiting = bench.ask(1 if isinstance(wait, WaitCondition) else 2, wait)
    assert waiting not in bench.answers
    bench.ask(1, FORGET)
    key = bench.ask(3, question)
    status, value = bench.answers[key]
    if answer is Status.MISMATCH:
        assert status is Status.MISMATCH
    elif answer is None:  # It goes on waiting, or what was asked has ended the wait.
        assert status is Status.TIMED_OUT or waiting in bench.answers
    else:
        assert value == answer


def test_values_and_memory() -> None:
    """A value has to be opened anew; memory is closed once, and its number is not used again."""
    bench = Bench()
    for request in (OpenValue("a", ONE), OpenArray("a", "d", (1,), 8)):
        bench.ask(1, request)
    bench.ask(1, ForgetNames(("b", "a", "a")))
    bench.ask(2, OpenValue("a", ("plain", 2)))
    bench.ask(1, OpenArray("a", "i", (1,), 4))
    first, closed, second = bench.moves
    assert closed == CloseMemory(0)
    assert (first.array, second.array) == (0, 1)  # type: ignore[union-attr]  # Both are ``AnswerWithMemory``.


def test_slots_are_given_to_others() -> None:
    """A lock that nobody has leaves its slot to the next new one."""
    bench = Bench(slots=2)
    assert [bench.value(bench.ask(1, OpenLock(name))) for name in "abc"] == [0, 1, -1]
    bench.ask(1, FORGET)
    assert [bench.value(bench.ask(1, OpenLock(name))) for name in "bda"] == [1, 0, -1]
    assert bench.value(bench.ask(1, AcquireLock("d", None))) == ""
    assert bench.moves == [Try(0)]
    bench.ask(1, ReleaseLock("d"))
    assert bench.moves == [Try(0), Free(0)]


def test_locks_that_are_in_use_keep_their_slots() -> None:
    """Whether the broker has given it, or somebody waits who may get it."""
    bench = Bench(slots=1)
    held = bench.ask(1, AcquireLock("a", None))
    bench.ask(1, FORGET)
    assert bench.value(held) == ""
    assert bench.value(bench.ask(2, OpenLock("b"))) == -1
    bench.ask(1, ReleaseLock("a"))
    bench.alone[0] = bench.holder(1)
    waiting = bench.ask(2, AcquireLock("a", None))
    bench.ask(1, FORGET)
    assert waiting not in bench.answers
    assert bench.value(bench.ask(2, OpenLock("c"))) == -1


def test_locks_without_a_slot() -> None:
    """The broker always has them: they are forgotten if it has given them to nobody."""
    bench = Bench(slots=0)
    for _ in range(2):
        bench.ask(1, AcquireLock("a", None))
        bench.ask(1, FORGET)
        assert bench.status(bench.ask(2, AcquireLock("a", 0))) is Status.TIMED_OUT
        bench.ask(1, ReleaseLock("a"))
        bench.ask(1, FORGET)
    assert bench.status(bench.ask(2, ReleaseLock("a"))) is Status.NOT_HELD
