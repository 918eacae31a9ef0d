"""Waits for descriptors, and calls what is to be done when one of them has something."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

# Called with the events, as ``poll`` has them.
Reaction: TypeAlias = Callable[[int], None]

_MILLISECONDS: Final = 1000

READABLE: Final = getattr(select, "POLLIN", 1)
WRITABLE: Final = getattr(select, "POLLOUT", 4)

_BEST_WAY: Final = "epoll" if sys.platform == "linux" else "select" if sys.platform == "win32" else "poll"


class Poller:
    """The descriptors that a loop waits for; each has to be taken out before it is closed.

    With ``poll`` the kernel looks at every one of them whenever it begins to wait, and when it ends; with ``epoll``
    only at those that have something. It does so twice for each turn that somebody has with a contended lock.

    Only Linux has ``epoll``. The ``poll`` of macOS does for sockets, and that is all that is waited for there; so does
    Windows' ``select``.

    Args:
        way: By which of the system's calls; given in tests only.
    """

    def __init__(self, way: Literal["epoll", "poll", "select"] = _BEST_WAY) -> None:
        self._poll: Any
        # All round up: to wake a moment before a deadline would be to wake twice.
        self._units_per_second = 1
        if way == "epoll" and sys.platform == "linux":
            self._poll = select.epoll()
        elif way == "poll" and sys.platform != "win32":
            self._poll = select.poll()
            self._units_per_second = _MILLISECONDS
        else:
            self._poll = _Select()
        self._reactions: dict[int, Reaction] = {}

    def add(self, fd: int, reaction: Reaction) -> None:
        """Have something done whenever a descriptor can be read, or its other end is closed."""
        self._reactions[fd] = reaction
        self._poll.register(fd, READABLE)

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


class _Select:
    """``select`` in the shape of a poll object."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}

    def register(self, fd: int, events: int) -> None:
        self._events[fd] = events

    modify = register

    def unregister(self, fd: int) -> None:
        del self._events[fd]

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait so many seconds at most, and return what is ready; who cannot be written to hears that by trying."""
        readers = [fd for fd, events in self._events.items() if events & READABLE]
        writers = [fd for fd, events in self._events.items() if events & WRITABLE]
        readable, writable, failed = select.select(readers, writers, writers, timeout)
        found = dict.fromkeys((*writable, *failed), WRITABLE)
        for fd in readable:
            found[fd] = found.get(fd, 0) | READABLE
        return list(found.items())
