"""The plan is read by item."""

from __future__ import annotations

from pytest_parpool.model.ids import ItemIndex, worker_ids
from tests.plans import make_plan


def test_columns() -> None:
    """A plan is as long as its columns, and an item is its place in them."""
    plan = make_plan(["a", "a", "b"])
    assert len(plan) == 3
    assert list(plan.indices()) == [0, 1, 2]
    assert plan.nodeid(ItemIndex(2)) == "b.py::test_2"


def test_repeated() -> None:
    """``--dist each`` has one copy of all items per worker, in every column."""
    plan = make_plan(["a", "b"], groups=["g", None], durations=[1.0, None]).repeated(2)
    assert len(plan) == 4
    assert plan.modules == plan.files == plan.scopes == ("a", "b", "a", "b")
    assert plan.groups == ("g", None, "g", None)
    assert plan.durations == (1.0, None, 1.0, None)
    assert plan.nodeids[:2] == plan.nodeids[2:]
    assert plan.functions[:2] == plan.functions[2:]


def test_worker_ids() -> None:
    """Slots are called as people know them."""
    assert worker_ids(3) == ("gw0", "gw1", "gw2")
    assert worker_ids(0) == ()
