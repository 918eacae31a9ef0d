"""A fair waiting list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_parpool.policy.broker.calls import Call


class WaitingList:
    """Calls that wait for the same thing, first come, first served; each once."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[Call, None] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        """Go through a copy: whoever is served leaves the list."""
        return iter(list(self._calls))

    @property
    def first(self) -> Call | None:
        """Who is served next."""
        return next(iter(self._calls), None)

    def add(self, call: Call) -> None:
        """Put it at the end."""
        self._calls[call] = None

    def remove(self, call: Call) -> None:
        """Take it out; it must be there."""
        del self._calls[call]

    def before(self, call: Call) -> list[Call]:
        """Return those in front of it; all, if it is not in the list."""
        calls = []
        for other in self._calls:
            if other is call:
                break
            calls.append(other)
        return calls
