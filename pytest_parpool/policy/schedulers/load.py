"""``load``, the default: contiguous shares of like duration, cut between modules where possible, with stealing.

A fixture of module scope is set up once on every worker that runs a part of its module, so a cut inside a module costs
one more set-up, and a cut between two modules costs nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.schedulers.stealing import StealingScheduler
from pytest_parpool.policy.schedulers.units import Units, single_items

MINIMUM_SECONDS = 0.001  # What an item costs that took no measurable time; it keeps weights above 0, too.


def make_load(plan: Plan, workers: Sequence[WorkerId], *, reorder: bool) -> StealingScheduler:  # noqa: ARG001 - all factories take the same
    """Return the scheduler of ``--dist load``; shares keep plan order, so there is nothing to reorder."""
    return StealingScheduler(weighed_units(plan, single_items(plan)), workers)


def weighed_units(plan: Plan, members: Sequence[Sequence[ItemIndex]]) -> Units:
    """Return units that weigh what their items took in the last run, with a border wherever the module changes.

    A unit belongs to the module of its first item.
    """
    seconds = _item_weights(plan)
    weights = [seconds[unit[0]] if len(unit) == 1 else sum(seconds[item] for item in unit) for unit in members]
    modules = [plan.modules[unit[0]] for unit in members]
    changes = map(operator.ne, modules[1:], modules)
    borders = [position for position, is_change in enumerate(changes, 1) if is_change]
    return Units(members, weights, borders)


def _item_weights(plan: Plan) -> list[float]:
    """Return the seconds of every item; one without a measurement counts like the mean of the others, 1 if none has."""
    known = [seconds for seconds in plan.durations if seconds is not None]
    mean = sum(known) / len(known) if known else 1.0
    return [max(mean if seconds is None else seconds, MINIMUM_SECONDS) for seconds in plan.durations]
