"""The pace of a pool's tasks: how long they take, and so how many of them a worker is given at once.

A message costs what many tiny tasks cost, so these are given in bulk. A guess that was wrong is put right: what waits
behind a task that takes long is taken back.
"""

from __future__ import annotations

HAND_SECONDS = 0.005  # work in a hand: fifty times what a message and its answer cost, and short for whoever waits
PREFETCH_SECONDS = 0.015  # a task that takes less has another one behind it, while there are enough
MOST_IN_HAND = 512  # tasks; more of them make no task cheaper
WORTH_TAKING_SECONDS = 0.002  # of work: what it costs to take it back and to give it to another
_WEIGHT = 1 / 16  # of the newest duration: a long one among short ones counts at once, and is forgotten soon


class Pace:
    """Knows about how long a task takes."""

    def __init__(self) -> None:
        self._seconds: float | None = None

    def observe(self, seconds: float) -> None:
        """Note how long one has taken."""
        if self._seconds is None:
            self._seconds = seconds
        else:
            self._seconds += (seconds - self._seconds) * _WEIGHT

    def hand_size(self, waiting: int, workers: int) -> int:
        """Return how many tasks a worker should have in its hand, the one that it runs included; at least 1.

        Args:
            waiting: How many tasks wait.
            workers: How many they are for. Near the end the hands become small, so that all end together.
        """
        if self._seconds is None or self._seconds > PREFETCH_SECONDS:
            return 1
        most = min(MOST_IN_HAND, waiting // workers)
        return max(1, min(most, max(2, int(HAND_SECONDS / max(self._seconds, 1e-9)))))

    def is_worth_taking(self, count: int) -> bool:
        """Whether somebody who has nothing to do should take so many tasks from another's hand."""
        return self._seconds is not None and count * self._seconds > WORTH_TAKING_SECONDS
