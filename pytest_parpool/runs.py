"""Which runs of pytest this process is part of, so that shared objects without a name can be theirs.

A run says so here, on a floor that knows neither pytest nor shared objects, because who makes such an object has
nothing but this process in common with the run. Loaded in every run, so it imports nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# The innermost last: a test may run pytest in its own process.
_runs: list[Callable[[], Any]] = []


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
