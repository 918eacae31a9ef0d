"""What the controller shows of items that others run."""

from __future__ import annotations

import pytest

from pytest_parpool.controller.shown_items import ShownItems
from pytest_parpool.model.ids import ItemIndex


def test_items_are_named_without_being_looked_at(pytester: pytest.Pytester) -> None:
    """Node id and parent are taken before the fork."""
    pytester.makepyfile("def test_a(): pass\nclass TestB:\n    def test_c(self): pass\n")
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    nodeids, parents = [item.nodeid for item in items], [item.parent for item in items]
    shown = ShownItems(items, nodeids)
    items[:] = [None, None]  # type: ignore[list-item]
    assert [shown.nodeid(ItemIndex(index)) for index in range(2)] == nodeids
    assert [shown.parent(ItemIndex(index)) for index in range(2)] == parents


def test_a_plan_may_hold_every_item_once_per_worker(pytester: pytest.Pytester) -> None:
    """Then its copies are one item."""
    pytester.makepyfile("def test_a(): pass\ndef test_b(): pass\n")
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    shown = ShownItems(items, [item.nodeid for item in items])
    assert [shown.item(ItemIndex(index)) for index in range(6)] == list(items) * 3
    assert shown.nodeid(ItemIndex(5)) == items[1].nodeid
    assert shown.parent(ItemIndex(4)) is items[0].parent
