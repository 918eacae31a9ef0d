"""pytest-xdist, installed beside us: both define ``-n``, and one must have it.

It is ours, whichever entry point pytest loads first; ``-p no:parpool`` gives it back.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

_OTHER_NAMES = ("xdist.looponfail", "xdist.plugin")


def take_over(pluginmanager: pytest.PytestPluginManager, stand_in: ModuleType) -> bool:
    """Keep pytest-xdist's plugins out, and return whether any had been loaded already.

    Args:
        pluginmanager: Pytest's.
        stand_in: Registered as ``xdist``, because many plugins ask ``hasplugin("xdist")``.
    """
    loaded = [plugin for name in ("xdist", *_OTHER_NAMES) if (plugin := pluginmanager.get_plugin(name)) is not None]
    for plugin in loaded:
        pluginmanager.unregister(plugin)
    for name in _OTHER_NAMES:
        pluginmanager.set_blocked(name)
    if not pluginmanager.is_blocked("xdist"):
        pluginmanager.register(stand_in, "xdist")
    return bool(loaded)


def is_installed() -> bool:
    """Whether pytest-xdist is there to be loaded."""
    return importlib.util.find_spec("xdist") is not None
