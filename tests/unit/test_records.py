"""Records are compared, hashed, shown and matched by their fields."""

from __future__ import annotations

import pickle

import pytest

from pytest_parpool.model.actions import AwaitExit, Kill
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Asked, Drain

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
