"""What all proxies have in common: a name, a party, and that they can be handed to other threads and processes.

Users make them in two ways: by name, among the objects of a run (``SharedObjects``), and by calling the class, which
makes a new object without a name. For both the class's own ``__init__`` is called; ``of`` says before it which object
that is.
"""

from __future__ import annotations

import abc
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_parpool.sync.claims import Claim, claim_new
from pytest_parpool.sync.party import Party, join, name_of_process

if TYPE_CHECKING:
    from typing_extensions import Self

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


class Proxy:
    """A shared object's name and address. Equal to all other proxies of the same object, in whatever process.

    Called as a class it stands for a new object, of this run or, outside of any, of this process: the object is gone
    when that has ended.

    Attributes:
        kind: What it is called in messages.
        name: The object's name, among those of its kind.
    """

    kind: ClassVar[str] = "object"
    name: str
    _party: Party
    _claim: Claim | None = None

    def __init__(self) -> None:
        if not hasattr(self, "name"):
            claim = self._claim = claim_new()
            self._party, self.name = claim.party, claim.name

    @classmethod
    def of(cls, party: Party, name: str, *arguments: Any, claim: Claim | None = None) -> Self:
        """Return a proxy of one particular object.

        Args:
            party: This process, as one that uses shared objects.
            name: The object's name, among those of its kind.
            arguments: What the class is called with for a new object.
            claim: To an object that this one belongs to, if there is one.
        """
        proxy = cls.__new__(cls)
        proxy._party, proxy.name, proxy._claim = party, name, claim  # noqa: SLF001  -- its own
        cls.__init__(proxy, *arguments)
        return proxy

    @property
    def shown(self) -> str:
        """The object, for messages, as "lock 'db'"."""
        return f"{self.kind} {self.name!r}"

    def _arguments(self) -> tuple[Any, ...]:
        """Return what the class was called with."""
        return ()

    def __reduce__(self) -> tuple[Any, ...]:
        party = self._party
        if self._claim is not None:
            self._claim.end()
        run = party.service.token, party.service.owner_pid
        return _restore, (type(self), run, (party.name, party.connections.test), self.name, self._arguments())

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.name, self._party.service.token) == (other.name, other._party.service.token)

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class Acquirable(Proxy, abc.ABC):
    """What is acquired and released, also by ``with`` and ``async with``."""

    @abc.abstractmethod
    def acquire(self) -> bool:
        """Acquire it; return whether it was."""

    @abc.abstractmethod
    async def acquire_async(self) -> bool:
        """Acquire it in a task of an event loop; otherwise as ``acquire``."""

    @abc.abstractmethod
    def release(self) -> None:
        """Release it."""

    @abc.abstractmethod
    async def _release_async(self) -> None:
        """Release it in a task; if that is cancelled meanwhile, it is done nevertheless."""

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    async def __aenter__(self) -> bool:
        return await self.acquire_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._release_async()


def _restore(
    kind: type[Proxy], run: tuple[str, int], starter: tuple[str, str], name: str, arguments: tuple[Any, ...]
) -> Proxy:
    """Make a proxy again, in this process or in one that it was sent to, which is then at work for the same test."""
    starter_name, test = starter
    me = name_of_process() or f"process {os.getpid()}, started by {starter_name}"
    return kind.of(join(*run, me, test), name, *arguments)
