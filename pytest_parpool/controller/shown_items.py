"""What the controller needs of items while others run them, taken before the fork.

The controller shares the items with its workers. To look at one is to count a reference to it, and that is written into
its memory: the page is copied, and each item has one nearly to itself. What reporting needs of all items therefore
stands in blocks of plain values, where nothing is counted. With eight workers on networkx that saves 15 MiB.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from pathlib import Path

import pluggy
import pytest

from pytest_parpool.model.ids import ItemIndex


class ShownItems:
    """The collected items, as far as they are shown. Made before the fork.

    An index may be as large as that of a plan that holds every item once per worker (``--dist each``).

    Args:
        items: Pytest's, in the order of the plan.
        nodeids: Theirs, as the plan has them.
    """

    def __init__(self, items: Sequence[pytest.Item], nodeids: Sequence[str]) -> None:
        self._items = items
        self._text = "".join(nodeids)
        self._ends = array("Q", itertools.accumulate(map(len, nodeids), initial=0))
        self._paths, self._relays = _paths(items)

    def nodeid(self, index: ItemIndex) -> str:
        """Return an item's node id."""
        at = index % len(self._items)
        return self._text[self._ends[at] : self._ends[at + 1]]

    def path(self, index: ItemIndex) -> int:
        """Return the number of the path that an item comes from: the same conftests hold for all items of one."""
        return self._paths[index % len(self._items)]

    def relay(self, path: int) -> pluggy.HookRelay:
        """Return what calls the hooks that hold for the items of a path (``Node.ihook``)."""
        return self._relays[path]

    def item(self, index: ItemIndex) -> pytest.Item:
        """Return the item itself: for what is seldom done."""
        return self._items[index % len(self._items)]


def _paths(items: Sequence[pytest.Item]) -> tuple[array[int], tuple[pluggy.HookRelay, ...]]:
    """Return the number of each item's path, and by number what calls its hooks."""
    numbers: dict[Path, int] = {}
    relays: list[pluggy.HookRelay] = []
    paths: array[int] = array("L")
    path, number = None, 0
    for item in items:
        if item.path is not path:  # As a rule the items of a path stand together, and share it.
            path = item.path
            number = numbers.setdefault(path, len(relays))
            if number == len(relays):
                relays.append(item.ihook)
        paths.append(number)
    return paths, tuple(relays)
