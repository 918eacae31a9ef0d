"""What all proxies have in common: a name, a party, and that they can be handed to other threads and processes."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from pytest_parpool.sync.party import Party, join

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


class Proxy:
    """A shared object's name and address. Equal to all other proxies of the same object, in whatever process.

    Args:
        party: This process, as one that uses shared objects.
        name: The object's name, among those of its kind.

    Attributes:
        kind: What it is called in messages.
    """

    kind: ClassVar[str] = "object"

    def __init__(self, party: Party, name: str) -> None:
        self._party = party
        self.name = name

    @property
    def shown(self) -> str:
        """The object, for messages, as "lock 'db'"."""
        return f"{self.kind} {self.name!r}"

    def _arguments(self) -> tuple[Any, ...]:
        """Return what the class is made from, behind the party."""
        return (self.name,)

    def __reduce__(self) -> tuple[Any, ...]:
        party = self._party
        run = party.service.token, party.service.owner_pid
        return _restore, (type(self), run, (party.name, party.connections.test), self._arguments())

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.name, self._party.service.token) == (other.name, other._party.service.token)

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _restore(kind: type[Proxy], run: tuple[str, int], starter: tuple[str, str], arguments: tuple[Any, ...]) -> Proxy:
    """Make a proxy again, in this process or in one that it was sent to, which is then at work for the same test."""
    name, test = starter
    return kind(join(*run, f"process {os.getpid()}, started by {name}", test), *arguments)
