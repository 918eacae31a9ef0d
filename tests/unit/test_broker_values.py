"""Values, dictionaries, arrays and events: each request is done in one go."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_parpool.model.sync_moves import AnswerWithMemory, ConnectionId
from pytest_parpool.model.sync_requests import (
    AddToValue,
    AskDict,
    ClearEvent,
    CompareAndSetValue,
    DictVerb,
    GetValue,
    IsEventSet,
    OpenArray,
    OpenValue,
    Payload,
    Request,
    SetEvent,
    SetValue,
    Status,
    WaitEvent,
)
from tests.simulation.broker.bench import Bench

PICKLED: Payload = ("pickle", b"abc")


def plain(value: object) -> Payload:
    """Return a payload."""
    return "plain", value


def test_value_starts_with_what_it_was_opened_with_first() -> None:
    """A second initial value changes nothing."""
    bench = Bench()
    bench.value(bench.ask(1, OpenValue("v", plain(1))))
    bench.value(bench.ask(2, OpenValue("v", plain(5))))
    assert bench.value(bench.ask(2, GetValue("v"))) == plain(1)
    bench.ask(2, SetValue("v", PICKLED))
    assert bench.value(bench.ask(1, GetValue("v"))) == PICKLED


@pytest.mark.parametrize(
    ("value", "amount", "total"), [(1, 2, 3), (1, 0.5, 1.5), (True, True, 2), ("a", "b", "ab"), (b"a", b"b", b"ab")]
)
def test_value_is_added_to(value: object, amount: object, total: object) -> None:
    """The answer is what it is then."""
    bench = Bench()
    bench.ask(1, OpenValue("v", plain(value)))
    assert bench.value(bench.ask(1, AddToValue("v", plain(amount)))) == plain(total)
    assert bench.value(bench.ask(2, GetValue("v"))) == plain(total)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (plain(1), plain("a")),
        (plain(None), plain(1)),
        (PICKLED, plain(1)),
        (plain(1), PICKLED),
        (plain(0.5), plain(10**400)),
    ],
)
def test_value_that_cannot_be_added_to(value: Payload, amount: Payload) -> None:
    """It is named, and stays as it is."""
    bench = Bench()
    bench.ask(1, OpenValue("v", value))
    assert "cannot add" in bench.text(bench.ask(1, AddToValue("v", amount)), Status.UNFIT)
    assert bench.value(bench.ask(2, GetValue("v"))) == value


def test_value_is_compared_and_set() -> None:
    """Plain values are compared as Python does, others byte by byte; a value that is another one stays."""
    bench = Bench()
    bench.ask(1, OpenValue("v", plain(1)))
    assert bench.value(bench.ask(1, CompareAndSetValue("v", plain(1.0), PICKLED))) is True
    assert bench.value(bench.ask(1, CompareAndSetValue("v", plain(b"abc"), plain(3)))) is False
    assert bench.value(bench.ask(1, CompareAndSetValue("v", PICKLED, plain(4)))) is True
    assert bench.value(bench.ask(1, GetValue("v"))) == plain(4)


@pytest.mark.parametrize(
    "request_",
    [GetValue("v"), SetValue("v", PICKLED), AddToValue("v", PICKLED), CompareAndSetValue("v", PICKLED, PICKLED)],
)
def test_value_that_was_never_opened(request_: Request) -> None:
    """There is nothing to read or change."""
    bench = Bench()
    assert "value 'v' was never opened" in bench.text(bench.ask(1, request_), Status.UNFIT)


def test_dictionary_does_what_a_dictionary_does() -> None:
    """Each verb answers as its docstring says."""
    bench = Bench()

    def do(verb: DictVerb, key: Any = None, payload: Payload | None = None) -> Any:
        return bench.value(bench.ask(1, AskDict("d", verb, key, payload)))

    assert do(DictVerb.GET, "a") == (False, None)
    assert do(DictVerb.SET, "a", plain(1)) is None
    assert do(DictVerb.GET, "a") == (True, plain(1))
    assert do(DictVerb.SET_DEFAULT, "a", plain(2)) == (True, plain(1))
    assert do(DictVerb.SET_DEFAULT, ("b", 1), plain(2)) == (False, plain(2))
    assert do(DictVerb.KEYS) == ("a", ("b", 1))
    assert do(DictVerb.ITEMS) == (("a", plain(1)), (("b", 1), plain(2)))
    assert do(DictVerb.HAS, "a") is True
    assert do(DictVerb.DELETE, "a") is True
    assert do(DictVerb.DELETE, "a") is False
    assert do(DictVerb.POP, ("b", 1)) == (True, plain(2))
    assert do(DictVerb.POP, ("b", 1)) == (False, None)
    assert do(DictVerb.UPDATE, ((1, plain("x")), (2, PICKLED))) is None
    assert do(DictVerb.LENGTH) == 2
    assert do(DictVerb.CLEAR) is None
    assert do(DictVerb.LENGTH) == 0


@pytest.mark.parametrize(
    ("verb", "key", "payload"),
    [
        (DictVerb.SET, [], plain(1)),
        (DictVerb.SET, "a", None),
        (DictVerb.UPDATE, (("a", plain(1)), ([], plain(2))), None),
        (DictVerb.UPDATE, "abc", None),
        (99, "a", None),
    ],
)
def test_dictionary_refuses_what_it_cannot_do(verb: int, key: Any, payload: Payload | None) -> None:
    """And nothing of it is done, not even the half that could be."""
    bench = Bench()
    assert "dictionary 'd' cannot" in bench.text(bench.ask(1, AskDict("d", verb, key, payload)), Status.UNFIT)
    assert bench.value(bench.ask(1, AskDict("d", DictVerb.LENGTH, None, None))) == 0


def test_array_has_one_memory_and_one_shape() -> None:
    """All who open it as it is get the same memory; who opens it otherwise is told of both."""
    bench = Bench()
    bench.ask(1, OpenArray("a", "d", (2, 3), 48))
    _, second = bench.ask(2, OpenArray("b", "d", (1,), 8))
    _, third = bench.ask(3, OpenArray("a", "d", (2, 3), 48))
    assert bench.moves[1:] == [
        AnswerWithMemory(ConnectionId(2), second, 1, 8),
        AnswerWithMemory(ConnectionId(3), third, 0, 48),
    ]
    text = bench.text(bench.ask(3, OpenArray("a", "f", (2, 3), 24)), Status.MISMATCH)
    assert "('d', (2, 3), 48)" in text
    assert "('f', (2, 3), 24)" in text


def test_event_is_set_and_cleared() -> None:
    """Both may be done again, and mean nothing then; who waits in vain is told what is known."""
    bench = Bench()
    assert bench.value(bench.ask(1, IsEventSet("e"))) is False
    assert bench.text(bench.ask(1, WaitEvent("e", 0)), Status.TIMED_OUT) == "event 'e' was never set"
    bench.ask(1, ClearEvent("e"))
    bench.ask(1, SetEvent("e"))
    bench.ask(1, SetEvent("e"))
    assert bench.value(bench.ask(2, IsEventSet("e"))) is True
    assert bench.status(bench.ask(2, WaitEvent("e", 0))) is Status.DONE
    bench.ask(1, ClearEvent("e"))
    bench.now += 3.0
    assert bench.text(bench.ask(2, WaitEvent("e", 0)), Status.TIMED_OUT) == (
        "event 'e' is not set; it was cleared by gw1, in test_1 (call) at a.py:1, 3.0 s ago"
    )
