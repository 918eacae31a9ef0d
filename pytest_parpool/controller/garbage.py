"""Keeps Python's garbage collector away from what is collected, imported and shared.

Everything that exists at the fork will be kept until the end. Looking through it again and again costs plain pytest a
part of its time, and in a worker each look would copy the pages it touches.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_IS_FROZEN = pytest.StashKey[bool]()


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing meanwhile; for the time in which pytest's items are made, of which none is garbage."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def freeze(config: pytest.Config) -> None:
    """Take all that exists out of the collector's sight, until ``thaw``."""
    config.stash[_IS_FROZEN] = True
    gc.freeze()


def thaw(config: pytest.Config) -> None:
    """Undo ``freeze``, if it was done.

    To be registered as a cleanup before pytest's own are: they run last to first, and pytest's check for unraisable
    exceptions makes five full collections.
    """
    if config.stash.get(_IS_FROZEN, False):
        config.stash[_IS_FROZEN] = False
        gc.unfreeze()
