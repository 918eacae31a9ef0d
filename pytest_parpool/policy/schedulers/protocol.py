"""What a scheduler is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pytest_parpool.model.ids import ItemIndex, WorkerId


@runtime_checkable
class Scheduler(Protocol):
    """Decides which item a worker runs next. Pure: it is told everything it knows.

    The dispatcher owns an item from ``take`` until it is done; the scheduler owns it before, and again after
    ``requeue``. Workers are slots: a replacement asks under the same id and goes on with that slot's share.
    """

    def peek(self, worker: WorkerId) -> ItemIndex | None:
        """Return the item ``take`` would give this worker, without giving it, or None for "nothing now".

        May move work between shares (stealing); calling it again without another call in between returns the same.
        """
        ...

    def take(self, worker: WorkerId) -> ItemIndex:
        """Hand out the item that ``peek`` names.

        Raises:
            LookupError: If there is none.
        """
        ...

    def requeue(self, items: tuple[ItemIndex, ...], worker: WorkerId) -> None:
        """Take back items that ``worker`` was given and never began, in the order in which it was given them.

        They go in front of that slot's share, where its replacement, or a thief, finds them.

        Raises:
            ValueError: If an item was never taken; it would run twice.
        """
        ...

    def is_exhausted(self, worker: WorkerId) -> bool:
        """Whether this worker will never be given anything again, unless something is requeued."""
        ...

    def remaining(self) -> tuple[ItemIndex, ...]:
        """Return all items not handed out, in plan order."""
        ...
