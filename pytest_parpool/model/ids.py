"""Names for the two things everybody talks about: a worker's slot and an item's place in the plan."""

from __future__ import annotations

from typing import NewType

WorkerId = NewType("WorkerId", str)
"""A worker's slot, ``gw0`` to ``gwN-1``. A replacement takes the same id, so what is named after it stays bounded."""

ItemIndex = NewType("ItemIndex", int)
"""An item's place in the plan, from 0. Under ``--dist each`` the plan holds every collected item once per worker."""


def worker_ids(count: int) -> tuple[WorkerId, ...]:
    """Return the slots of a pool of ``count`` workers, in order."""
    return tuple(WorkerId(f"gw{number}") for number in range(count))
