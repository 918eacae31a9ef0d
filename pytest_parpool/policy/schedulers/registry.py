"""The schedulers by the names that ``--dist`` takes."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.schedulers.each import make_each
from pytest_parpool.policy.schedulers.load import make_load
from pytest_parpool.policy.schedulers.loadfile import make_loadfile
from pytest_parpool.policy.schedulers.loadgroup import make_loadgroup
from pytest_parpool.policy.schedulers.loadscope import make_loadscope
from pytest_parpool.policy.schedulers.protocol import Scheduler
from pytest_parpool.policy.schedulers.worksteal import make_worksteal

if TYPE_CHECKING:
    from typing import Protocol

    class SchedulerFactory(Protocol):
        """Makes the scheduler of one run."""

        def __call__(self, plan: Plan, workers: Sequence[WorkerId], *, reorder: bool) -> Scheduler:
            """Return a scheduler that owns every item of the plan.

            Args:
                plan: All items; under ``each``, repeated once per worker.
                workers: All slots there will ever be, at least one.
                reorder: Whether whole groups may leave plan order, the largest first (``--loadscope-reorder``).
            """
            ...


SCHEDULERS: Mapping[str, SchedulerFactory] = types.MappingProxyType(
    {
        "load": make_load,
        "worksteal": make_worksteal,
        "loadscope": make_loadscope,
        "loadfile": make_loadfile,
        "loadgroup": make_loadgroup,
        "each": make_each,
    }
)
"""Every mode of ``--dist`` but ``no``, which needs no scheduler. The contract tests run on each entry."""
