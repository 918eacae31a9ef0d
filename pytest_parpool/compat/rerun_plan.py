"""Decides, before workers are forked, which plugins' hooks are run again in each of them, and what goes for that.

``pytest_configure`` and ``pytest_sessionstart`` have run in the controller when a worker is forked from it, and most
plugins' workers are best served with what these have made. Run again are those that look at the worker's identity
(``aware_hooks``), and in the end of a worker those of their counterparts that do. Pytest's own never are: what they
would have to do is known, and done at its place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_parpool.model.records import Record, record
from pytest_parpool.settings import Settings

if TYPE_CHECKING:
    from pluggy import HookImpl

BEGINNING = ("pytest_configure", "pytest_sessionstart")
END = ("pytest_sessionfinish", "pytest_unconfigure")

# Packages whose workers get on without, because what they would do there is done by us.
_KEPT = {"pytest_cov": "workers go on measuring what the controller measures"}

_VERDICTS = {
    (True, True): "run again",
    (True, False): "inherited",
    (False, True): "run too",
    (False, False): "left out",
}

_OWN = ("_pytest.", "pytest_parpool.", "xdist.")


@record
class Implementation(Record):
    """One plugin's implementation of a hook.

    Attributes:
        plugin: As it is registered.
        function: To be called.
        argnames: Of what the hook offers, what it wants.
    """

    plugin: object
    function: Callable[..., object]
    argnames: tuple[str, ...]

    def call(self, **offered: object) -> None:
        """Call it with what it wants of what is offered."""
        self.function(**{name: offered[name] for name in self.argnames})


@record
class RerunPlan(Record):
    """What is run again in workers.

    Attributes:
        implementations: By the name of the hook, in the order of calls.
        made: Plugins that were registered while such a hook ran in the controller, by the name of the hook. In a worker
            they go before it runs again.
        lines: What to tell a user about all that.
    """

    implementations: dict[str, tuple[Implementation, ...]]
    made: dict[str, tuple[object, ...]]
    lines: tuple[str, ...]

    def plugins(self, hook: str) -> tuple[object, ...]:
        """Return the plugins whose implementation of a hook is run again."""
        return tuple(implementation.plugin for implementation in self.implementations.get(hook, ()))


class Registrations:
    """Which plugins were registered when, so that it is known who made them.

    Args:
        config: Pytest's, before it is configured.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._manager = config.pluginmanager
        self._before_configure = self._manager.get_plugins()
        self._before_sessionstart = self._before_configure

    def session_starts(self) -> None:
        """Note those that are there when the session starts."""
        self._before_sessionstart = self._manager.get_plugins()

    def made_in(self, hook: str, plugin: object) -> Iterator[object]:
        """Yield the plugins that were registered by an implementation of a hook, as far as can be seen.

        That is by whose they are and when they came. Modules are nobody's: they would not come again.
        """
        from pytest_parpool.compat.aware_hooks import package_of

        package = package_of(_module_of(plugin))
        terminal = self._manager.get_plugin("terminalreporter")
        # A conftest that was found while pytest collected was configured then.
        is_late = plugin not in self._before_sessionstart
        for made in self._manager.get_plugins():
            if made is plugin or made is terminal or isinstance(made, ModuleType) or made in self._before_configure:
                continue
            came_at_configure = made in self._before_sessionstart or is_late
            if came_at_configure == (hook == "pytest_configure") and package_of(_module_of(made)) == package:
                yield made


REGISTRATIONS = pytest.StashKey[Registrations]()
"""There in a run with workers, once the command line was checked."""


def make_plan(config: pytest.Config, settings: Settings) -> RerunPlan:
    """Return what is run again in workers.

    Costs next to nothing if there are no plugins but pytest's own.
    """
    found = [(hook, impl) for hook in (*BEGINNING, *END) for impl in foreign(config, hook)]
    if not found:
        return RerunPlan({}, {}, _heading(has_reruns=False) if settings.explain_workers else ())
    kept = {name: type(value) for name, value in vars(config).items()}
    registrations = config.stash[REGISTRATIONS]
    implementations: dict[str, tuple[Implementation, ...]] = {}
    made: dict[str, tuple[object, ...]] = {}
    explanations: list[str] = []
    for hook, impl in found:
        names = _names(impl, config)
        if names & set(settings.keep_hooks):
            mark, reason = None, "parpool_keep_hooks names it"
        elif names & set(settings.rerun_hooks):
            mark = reason = "parpool_rerun_hooks names it"
        elif done := names & _KEPT.keys():
            mark, reason = None, _KEPT[done.pop()]
        else:
            from pytest_parpool.compat.aware_hooks import find_mark

            mark = find_mark(impl.function, kept)
            reason = f"it {mark}" if mark else "nothing in it looks at the worker's identity"
        verdict = _VERDICTS[hook in BEGINNING, mark is not None]
        explanations.append(f"  {verdict}: {hook} of {short_name(impl, config)!r}, because {reason}")
        if not mark:
            continue
        implementations[hook] = (
            *implementations.get(hook, ()),
            Implementation(impl.plugin, impl.function, tuple(impl.argnames)),
        )
        if hook in BEGINNING:
            new = [plugin for plugin in registrations.made_in(hook, impl.plugin) if plugin not in made.get(hook, ())]
            made[hook] = (*made.get(hook, ()), *new)
            explanations += [f"  dropped: {_type_name(plugin)!r}, which was made there" for plugin in new]
    lines = (*_heading(has_reruns=bool(implementations)), *explanations) if settings.explain_workers else ()
    return RerunPlan(implementations, made, lines)


def foreign(config: pytest.Config, hook: str) -> Iterator[HookImpl]:
    """Yield the implementations of a hook that are not pytest's or ours, in the order of calls."""
    caller: Any = getattr(config.hook, hook)
    for impl in reversed(caller.get_hookimpls()):
        if not (getattr(impl.function, "__module__", None) or "").startswith(_OWN):
            yield impl


def _names(impl: HookImpl, config: pytest.Config) -> set[str]:
    """Return all names by which an ini setting may mean a plugin."""
    module = _module_of(impl.plugin)
    return {impl.plugin_name, short_name(impl, config), module, module.partition(".")[0], _type_name(impl.plugin)}


def short_name(impl: HookImpl, config: pytest.Config) -> str:
    """Return a plugin's name as a user knows it: a conftest's is its path in the project."""
    name = impl.plugin_name
    if os.path.isabs(name):
        return os.path.relpath(name, config.rootpath)
    # One that was registered without a name has a number, which is another one in the next run.
    return _type_name(impl.plugin) if name.isdecimal() else name


def _module_of(plugin: object) -> str:
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    return str((plugin if isinstance(plugin, type) else type(plugin)).__module__)


def _type_name(plugin: object) -> str:
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    cls = plugin if isinstance(plugin, type) else type(plugin)
    return f"{cls.__module__}.{cls.__qualname__}"


def _heading(*, has_reruns: bool) -> tuple[str, ...]:
    begin = "what plugins do at a worker's birth and end" if has_reruns else "workers run no plugin's hooks again"
    return (
        begin,
        "  inherited: everything that pytest itself has configured",
        "  dropped: the controller's session and the report of --junitxml; the terminal reporter writes nowhere",
    )
