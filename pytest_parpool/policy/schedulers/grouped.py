"""Whole groups by need from one queue: the engine of ``loadscope`` and ``loadfile``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.policy.schedulers.slots import SlotScheduler


class GroupedScheduler(SlotScheduler):
    """Gives a slot without work the next group that nobody has begun; a begun group never leaves its slot."""

    def __init__(self, keys: Iterable[str], workers: Sequence[WorkerId], *, reorder: bool) -> None:
        """Group the items.

        Args:
            keys: One per item; items with equal keys are a group, wherever in the plan they stand.
            workers: The slots.
            reorder: Begin with the groups of most items (xdist's rule), so that no long one is left for the end;
                else, and among equals, with the groups whose first item comes first.
        """
        by_key: dict[str, list[ItemIndex]] = {}
        for index, key in enumerate(keys):
            by_key.setdefault(key, []).append(ItemIndex(index))
        groups = list(by_key.values())
        if reorder:
            groups.sort(key=len, reverse=True)  # Stays in plan order among equals: sorting is stable, reversed too.
        super().__init__(sum(map(len, groups)), workers)
        self._groups = deque(groups)

    def _peek_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        return self._groups[0] if self._groups else ()

    def _begin_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        return self._groups.popleft()
