"""Waits for descriptors, and calls what is to be done when one of them has something."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import Any, Final, TypeAlias

# Called with the events, as ``poll`` has them.
Reaction: TypeAlias = Callable[[int], None]

_MILLISECONDS: Final = 1000


class Poller:
    """The descriptors that a loop waits for; each has to be taken out before it is closed.

    With ``poll`` the kernel looks at every one of them whenever it begins to wait, and when it ends; with ``epoll``
    only at those that have something. It does so twice for each turn that somebody has with a contended lock.

    Only Linux has ``epoll``. The ``poll`` of macOS does for sockets, and that is all that is waited for there.

    Args:
        has_epoll: Whether to use ``epoll`` where there is one; given in tests only.
    """

    def __init__(self, *, has_epoll: bool = True) -> None:
        self._poll: Any
        # Both round up: to wake a moment before a deadline would be to wake twice.
        if sys.platform == "linux" and has_epoll:
            self._poll = select.epoll()
            self._units_per_second = 1
        else:
            self._poll = select.poll()
            self._units_per_second = _MILLISECONDS
        self._reactions: dict[int, Reaction] = {}

    def add(self, fd: int, reaction: Reaction) -> None:
        """Have something done whenever a descriptor can be read, or its other end is closed."""
        self._reactions[fd] = reaction
        self._poll.register(fd, select.POLLIN)

    def remove(self, fd: int) -> None:
        """Look at a descriptor no longer."""
        del self._reactions[fd]
        self._poll.unregister(fd)

    def look_for(self, fd: int, events: int) -> None:
        """Look for these events of a descriptor from now on."""
        self._poll.modify(fd, events)

    def react(self, patience: float | None) -> None:
        """Wait until there is something, and do what is to be done about it.

        Args:
            patience: After so many seconds nothing is done; None to wait as long as it takes.
        """
        for fd, events in self._poll.poll(None if patience is None else patience * self._units_per_second):
            if reaction := self._reactions.get(fd):  # else it was taken out by a reaction before
                reaction(events)
