"""Schedulers that do not keep their promises."""

from __future__ import annotations

import dataclasses
from typing import Any

from pytest_parpool.model.ids import ItemIndex, WorkerId


@dataclasses.dataclass
class WrappedScheduler:
    """Does as the real one; subclasses do not."""

    real: Any

    def peek(self, worker: WorkerId) -> ItemIndex | None:
        """See `Scheduler.peek`."""
        item: ItemIndex | None = self.real.peek(worker)
        return item

    def take(self, worker: WorkerId) -> ItemIndex:
        """See `Scheduler.take`."""
        item: ItemIndex = self.real.take(worker)
        return item

    def requeue(self, items: tuple[ItemIndex, ...], worker: WorkerId) -> None:
        """See `Scheduler.requeue`."""
        self.real.requeue(items, worker)

    def is_exhausted(self, worker: WorkerId) -> bool:
        """See `Scheduler.is_exhausted`."""
        return bool(self.real.is_exhausted(worker))

    def remaining(self) -> tuple[ItemIndex, ...]:
        """See `Scheduler.remaining`."""
        items: tuple[ItemIndex, ...] = self.real.remaining()
        return items


class RequeuesNothing(WrappedScheduler):
    """What comes back is lost."""

    def requeue(self, items: tuple[ItemIndex, ...], worker: WorkerId) -> None:
        """Forget them."""


class ExhaustedTooEarly(WrappedScheduler):
    """One item is left when it says that nothing is."""

    def is_exhausted(self, worker: WorkerId) -> bool:
        """Count wrongly."""
        return super().is_exhausted(worker) or len(self.remaining()) == 1

    def peek(self, worker: WorkerId) -> ItemIndex | None:
        """Offer nothing when it says so."""
        return None if self.is_exhausted(worker) else super().peek(worker)


class NeverExhausted(WrappedScheduler):
    """Workers wait for more when there is no more."""

    def is_exhausted(self, worker: WorkerId) -> bool:
        """Hope."""
        return False


BUGS: tuple[type[WrappedScheduler], ...] = (RequeuesNothing, ExhaustedTooEarly, NeverExhausted)
