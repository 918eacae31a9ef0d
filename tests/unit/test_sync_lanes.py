"""Lanes: each thread, and each task, is one of its own."""

from __future__ import annotations

import asyncio
import sys
import types

import pytest

from pytest_parpool.sync.lanes import lane_of, running_task
from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.party import Party
from pytest_parpool.sync.services import SystemService


def test_tasks_have_lanes_of_their_own() -> None:
    """A task keeps its number; neither another task nor its thread has it."""
    connections = Party(SystemService("unit", 1), "gw0").connections

    async def lanes() -> tuple[int, int]:
        first = connections.lane()
        await asyncio.sleep(0)
        return first, connections.lane()

    async def main() -> list[tuple[int, int]]:
        return [await lanes(), *await asyncio.gather(lanes(), lanes())]

    seen = asyncio.run(main())
    assert all(first == second for first, second in seen)
    assert len({first for first, _ in seen} | {connections.lane()}) == 4
    assert connections.lane() == connections.lane()


def test_callbacks_of_a_loop_are_their_threads() -> None:
    """Where no task runs, the thread asks."""

    async def main() -> tuple[int, bool]:
        task = running_task()
        assert task is not None
        seen: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: seen.set_result(running_task() is None))
        return lane_of(task), await seen

    assert running_task() is None
    lane, is_none = asyncio.run(main())
    assert lane > 0
    assert is_none


@pytest.mark.parametrize("module", [None, types.ModuleType("asyncio")])
def test_without_asyncio(monkeypatch: pytest.MonkeyPatch, module: types.ModuleType | None) -> None:
    """Where it is not imported, or half of it is, there are no tasks."""
    monkeypatch.setitem(sys.modules, "asyncio", module)
    assert running_task() is None


@pytest.mark.parametrize("kind", ["rwlock", "condition", "dict"])
@pytest.mark.parametrize("name", ["", None, 5])
def test_names_are_texts(kind: str, name: object) -> None:
    """Anything else is refused where it is given, and the message names the argument."""
    objects = SharedObjects(Party(SystemService("unit", 1), "gw0"))
    with pytest.raises(ValueError, match=r"^name: .* is not allowed"):
        getattr(objects, kind)(name)
