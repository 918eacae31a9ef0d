"""What a spawned worker is told arrives as it was said, and the digest tells collections apart."""

from __future__ import annotations

import marshal

import pytest

from pytest_parpool.wire.launch_order import LaunchOrder, digest

ORDER_FIELDS = {
    "arguments": ("-n", "2", "tests/test_\udcff.py"),
    "digest": digest(["a"]),
    "nodeids": marshal.dumps(("a",)),
    "main": ("bin/\udcff", ""),
}


def make_order() -> LaunchOrder:
    """Return one with a value of its type in every field."""
    samples = {"str": "text", "bool": True, "int": 7, "bytes": b"bytes"}
    values = {name: samples.get(str(kind)) for name, kind in LaunchOrder.__annotations__.items()}
    return LaunchOrder(**{**values, **ORDER_FIELDS})  # type: ignore[arg-type]


def test_an_order_arrives() -> None:
    """Every field has its value behind the border, also names of files that are no text."""
    order = make_order()
    assert LaunchOrder.loads(order.dumps()) == order


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(["a", "b"], ["b", "a"], id="order"),
        pytest.param(["a", "b"], ["a"], id="length"),
        pytest.param(["a", "a"], ["a"], id="repetition"),
        pytest.param(["ab"], ["a", "b"], id="borders"),
    ],
)
def test_other_collections_have_other_digests(one: list[str], other: list[str]) -> None:
    """Whatever is different is seen."""
    assert digest(one) != digest(other)
    assert digest(one) == digest(tuple(one))


def test_ids_that_are_no_text_have_a_digest() -> None:
    """A file's name with bytes that are no UTF-8 is in its tests' ids as surrogates."""
    assert digest(["test_\udcff.py::test"]) != digest(["test_\udcfe.py::test"])
