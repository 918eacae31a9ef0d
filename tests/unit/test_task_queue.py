"""Tasks wait in the order of their numbers, and how many are given at once follows how long they take."""

from __future__ import annotations

from pytest_parpool.policy.tasks.pace import MOST_IN_HAND, Pace
from pytest_parpool.policy.tasks.queue import TaskQueue


def test_first_in_first_out() -> None:
    """As many as are wanted, or as there are."""
    queue = TaskQueue()
    queue.append(range(5))
    assert queue.take(2) == [0, 1]
    queue.append([7])
    assert len(queue) == 4
    assert queue.take(9) == [2, 3, 4, 7]
    assert queue.take(1) == []


def test_what_comes_back_is_next() -> None:
    """Before everything that came later, whoever brings it back, and in whatever order."""
    queue = TaskQueue()
    queue.append(range(10))
    assert queue.take(8) == list(range(8))
    queue.put_back([5, 3])
    queue.put_back([])
    queue.put_back([4, 0])
    queue.put_back([6])
    assert queue.clear() == [0, 3, 4, 5, 6, 8, 9]


def test_a_task_can_be_removed() -> None:
    """Once."""
    queue = TaskQueue()
    queue.append(range(3))
    assert queue.try_remove(1)
    assert not queue.try_remove(1)
    assert queue.clear() == [0, 2]


def test_the_pace_is_that_of_the_last_tasks() -> None:
    """Unknown or long tasks are given one by one, middling ones by two, tiny ones by hundreds."""
    pace = Pace()
    assert pace.hand_size(1000, 2) == 1
    assert not pace.is_worth_taking(100)
    pace.observe(0.010)
    assert pace.hand_size(1000, 2) == 2
    assert pace.is_worth_taking(1)
    for _ in range(400):
        pace.observe(0.000_001)
    assert pace.hand_size(10_000, 2) == MOST_IN_HAND
    assert pace.hand_size(100, 2) == 50
    assert pace.hand_size(0, 2) == 1
    assert not pace.is_worth_taking(1)
    pace.observe(1.0)
    assert pace.hand_size(10_000, 2) == 1
