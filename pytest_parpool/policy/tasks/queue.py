"""The queue: tasks that wait for a worker, in the order of their numbers, which is that of their submission."""

from __future__ import annotations

import collections
from collections.abc import Iterable


class TaskQueue:
    """Gives out the lowest number first, also of those that come back."""

    def __init__(self) -> None:
        # Not a plain dict: to take its first key again and again, it looks through the gaps of all that were taken.
        self._tasks: collections.OrderedDict[int, None] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._tasks)

    def append(self, tasks: Iterable[int]) -> None:
        """Put new tasks at the end; their numbers are above all others."""
        self._tasks.update(dict.fromkeys(tasks))

    def take(self, count: int) -> list[int]:
        """Remove the first so many tasks, if there are as many, and return them."""
        take_first = self._tasks.popitem
        return [take_first(last=False)[0] for _ in range(min(count, len(self._tasks)))]

    def put_back(self, tasks: Iterable[int]) -> None:
        """Put tasks that were taken back where they belong."""
        back = sorted(tasks)
        if not back:
            return
        # What is lower than one of them came back before, and is seldom more than a hand.
        while self._tasks and next(iter(self._tasks)) < back[-1]:
            back.append(self._tasks.popitem(last=False)[0])
            back.sort()
        for task in reversed(back):
            self._tasks[task] = None
            self._tasks.move_to_end(task, last=False)

    def try_remove(self, task: int) -> bool:
        """Remove a task, and return whether it was there."""
        if task not in self._tasks:
            return False
        del self._tasks[task]
        return True

    def clear(self) -> list[int]:
        """Remove all tasks, and return them."""
        return self.take(len(self._tasks))
