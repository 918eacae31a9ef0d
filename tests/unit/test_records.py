"""Records are compared, hashed, shown and matched by their fields."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from pytest_parpool.model.actions import AwaitExit, Kill
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Asked, Drain
from pytest_parpool.model.records import Record, prepare, record

GW0 = WorkerId("gw0")


def test_equality() -> None:
    """Equal are records of one class with equal fields."""
    assert Kill(GW0) == Kill(GW0)
    assert Kill(GW0) != Kill(WorkerId("gw1"))
    assert Asked() == Asked()
    assert Asked() != Drain()
    assert Kill(GW0) != "gw0"


def test_hash() -> None:
    """Equal records are one in a set."""
    assert len({Kill(GW0), Kill(GW0), Asked(), Drain()}) == 3


def test_repr() -> None:
    """A record shows how it is made."""
    assert repr(AwaitExit(GW0, is_interrupted=True)) == "AwaitExit(worker='gw0', is_interrupted=True)"


def test_matching_by_place() -> None:
    """A pattern without names takes the fields in their order."""
    match AwaitExit(GW0, is_interrupted=True):
        case AwaitExit(worker, is_interrupted):
            assert (worker, is_interrupted) == (GW0, True)


def test_slots() -> None:
    """A record has its fields and no others."""
    with pytest.raises(AttributeError):
        Exit(0).other = 1  # type: ignore[attr-defined]


def test_pickling() -> None:
    """A record may cross a process."""
    assert pickle.loads(pickle.dumps(AwaitExit(GW0, is_interrupted=False))) == AwaitExit(GW0, is_interrupted=False)


def test_replace() -> None:
    """A copy differs where it was told to."""
    assert AwaitExit(GW0, is_interrupted=True).replace(is_interrupted=False) == AwaitExit(GW0, is_interrupted=False)


@record
class Place(Record):
    """A record with a default."""

    row: int
    column: int = 7

    def is_square(self) -> bool:
        """Whether both are the same."""
        return self.row == self.column


@record(kw_only=True)
class Named(Record):
    """A record whose fields have to be named."""

    row: int
    column: int = 7


def test_defaults() -> None:
    """What is left out is what the class says."""
    assert (Place(1).column, Place(1, 2).column, Place(row=7).is_square()) == (7, 2, True)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (Place, "missing 1 required positional argument: 'row'"),
        (lambda: Place(1, other=2), "unexpected keyword argument 'other'"),  # type: ignore[call-arg]
        (lambda: Place(1, row=2), "multiple values for argument 'row'"),  # type: ignore[misc]
        (lambda: Place(1, 2, column=3), "multiple values for argument 'column'"),  # type: ignore[misc]
        (lambda: Asked(1), "takes 1 positional argument but 2 were given"),  # type: ignore[call-arg]
        (lambda: Named(1), "takes 1 positional argument but 2 were given"),  # type: ignore[call-arg]
        (Named, "missing 1 required keyword-only argument: 'row'"),
    ],
)
def test_wrong_arguments(call: Callable[[], object], complaint: str) -> None:
    """A record is as strict as a function, from the first instance on."""
    for _ in range(2):
        with pytest.raises(TypeError, match=complaint):
            call()


def test_first_and_later_instances_are_alike() -> None:
    """A class that is used often gets an ``__init__`` of its own; nothing else tells those made by it from others."""

    @record
    class Pair(Record):
        first: int
        second: int = 2

    pairs = [pair for _ in range(20) for pair in (Pair(1), Pair(1, 2), Pair(1, second=2), Pair(second=2, first=1))]
    assert "__init__" in vars(Pair)
    assert set(map(repr, pairs)) == {repr(pairs[0])}
    assert set(pairs) == {Pair(1)}


def test_few_instances_need_no_own_init() -> None:
    """Nothing is compiled for a class of which a run makes one record."""

    @record(kw_only=True)
    class Limits(Record):
        least: int
        most: int = 7

    assert (Limits(least=1).least, Limits(least=1).most) == (1, 7)
    assert "__init__" not in vars(Limits)


def test_pickling_of_named_fields() -> None:
    """A record whose fields have to be named may cross a process, too."""
    assert pickle.loads(pickle.dumps(Named(row=1))) == Named(row=1, column=7)


def test_prepared() -> None:
    """A class that was prepared has what a later instance would bring, once."""

    @record
    class Pair(Record):
        first: int
        second: int = 2

    assert "__init__" not in vars(Pair)
    prepare(Pair)
    written = vars(Pair)["__init__"]
    prepare(Pair)
    assert Pair(1) == Pair(1, 2)
    assert vars(Pair)["__init__"] is written
