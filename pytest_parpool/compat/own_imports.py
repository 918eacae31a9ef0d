"""Keeps pytest's assertion rewriting away from this package's own modules. Works by being imported, before all others.

Pytest marks every module of a package that brings a plugin for rewriting, as soon as it loads plugins by their entry
points. For some seventy modules without a single assertion that a user should see explained, that costs more time than
importing them: a sixth of the instructions of a run of one test. There is no public word against it, but a finder that
comes first and knows where the modules are is asked first (importlib, ``sys.meta_path``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_PREFIX = __name__.partition(".")[0] + "."


class _OwnFinder:
    """Finds this package's modules in the usual way, and no others."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, path, target) if name.startswith(_PREFIX) else None


sys.meta_path.insert(0, _OwnFinder)
