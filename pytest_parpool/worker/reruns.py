"""Runs hooks again in a worker: at its birth those that look at who they run in, at its end their counterparts."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from pytest_parpool.compat import pytest_internals
from pytest_parpool.compat.rerun_plan import RerunPlan


class Reruns:
    """What plugins do at this worker's birth and end. Used in this order, each once.

    Args:
        session: Pytest's.
        plan: What the controller decided.
    """

    def __init__(self, session: pytest.Session, plan: RerunPlan) -> None:
        self._session = session
        self._config = session.config
        self._plan = plan
        self._new: frozenset[object] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self._plan.implementations

    def begin(self) -> None:
        """Configure what is to be configured, and start the session there.

        Raises:
            BaseException: What the plugins raise.
        """
        if not any(hook in self._plan.implementations for hook in ("pytest_configure", "pytest_sessionstart")):
            return
        config, manager = self._config, self._config.pluginmanager
        # What they warn of, the controller has shown.
        with _repeatable_registration(manager), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._drop(self._plan.made.get("pytest_configure", ()))
            before = manager.get_plugins()
            for implementation in self._plan.implementations.get("pytest_configure", ()):
                implementation.call(config=config)
            self._drop(self._plan.made.get("pytest_sessionstart", ()))
            self._new = frozenset(manager.get_plugins() - before)
            self._call("pytest_sessionstart", session=self._session)
            self._new = frozenset(manager.get_plugins() - before)
        pytest_internals.forget_recorded_warnings(config)

    def finish(self, exitstatus: int) -> None:
        """End the session there, and undo what was configured there.

        Raises:
            BaseException: What the plugins raise.
        """
        self._call("pytest_sessionfinish", session=self._session, exitstatus=exitstatus)
        self._call("pytest_unconfigure", config=self._config)

    def _call(self, hook: str, **offered: object) -> None:
        """Call a hook of the plugins that are in the plan, and of those that have come since."""
        manager: Any = self._config.pluginmanager
        wanted = {*self._plan.plugins(hook), *self._new}
        if any(hasattr(plugin, hook) for plugin in wanted):
            wanted.update(pytest_internals.wrappers_around(hook, self._config))
            others = [plugin for plugin in manager.get_plugins() if plugin not in wanted]
            manager.subset_hook_caller(hook, others)(**offered)

    def _drop(self, plugins: tuple[object, ...]) -> None:
        for plugin in plugins:
            if self._config.pluginmanager.is_registered(plugin):
                self._config.pluginmanager.unregister(plugin)


@contextlib.contextmanager
def _repeatable_registration(manager: Any) -> Iterator[None]:
    """Have hook specifications and modules that are registered a second time be taken for what they are: known."""
    add_hookspecs, register = manager.add_hookspecs, manager.register

    def add_new_hookspecs(namespace: object) -> None:
        specs = [getattr(caller, "spec", None) for caller in vars(manager.hook).values()]
        if not any(spec is not None and spec.namespace is namespace for spec in specs):
            add_hookspecs(namespace)

    def register_new(plugin: object, name: str | None = None) -> str | None:
        if isinstance(plugin, ModuleType) and manager.is_registered(plugin):
            return None
        registered: str | None = register(plugin, name)
        return registered

    manager.add_hookspecs, manager.register = add_new_hookspecs, register_new
    try:
        yield
    finally:
        del manager.add_hookspecs, manager.register
