"""``sync.payloads``: what arrives is what was sent, or the sender is told why it cannot be."""

from __future__ import annotations

import enum
import threading

import pytest

from pytest_parpool.sync.errors import UnpicklableError
from pytest_parpool.sync.payloads import pack, pack_failure, unpack


class Colour(enum.IntEnum):
    """A number that is more than a number."""

    RED = 1


class StubbornError(Exception):
    """An exception whose arguments are not those it is made from: it pickles, and does not unpickle."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Nasty:
    """Can be neither shown nor pickled."""

    def __repr__(self) -> str:
        raise ZeroDivisionError

    def __reduce__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("value", [0, -1, 2**100, 1.5, "text \udce4", b"\x00", True, None], ids=repr)
def test_plain_values_stay_plain(value: object) -> None:
    """The broker can compare and add what is plain."""
    assert pack(value, "value 'n'") == ("plain", value)
    assert unpack(pack(value, "value 'n'")) == value


@pytest.mark.parametrize("value", [Colour.RED, [1], {"a": (1, 2)}, 1j, frozenset({1})], ids=repr)
def test_everything_else_is_pickled(value: object) -> None:
    """What Python's types do not tell apart comes back with its own type."""
    payload = pack(value, "value 'n'")
    assert payload[0] == "pickle"
    assert unpack(payload) == value
    assert type(unpack(payload)) is type(value)


@pytest.mark.parametrize("value", [threading.Lock(), lambda: 1, Nasty(), ["x" * 10_000, threading.Lock()]])
def test_what_cannot_be_sent_is_named(value: object) -> None:
    """The message names the value, its type and the object, and is short."""
    with pytest.raises(UnpicklableError, match=rf"type '{type(value).__qualname__}'.*queue 'jobs'") as caught:
        pack(value, "queue 'jobs'")
    assert isinstance(caught.value, TypeError)
    assert len(str(caught.value)) < 600


def test_exceptions_travel() -> None:
    """An exception arrives as it was raised."""
    error = unpack(pack_failure(KeyError("a", 1)))
    assert type(error) is KeyError
    assert error.args == ("a", 1)


@pytest.mark.parametrize("error", [StubbornError(1, 2), ValueError(threading.Lock())])
def test_exceptions_that_do_not_travel(error: Exception) -> None:
    """The others get a RuntimeError that says what it was."""
    arrived = unpack(pack_failure(error))
    assert type(arrived) is RuntimeError
    assert str(arrived) == f"{type(error).__name__}: {error}"
