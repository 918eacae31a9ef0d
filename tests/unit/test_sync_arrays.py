"""Arrays' arguments: what is refused before anybody is asked."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import pytest

from pytest_parpool.sync.array import Array
from pytest_parpool.sync.errors import NumpyMissingError
from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.party import Party
from pytest_parpool.sync.services import SystemService


@pytest.fixture
def party() -> Party:
    """This process in a run whose broker is never started."""
    return Party(SystemService("unit", 1), "gw0")


@pytest.mark.parametrize("shape", [0, -1, (), (2, 0), 1.5, None, "2", (1, "2"), ((1,), 2)])
def test_shapes_are_whole_numbers_from_one_on(party: Party, shape: Any) -> None:
    """Anything else is refused where it is given, and the message names the argument."""
    with pytest.raises(ValueError, match=r"^shape: .* is not allowed"):
        SharedObjects(party).array("a", "d", shape)


@pytest.mark.parametrize("shape", [3, (3,), True])
def test_shapes_become_tuples(party: Party, shape: Any) -> None:
    """However one length is given, it is the same."""
    assert Array.of(party, "a", "d", shape).shape == (int(shape) if isinstance(shape, int) else 3,)


def test_values_are_no_shape(party: Party) -> None:
    """A list is what ``multiprocessing.Array`` takes for the values; it is not taken for lengths without a word."""
    with pytest.raises(ValueError, match=r"^shape: the list \[1, 2\] is not allowed"):
        Array.of(party, "a", "d", [1, 2])


@pytest.mark.parametrize("dtype", ["O", object])
def test_objects_are_refused(party: Party, dtype: Any) -> None:
    """Their addresses mean nothing to other processes; this needs no numpy to be said."""
    with pytest.raises(ValueError, match=r"^dtype: .*Python objects cannot be"):
        Array.of(party, "a", dtype, 1)


@pytest.mark.parametrize(
    ("dtype", "text"), [([("x", object)], "Python objects"), ("S", "how large"), ("U0", "how large")]
)
def test_types_of_numpy_that_cannot_be_shared(party: Party, dtype: Any, text: str) -> None:
    """Objects inside of others, and items without a size, are refused."""
    with pytest.raises(ValueError, match=rf"^dtype: .*{text}"):
        Array.of(party, "a", dtype, 1)


def test_types_that_numpy_does_not_know(party: Party) -> None:
    """The error is numpy's own."""
    with pytest.raises(TypeError, match="no such type"):
        Array.of(party, "a", "no such type", 1)


def test_without_numpy(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typecodes go without it; whatever needs it says so."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    array = Array.of(party, "a", "d", 2)
    uses = (
        lambda: Array.of(party, "a", "float64", 1),
        lambda: Array.of(party, "a", float, 1),
        array.numpy,
        array.__array__,
    )
    for use in uses:
        for error in (ImportError, NumpyMissingError):
            with pytest.raises(error, match=r"numpy.* not installed"):
                use()


@pytest.mark.parametrize(
    ("dtype", "name"), [("float64", "d"), ("int8", "b"), (bool, "?"), (">f8", ">f8"), ("complex64", "complex64")]
)
def test_one_type_has_one_name(party: Party, dtype: Any, name: str) -> None:
    """Numpy's name of a type that has a typecode is that typecode."""
    assert Array.of(party, "a", dtype, 1)._type_name == name


@pytest.mark.parametrize("code", ["l", "L"])
def test_long_is_another_type_by_another_name(party: Party, code: str) -> None:
    """There are no two typecodes for the same numbers."""
    assert Array.of(party, "a", code, 1)._type_name.lower() in {"i", "q"}


def test_errors_of_missing_numpy_travel() -> None:
    """As all errors, they survive pickling."""
    error = pickle.loads(pickle.dumps(NumpyMissingError("text")))
    assert type(error) is NumpyMissingError
    assert error.args == ("text",)
