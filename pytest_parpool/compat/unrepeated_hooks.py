"""Finds out whether forked workers would repeat one half of what a project makes before its tests, and not the other.

A ``pytest_configure`` that looks at the worker's identity runs again in forked workers (``rerun_plan``). If the same
conftest has a ``pytest_sessionstart`` that does not look, that one does not: it has run in the controller, once, with
what its predecessor had made of no identity. SQLAlchemy's does: the first one keeps the name of the worker's database,
the second opens it. Whether it builds on the first cannot be told, so workers are spawned then.

Installed plugins do not count: they are written for workers, and most of them work with what the controller has made.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from pytest_parpool.compat.rerun_plan import foreign, make_plan, short_name

if TYPE_CHECKING:
    import pytest
    from pluggy import HookImpl

    from pytest_parpool.settings import Settings


def reasons(config: pytest.Config, settings: Settings) -> list[str]:
    """Return why workers should be spawned, each reason to be read behind "because"; empty if a fork would do.

    To be called when everything is collected. Costs next to nothing if no project's own plugin starts sessions.
    """
    own = [start for start in foreign(config, "pytest_sessionstart") if _is_project(start, config)]
    if not own:
        return []
    plan = make_plan(config, settings)
    half = [
        short_name(start, config)
        for start in own
        if start.plugin in plan.plugins("pytest_configure") and start.plugin not in plan.plugins("pytest_sessionstart")
    ]
    return [
        f"pytest_configure of {name!r} looks at a worker's identity, and its pytest_sessionstart, which may use what "
        "comes of that, would not run again in forked ones"
        for name in half
    ]


def _is_project(implementation: HookImpl, config: pytest.Config) -> bool:
    from pytest_parpool.compat.code_places import CodePlaces

    plugin = implementation.plugin
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    file = getattr(module, "__file__", None)
    return file is not None and CodePlaces.of(str(config.rootpath), sys.path).is_project(file)
