"""How a bug in one part of the dispatcher gets into a dispatcher."""

from __future__ import annotations

from typing import Any

from pytest_parpool.policy.births import Births
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.policy.hands import Hands
from pytest_parpool.policy.pending_failures import PendingFailures
from pytest_parpool.policy.workers import Workers


def dispatcher_with(buggy: type[Births | Hands | PendingFailures | Workers]) -> type[Dispatcher]:
    """Return a class of dispatchers that is right but for one part.

    Args:
        buggy: A subclass of the part's class, that overrides methods and keeps nothing of its own.
    """

    class DispatcherWithBug(Dispatcher):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            (part,) = (part for part in vars(self).values() if issubclass(buggy, type(part)))
            # Not a new object: the other parts know this one.
            part.__class__ = buggy

    # It names the test.
    DispatcherWithBug.__name__ = buggy.__name__
    return DispatcherWithBug
