"""A conftest with a scheduler of its own: the longest known test first, and unknown ones before those."""

import math
from collections import deque

import pytest

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.plan import Plan


class LongestFirst:
    """Hands out one queue to whoever asks; fixtures of wide scope are set up more often than under ``load``."""

    def __init__(self, plan: Plan) -> None:
        """Sort the items once; those without a measured duration may be long, so they come first."""
        seconds = [math.inf if known is None else known for known in plan.durations]
        items = sorted(plan.indices(), key=lambda index: -seconds[index])
        self._queue = deque(ItemIndex(index) for index in items)
        self._taken: set[ItemIndex] = set()

    def peek(self, worker: WorkerId) -> ItemIndex | None:
        """Name the next item; it is the same for all workers."""
        return self._queue[0] if self._queue else None

    def take(self, worker: WorkerId) -> ItemIndex:
        """Hand out the next item; an empty queue raises IndexError, which is a LookupError."""
        item = self._queue.popleft()
        self._taken.add(item)
        return item

    def requeue(self, items: tuple[ItemIndex, ...], worker: WorkerId) -> None:
        """Put what a lost worker had not begun in front, in its order."""
        if not self._taken.issuperset(items):
            raise ValueError(f"not all of {items} were taken; they would run twice")
        self._taken.difference_update(items)
        self._queue.extendleft(reversed(items))

    def is_exhausted(self, worker: WorkerId) -> bool:
        """Say that there is nothing left; a requeued item changes that again."""
        return not self._queue

    def remaining(self) -> tuple[ItemIndex, ...]:
        """Return what was not handed out, in plan order."""
        return tuple(sorted(self._queue))


@pytest.hookimpl(optionalhook=True)
def pytest_parpool_make_scheduler(config: pytest.Config, plan: Plan) -> LongestFirst | None:
    """Use this scheduler with ``--dist load``, and leave every other mode as it is."""
    return LongestFirst(plan) if config.getoption("dist") == "load" else None
