"""``loadscope``: the tests of one class, or of one module outside of classes, stay on one worker."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.schedulers.grouped import GroupedScheduler


def make_loadscope(plan: Plan, workers: Sequence[WorkerId], *, reorder: bool) -> GroupedScheduler:
    """Return the scheduler of ``--dist loadscope``."""
    return GroupedScheduler(plan.scopes, workers, reorder=reorder)
