"""The schedulers by the names that ``--dist`` takes. A run loads the one that it uses."""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.plan import Plan

if TYPE_CHECKING:
    from typing import Protocol

    from pytest_parpool.policy.schedulers.protocol import Scheduler

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


def _make(mode: str, plan: Plan, workers: Sequence[WorkerId], *, reorder: bool) -> Scheduler:
    """Call ``make_<mode>`` of the module of that name."""
    module = importlib.import_module(f"pytest_parpool.policy.schedulers.{mode}")
    factory: SchedulerFactory = getattr(module, f"make_{mode}")
    return factory(plan, workers, reorder=reorder)


_MODES = ("load", "worksteal", "loadscope", "loadfile", "loadgroup", "each")

SCHEDULERS: Mapping[str, SchedulerFactory] = types.MappingProxyType(
    {mode: functools.partial(_make, mode) for mode in _MODES}
)
"""Every mode of ``--dist`` but ``no``, which needs no scheduler. The contract tests run on each entry."""
