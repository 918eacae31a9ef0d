"""Plans for tests: as little as the test needs to say, all else made up."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pytest_parpool.model.plan import Plan


def make_plan(
    modules: Sequence[str],
    *,
    files: Sequence[str] | None = None,
    scopes: Sequence[str] | None = None,
    functions: Sequence[str] | None = None,
    groups: Sequence[str | None] | None = None,
    durations: Sequence[float | None] | None = None,
) -> Plan:
    """Return a plan with one item per entry of ``modules``.

    Without more said, a module is a file and a scope of its own, each item is its own function, and no item has a
    group or a known duration. Every column given must be as long as ``modules``.
    """
    size = len(modules)
    nodeids = tuple(f"{module}.py::test_{index}" for index, module in enumerate(modules))
    plan = Plan(
        nodeids=nodeids,
        files=tuple(modules if files is None else files),
        modules=tuple(modules),
        scopes=tuple(modules if scopes is None else scopes),
        functions=tuple(nodeids if functions is None else functions),
        groups=(None,) * size if groups is None else tuple(groups),
        durations=(None,) * size if durations is None else tuple(durations),
    )
    columns = (plan.files, plan.scopes, plan.functions, plan.groups, plan.durations)
    assert all(len(column) == size for column in columns), "a column is not as long as 'modules'"
    return plan


def plan_of(*sizes: int) -> Plan:
    """Return a plan of modules ``m0``, ``m1``, ... with this many items each."""
    return make_plan([f"m{number}" for number, size in enumerate(sizes) for _ in range(size)])


def random_plan(source: random.Random, *, max_size: int = 40) -> Plan:
    """Return a plan in which everything varies: also modules, classes and groups whose items are not neighbours."""
    size = source.randint(0, max_size)
    modules = [f"m{source.randint(0, 5)}" for _ in range(size)]
    if source.random() < 0.7:
        modules.sort()
    group_names = [None, None, *(f"g{number}" for number in range(source.randint(0, 4)))]
    duration_choices = [None, 0.0, 0.001, 0.1, 1.0, 30.0][: source.randint(1, 6)]
    return make_plan(
        modules,
        scopes=[f"{module}::C{source.randint(0, 2)}" for module in modules],
        functions=[f"{module}::test_{source.randint(0, 9)}" for module in modules],
        groups=[source.choice(group_names) for _ in range(size)],
        durations=[source.choice(duration_choices) for _ in range(size)],
    )
