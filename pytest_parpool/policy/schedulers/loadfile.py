"""``loadfile``: the tests of one file stay on one worker."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.schedulers.grouped import GroupedScheduler


def make_loadfile(plan: Plan, workers: Sequence[WorkerId], *, reorder: bool) -> GroupedScheduler:
    """Return the scheduler of ``--dist loadfile``."""
    return GroupedScheduler(plan.files, workers, reorder=reorder)
