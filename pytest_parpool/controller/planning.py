"""Turns collected items into a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from pytest_parpool.model.plan import Plan
from pytest_parpool.model.records import Record, record


@record
class _Scopes(Record):
    file: str
    module: str
    scope: str


def make_plan(items: Sequence[pytest.Item], durations: Mapping[str, float]) -> Plan:
    """Return the plan for items, in their order.

    Args:
        items: Pytest's collected items.
        durations: Seconds by node id, as measured before; not all need be there.
    """
    scopes_of: dict[pytest.Item | pytest.Collector | None, _Scopes] = {}
    scopes: list[_Scopes] = []
    functions: list[str] = []
    for item in items:
        parent = item.parent
        found = scopes_of.get(parent)
        if found is None:
            found = scopes_of[parent] = _scopes(item)
        scopes.append(found)
        name = getattr(item, "originalname", None) or item.name
        functions.append(f"{parent.nodeid if parent is not None else ''}::{name}")
    # Copies: the items' own strings lie among the items, which stay shared with the workers as long as nobody looks.
    nodeids = tuple(_copy(item.nodeid) for item in items)
    return Plan(
        nodeids=nodeids,
        files=tuple(scope.file for scope in scopes),
        modules=tuple(scope.module for scope in scopes),
        scopes=tuple(scope.scope for scope in scopes),
        functions=tuple(functions),
        groups=tuple(_group(item) for item in items),
        durations=tuple(map(durations.get, nodeids)) if durations else (None,) * len(nodeids),
    )


def _copy(text: str) -> str:
    return text[:1] + text[1:]


def _scopes(item: pytest.Item) -> _Scopes:
    """Return the scope keys of an item, from its parents: ``::`` may stand inside a parameter of its node id."""
    file = item.getparent(pytest.File)  # type: ignore[type-abstract]  # mypy wants a class that can be made
    module = file.nodeid if file is not None else str(item.path)
    cls = item.getparent(pytest.Class)
    return _Scopes(file=str(item.path), module=module, scope=cls.nodeid if cls is not None else module)


def _group(item: pytest.Item) -> str | None:
    """Return the name of the group that ``@pytest.mark.xdist_group`` put the item into.

    Of several marks all names together are one, as pytest-xdist has it.
    """
    names = {
        str(mark.args[0] if mark.args else mark.kwargs.get("name", "default"))
        for mark in item.iter_markers("xdist_group")
    }
    return "_".join(sorted(names)) if names else None
