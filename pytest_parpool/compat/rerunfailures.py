"""pytest-rerunfailures in a worker: it reports the attempts that failed only if it trusts the parallel runner."""

from __future__ import annotations

import sys
from typing import Any

PACKAGE = "pytest_rerunfailures"


def adapt() -> None:
    """Have it know that a report more of a test does no harm here.

    It looks for a pytest-xdist of 1.20 or later, because earlier ones took the first failed attempt for the end of the
    test, and keeps attempts to itself if it finds none at all.
    """
    plugin: Any = sys.modules[PACKAGE]
    if hasattr(plugin, "works_with_current_xdist"):
        plugin.works_with_current_xdist = _works


def _works() -> bool:
    return True
