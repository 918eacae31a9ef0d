"""Any value travels: as itself, as the plain value it is at heart, or as text that is named."""

from __future__ import annotations

import array
import collections
import decimal
import enum
import marshal
import pathlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from pytest_parpool.wire import plain


class Colour(enum.IntEnum):
    """An enum that is a number."""

    RED = 1


class Name(str):
    """A text that says of itself what it likes."""

    __slots__ = ()

    def __str__(self) -> str:
        """Lie."""
        return "other"


class Number(float):
    """A number that is more than a number, as NumPy's are."""


class Mixin:
    """Not a plain class."""


class Collection(set[int], Mixin):
    """A set with more in its ancestry."""


Pair = collections.namedtuple("Pair", "first second")  # noqa: PYI024 - the untyped kind is what old suites use


class HashableList(list[int]):
    """A list that can be a key, though plain lists cannot."""

    def __hash__(self) -> int:  # type: ignore[override]
        """Return the same for all."""
        return 1


class BrokenMapping(dict[str, int]):
    """A mapping that cannot be looked at."""

    def items(self) -> Any:
        """Refuse."""
        raise RuntimeError


class BrokenRepr:
    """Cannot be shown."""

    def __init__(self, error: type[BaseException]) -> None:
        """Say what showing it raises."""
        self.error = error

    def __repr__(self) -> str:
        raise self.error


class BrokenClass:
    """Says nothing about its class, like a proxy for something that is not there."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise RuntimeError

    def __repr__(self) -> str:
        return "a proxy"


class TextAsRepr:
    """Its repr is a text of another class."""

    def __repr__(self) -> str:
        return Name("shown")


def travel(value: Any) -> tuple[Any, tuple[str, ...]]:
    """Return what arrives, and which places were named."""
    data, places = plain.dumps(value)
    return marshal.loads(data), places


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**100),
        1.5,
        2j,
        "",
        "\udce4\x00",
        b"\xff",
        [],
        (),
        {},
        [1, (2, {"a": [None]})],
        {1: 2, (3, 4): 5},
    ],
    ids=repr,
)
def test_plain_values_travel_as_they_are(value: object) -> None:
    """What marshal knows arrives equal and of the same type, and nothing is named."""
    arrived, places = travel(value)
    assert arrived == value
    assert type(arrived) is type(value)
    assert places == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, 1),
        ({Colour.RED: Colour.RED}, {1: 1}),
        (Name("text"), "text"),
        (Number(1.5), 1.5),
        (type("Bytes", (bytes,), {})(b"b"), b"b"),
        (type("Complex", (complex,), {})(1, 2), 1 + 2j),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (Pair(1, 2), (1, 2)),
        (collections.UserString, None),
        ({1, 2}, {1, 2}),
        (frozenset({1}), frozenset({1})),
        (Collection({1, 2}), {1, 2}),
    ],
    ids=repr,
)
def test_relatives_of_plain_values(value: object, expected: object) -> None:
    """A value of a class that comes from a plain one travels as that, unnamed; a class of its own kind does not."""
    arrived, places = travel(value)
    if expected is None:
        assert places == ("value (ABCMeta)",)
        return
    assert arrived == expected
    assert type(arrived) is type(expected)
    assert places == ()


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (decimal.Decimal("1.5"), "Decimal('1.5')", "Decimal"),
        (pathlib.PurePosixPath("/a"), "/a", "PurePosixPath"),
        (array.array("i", [1]), "array('i', [1])", "array"),
        (bytearray(b"a"), "bytearray(b'a')", "bytearray"),
        (BrokenClass(), "a proxy", "BrokenClass"),
        (TextAsRepr(), "shown", "TextAsRepr"),
        (compile("1", "a", "eval"), None, "code"),
        (BrokenRepr(ValueError), "<unpresentable BrokenRepr: repr raised ValueError>", "BrokenRepr"),
        (BrokenRepr(RecursionError), "<unpresentable BrokenRepr: repr raised RecursionError>", "BrokenRepr"),
        (BrokenRepr(pytest.fail.Exception), "<unpresentable BrokenRepr: repr raised Failed>", "BrokenRepr"),
        (mock.Mock(spec=dict), None, "Mock"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_travels_as_text(value: object, text: str | None, kind: str) -> None:
    """What is no plain value at heart arrives as its text, and the place and the class are named."""
    arrived, places = travel({"user_properties": [("p", value)]})
    shown = arrived["user_properties"][0][1]
    assert type(shown) is str
    assert shown == text or text is None
    assert places == (f"user_properties[0][1] ({kind})",)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_must_not_be_swallowed(error: type[BaseException]) -> None:
    """An interrupt that arrives while a value is shown goes through."""
    with pytest.raises(error):
        plain.dumps(BrokenRepr(error))


def test_places() -> None:
    """Each value that lost its type is named by how to find it."""
    _, places = travel({"a": {"b": [1j, decimal.Decimal(1)]}, "s": {decimal.Decimal(2)}, decimal.Decimal(3): None})
    assert places == ("a.b[1] (Decimal)", "s member (Decimal)", "key (Decimal)")


@pytest.mark.parametrize("value", [{HashableList([1]): 1}, {HashableList([1])}], ids=["key", "member"])
def test_keys_that_lose_their_hash(value: object) -> None:
    """A key that would arrive as something that cannot be one arrives as text."""
    arrived, places = travel(value)
    assert list(arrived) == ["[1]"]
    assert len(places) == 1


def test_a_container_that_cannot_be_looked_at() -> None:
    """A mapping or sequence whose own iteration fails arrives as text."""
    arrived, places = travel([BrokenMapping(a=1)])
    assert arrived == ["{'a': 1}"]
    assert places == ("[0] (BrokenMapping)",)


def test_a_container_in_itself() -> None:
    """A list that holds itself and something foreign arrives, however often it does."""
    value: list[Any] = [decimal.Decimal(1)]
    value += [value, value]
    arrived, places = travel(value)
    assert arrived[0] == "Decimal('1')"
    assert places[0] == "[0] (Decimal)"


def test_a_plain_container_in_itself() -> None:
    """A list that holds only itself arrives as such."""
    value: list[Any] = []
    value.append(value)
    arrived, places = travel(value)
    assert arrived[0] is arrived
    assert places == ()


def test_shared_values_are_looked_at_once() -> None:
    """A value that is found in many places, and those in many others, does not take for ever."""
    value: list[Any] = [decimal.Decimal(1)]
    for _ in range(100):
        value = [value, value]
    arrived, places = travel(value)
    assert arrived[0] == arrived[1]
    assert len(places) == 1


@pytest.mark.parametrize("innermost", [1, decimal.Decimal(1)])
def test_deep_values(innermost: object) -> None:
    """What is nested more deeply than marshal goes arrives, as text from some depth on."""
    value: Any = innermost
    for _ in range(3_000):
        value = [value]
    arrived, places = travel(value)
    depth = 0
    while isinstance(arrived, list):
        (arrived,) = arrived
        depth += 1
    assert depth >= 100
    assert isinstance(arrived, str)
    assert len(places) == 1


def test_wide_values() -> None:
    """A report with many parts, like that of a long traceback, arrives as it is."""
    value = [{"lines": [str(number)]} for number in range(1_000)]
    assert travel(value) == (value, ())


class Stream(list[int]):
    """A list whose iteration says something else than its storage."""

    def __iter__(self) -> Iterator[int]:
        """Count down."""
        return iter([3, 2, 1])


def test_a_container_is_what_it_shows() -> None:
    """A container's own order counts, as that of an ``OrderedDict`` that was moved about."""
    moved = collections.OrderedDict(a=1, b=2)
    moved.move_to_end("a")
    arrived, _ = travel([moved, Stream()])
    assert list(arrived[0]) == ["b", "a"]
    assert arrived[1] == [3, 2, 1]
