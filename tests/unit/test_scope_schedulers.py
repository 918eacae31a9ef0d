"""What ``loadscope``, ``loadfile`` and ``each`` hand to whom."""

from __future__ import annotations

import pytest

from pytest_parpool.model.ids import ItemIndex, worker_ids
from pytest_parpool.policy.schedulers.each import make_each
from pytest_parpool.policy.schedulers.loadfile import make_loadfile
from pytest_parpool.policy.schedulers.loadscope import make_loadscope
from tests.plans import make_plan, plan_of

W0, W1, W2 = worker_ids(3)


def test_largest_group_first() -> None:
    """With reordering the groups of most items go first, and equals in plan order."""
    scheduler = make_loadscope(plan_of(1, 2, 3, 2), (W0,), reorder=True)
    assert [scheduler.take(W0) for _ in range(8)] == [3, 4, 5, 1, 2, 6, 7, 0]


def test_plan_order_without_reordering() -> None:
    """Without reordering the groups go in plan order."""
    scheduler = make_loadscope(plan_of(1, 2, 3), (W0,), reorder=False)
    assert [scheduler.take(W0) for _ in range(6)] == [0, 1, 2, 3, 4, 5]


def test_scattered_items_are_one_group() -> None:
    """Items of one scope stay together in plan order, though others stand between them."""
    scheduler = make_loadscope(make_plan(list("abab")), (W0, W1), reorder=True)
    assert [scheduler.take(worker) for worker in (W0, W1, W0, W1)] == [0, 1, 2, 3]


def test_scopes_and_files_differ() -> None:
    """``loadscope`` parts the classes of a file, ``loadfile`` does not."""
    plan = make_plan(["a", "a"], scopes=["a::C", "a::D"])
    assert make_loadscope(plan, (W0, W1), reorder=True).peek(W1) == 0
    by_scope = make_loadscope(plan, (W0, W1), reorder=True)
    by_file = make_loadfile(plan, (W0, W1), reorder=True)
    by_scope.take(W0)
    by_file.take(W0)
    assert by_scope.peek(W1) == 1
    assert by_file.peek(W1) is None


def test_groups_go_by_need() -> None:
    """A worker that is done early gets the next group; one that is busy keeps only the group it began."""
    scheduler = make_loadfile(plan_of(3, 1, 1), (W0, W1), reorder=True)
    assert scheduler.take(W0) == 0
    assert [scheduler.take(W1), scheduler.take(W1)] == [3, 4]
    assert scheduler.is_exhausted(W1)
    assert not scheduler.is_exhausted(W0)


def test_a_looked_at_group_is_not_begun() -> None:
    """A group that one worker only looked at goes to whoever takes it."""
    scheduler = make_loadfile(plan_of(1, 1), (W0, W1), reorder=True)
    assert scheduler.peek(W0) == 0
    assert scheduler.take(W1) == 0
    assert scheduler.take(W0) == 1


def test_requeued_items_stay_with_the_slot() -> None:
    """After a death the replacement goes on with the group, though others are idle."""
    scheduler = make_loadfile(plan_of(3), (W0, W1), reorder=True)
    scheduler.take(W0)
    scheduler.requeue((scheduler.take(W0),), W0)
    assert scheduler.is_exhausted(W1)
    assert [scheduler.take(W0), scheduler.take(W0)] == [1, 2]


def test_each_worker_runs_its_own_copy() -> None:
    """Worker ``k`` gets the plan's copy number ``k``, and nothing of a slower one."""
    scheduler = make_each(plan_of(2).repeated(3), (W0, W1, W2), reorder=True)
    assert [scheduler.take(W1), scheduler.take(W1)] == [2, 3]
    assert scheduler.is_exhausted(W1)
    scheduler.requeue((ItemIndex(3),), W1)
    assert [scheduler.take(W1), scheduler.peek(W1)] == [3, None]
    assert [scheduler.take(W2), scheduler.take(W0)] == [4, 0]


def test_each_needs_a_copy_per_worker() -> None:
    """A plan that was not repeated per worker is our own mistake, and found at once."""
    with pytest.raises(AssertionError, match="one copy"):
        make_each(plan_of(3), (W0, W1), reorder=True)
