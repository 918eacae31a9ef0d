"""What the last run measured, kept in pytest's cache.

Only items that took long are kept: that a test is short is seen from its neighbours at once, and a file with every test
of a large suite would cost more than it saves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

_CACHE_KEY = "parpool/durations"
LONG_SECONDS = 0.02  # below, an item is as good as free to hand out ahead of time


def load(config: pytest.Config) -> dict[str, float]:
    """Return seconds by node id of the items known to take long; empty without pytest's cache."""
    cache: Any = getattr(config, "cache", None)
    if cache is None:
        return {}
    known = cache.get(_CACHE_KEY, {})
    if not isinstance(known, dict):  # Somebody else's file under our name; it is replaced at the end.
        return {}
    return {nodeid: float(seconds) for nodeid, seconds in known.items() if _is_duration(seconds)}


def _is_duration(seconds: object) -> bool:
    return isinstance(seconds, (int, float)) and 0 <= seconds < float("inf")


def save(config: pytest.Config, known: Mapping[str, float], measured: Iterable[tuple[str, float]]) -> None:
    """Keep what was measured now; what did not run keeps what was known."""
    cache: Any = getattr(config, "cache", None)
    if cache is None:
        return
    merged = dict(known)
    for nodeid, seconds in measured:
        if seconds >= LONG_SECONDS:
            merged[nodeid] = round(seconds, 3)
        else:
            merged.pop(nodeid, None)
    if merged != known:
        cache.set(_CACHE_KEY, merged)
