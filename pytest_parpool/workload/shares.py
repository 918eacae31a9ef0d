"""A pool's part in the CPU budget of a run of tests, as far as the pool has to know.

Who runs tests says in ``runs`` that there is a budget. In a script there is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Protocol

from pytest_parpool import runs
from pytest_parpool.cpus import usable_cpus


class Share(Protocol):
    """What a pool may run. Any thread may call; nothing waits.

    Attributes:
        environment: Variables of the pool's processes, so that what a task starts knows that it has one slot.
    """

    environment: Mapping[str, str]

    def claim(self, wanted: int) -> int:
        """Return how many tasks the pool may run, at least 1.

        They count as running until ``note``, as far as they are wanted.

        Args:
            wanted: How many it would run at once if it could.
        """
        ...

    def note(self, running: int, wanted: int) -> None:
        """Note how many tasks the pool runs, and how many it would run at once if it could."""
        ...

    def lending(self) -> contextlib.AbstractContextManager[None]:
        """Lend the slot of the test while it waits for the pool."""
        ...

    def close(self) -> None:
        """Give up what the pool has; it has ended."""
        ...


class Budget(Protocol):
    """The CPU slots of a run, seen from one of its processes.

    Attributes:
        slots: How many there are.
        fixed_slots: How many of them there are for a process that cannot take part.
        is_own_process: Whether this process takes part; a child that a test has forked does not.
    """

    slots: int

    @property
    def fixed_slots(self) -> int:
        """See the class."""
        ...

    @property
    def is_own_process(self) -> bool:
        """See the class."""
        ...

    def open_share(self) -> Share:
        """Return the part of a new pool; to be closed when the pool has ended."""
        ...


def default_processes() -> int:
    """Return how many processes a pool has if nobody says it."""
    budget = _find_budget()
    if budget is None:
        return usable_cpus()
    return budget.slots if budget.is_own_process else budget.fixed_slots


def open_share() -> Share | None:
    """Return a new pool's part in the budget, or None where there is none."""
    budget = _find_budget()
    return budget.open_share() if budget is not None and budget.is_own_process else None


def lending(share: Share | None) -> contextlib.AbstractContextManager[None]:
    """Lend the slot of the test while it waits for a pool, if the pool has a part in the budget."""
    return share.lending() if share is not None else contextlib.nullcontext()


def _find_budget() -> Budget | None:
    find = runs.innermost_budget()
    budget: Budget | None = find() if find is not None else None
    return budget
