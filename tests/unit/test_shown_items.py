"""What the controller shows of items that others run."""

from __future__ import annotations

import pytest

from pytest_parpool.controller.shown_items import ShownItems
from pytest_parpool.model.ids import ItemIndex


def test_items_are_shown_without_being_looked_at(pytester: pytest.Pytester) -> None:
    """Node ids and what calls an item's hooks are taken before the fork."""
    pytester.makepyfile("def test_a(): pass\nclass TestB:\n    def test_c(self): pass\n")
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    nodeids, relay = [item.nodeid for item in items], items[0].config.hook
    shown = ShownItems(items, nodeids)
    items[:] = [None, None]  # type: ignore[list-item]
    for index, nodeid in enumerate(nodeids):
        assert shown.nodeid(ItemIndex(index)) == nodeid
        assert shown.relay(shown.path(ItemIndex(index))) is relay


def test_items_of_a_path_have_one_number(pytester: pytest.Pytester) -> None:
    """Also if those of another stand between them; and the conftests of its directory alone are called."""
    for directory in ("one", "two"):
        path = pytester.mkpydir(directory)
        path.joinpath("conftest.py").write_text("def pytest_runtest_logreport(report): pass\n", encoding="utf-8")
        path.joinpath(f"test_{directory}.py").write_text("def test_a(): pass\ndef test_b(): pass\n", encoding="utf-8")
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    mixed = [items[index] for index in (0, 2, 1, 3)]
    shown = ShownItems(mixed, [item.nodeid for item in mixed])
    paths = [shown.path(ItemIndex(index)) for index in range(4)]
    assert paths[0] == paths[2] != paths[1] == paths[3]
    for index, directory in enumerate(("one", "two")):
        implementations = shown.relay(paths[index]).pytest_runtest_logreport.get_hookimpls()
        conftests = {impl.plugin_name for impl in implementations if "conftest" in impl.plugin_name}
        assert [str(pytester.path / directory / "conftest.py")] == sorted(conftests)


def test_node_ids_may_hold_any_character(pytester: pytest.Pytester) -> None:
    """They are cut out of one text again."""
    pytester.makepyfile("def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n")
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    nodeids = ["", "\N{SNOWMAN}::\ud800", "c"]
    shown = ShownItems(items, nodeids)
    assert [shown.nodeid(ItemIndex(index)) for index in range(3)] == nodeids


def test_a_plan_may_hold_every_item_once_per_worker(pytester: pytest.Pytester) -> None:
    """Then its copies are one item."""
    pytester.makepyfile("def test_a(): pass\ndef test_b(): pass\n")
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    shown = ShownItems(items, [item.nodeid for item in items])
    assert [shown.item(ItemIndex(index)) for index in range(6)] == list(items) * 3
    assert shown.nodeid(ItemIndex(5)) == items[1].nodeid
    assert shown.path(ItemIndex(4)) == shown.path(ItemIndex(0))
