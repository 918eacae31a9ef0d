"""Every task gets one outcome, and none is begun more often than it may, whatever happens in whatever order."""

from __future__ import annotations

import collections
from typing import get_args

import pytest

from pytest_parpool.model.actions import Kill
from pytest_parpool.model.task_actions import TaskAction
from pytest_parpool.model.task_messages import TaskEvent
from pytest_parpool.model.task_notices import TaskNotice
from pytest_parpool.policy.tasks.dispatcher import TaskDispatcher
from pytest_parpool.policy.tasks.task_slot import TaskSlot
from tests.simulation.promises import BrokenPromiseError
from tests.simulation.tasks.world import World

RUNS = 300  # two seconds


def test_random_runs() -> None:
    """Every run ends, and keeps all promises; whatever may happen does, in several of them."""
    seen: collections.Counter[str] = collections.Counter()
    for seed in range(RUNS):
        world = World(seed)
        try:
            world.run()
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        seen.update(world.seen.keys())
    kinds = (*get_args(TaskEvent), *get_args(TaskNotice), *get_args(TaskAction))
    names = {kind.__name__ for kind in kinds} - {"TaskHeard"} | {"cancelled", "Give before Ready"}
    assert {name for name in names if seen[name] < 5} == set()


def run_all() -> None:
    """Run all worlds."""
    for seed in range(RUNS):
        World(seed).run()


def forget_taken_back(self: TaskDispatcher, slot: TaskSlot, kept: int) -> list[TaskAction]:
    """Lose what was taken back."""
    slot.is_recalling = False
    while slot.held and slot.done + len(slot.held) > kept:
        slot.held.pop()
        slot.given -= 1
    return []


def kill_at_once(self: TaskDispatcher, slot: TaskSlot, task: int) -> list[TaskAction]:
    """Kill a worker that may have begun something else."""
    slot.timed_out = task
    return [Kill(slot.id)] if slot.running == task else []


def try_again_for_ever(self: TaskDispatcher, slot: TaskSlot, task: int, *_: object) -> list[TaskAction]:
    """Count no tries."""
    self._queue.put_back([task])
    return []


@pytest.mark.parametrize(
    ("method", "bug"),
    [("_take_back", forget_taken_back), ("_judge", try_again_for_ever), ("_end_time", kill_at_once)],
    ids=["lost", "retried", "killed"],
)
def test_a_bug_is_found(method: str, bug: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dispatcher that loses or repeats tasks does not get through."""
    monkeypatch.setattr(TaskDispatcher, method, bug)
    with pytest.raises(BrokenPromiseError):
        run_all()
