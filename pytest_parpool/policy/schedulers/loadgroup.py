"""``loadgroup``: the items of one ``xdist_group`` stay on one worker, all others behave as under ``load``."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.schedulers.load import weighed_units
from pytest_parpool.policy.schedulers.stealing import StealingScheduler


def make_loadgroup(plan: Plan, workers: Sequence[WorkerId], *, reorder: bool) -> StealingScheduler:  # noqa: ARG001 - all factories take the same
    """Return the scheduler of ``--dist loadgroup``; a group runs where its first item stands, whatever ``reorder``."""
    return StealingScheduler(weighed_units(plan, _group_members(plan)), workers)


def _group_members(plan: Plan) -> list[list[ItemIndex]]:
    """Return groups at the place of their first item, and items without a group as units of their own."""
    members: list[list[ItemIndex]] = []
    groups: dict[str, list[ItemIndex]] = {}
    for index, name in enumerate(plan.groups):
        unit = [] if name is None else groups.setdefault(name, [])
        if not unit:
            members.append(unit)
        unit.append(ItemIndex(index))
    return members
