"""Which runs of pytest this process is part of: shared objects without a name, and pools, can then be theirs.

A run says so here, on a floor that knows neither pytest nor shared objects nor pools, because who makes one has nothing
but this process in common with the run. Loaded in every run, so it imports nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# The innermost last: a test may run pytest in its own process.
_runs: list[Callable[[], Any]] = []
_budgets: list[Callable[[], Any]] = []


def enter(join: Callable[[], Any]) -> None:
    """Have objects be this run's from now on.

    Args:
        join: Returns this process's ``sync.party.Party`` in the run. Called in whatever process needs it: a worker is a
            copy of the process that called this.
    """
    _runs.append(join)


def leave(join: Callable[[], Any]) -> None:
    """Undo ``enter``."""
    _runs.remove(join)


def innermost() -> Callable[[], Any] | None:
    """Return what the run that was entered last has given; None outside of any run."""
    return _runs[-1] if _runs else None


def enter_budget(find: Callable[[], Any]) -> None:
    """Have pools be in this run's CPU budget from now on.

    Args:
        find: Returns this process's ``workload.shares.Budget``, or None if it runs no tests. Called in whatever process
            needs it.
    """
    _budgets.append(find)


def leave_budget(find: Callable[[], Any]) -> None:
    """Undo ``enter_budget``."""
    _budgets.remove(find)


def forget_budgets() -> None:
    """Have no budget from now on: this process has a slot, and no others to hope for."""
    _budgets.clear()


def innermost_budget() -> Callable[[], Any] | None:
    """Return what the run that was entered last has given; None outside of any run."""
    return _budgets[-1] if _budgets else None
