"""``worksteal``: shares of equal length with stealing, whatever module or duration the items have."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.schedulers.stealing import StealingScheduler
from pytest_parpool.policy.schedulers.units import Units, single_items


def make_worksteal(plan: Plan, workers: Sequence[WorkerId], *, reorder: bool) -> StealingScheduler:  # noqa: ARG001 - all factories take the same
    """Return the scheduler of ``--dist worksteal``; shares keep plan order, so there is nothing to reorder."""
    return StealingScheduler(Units(single_items(plan), itertools.repeat(1.0, len(plan))), workers)
