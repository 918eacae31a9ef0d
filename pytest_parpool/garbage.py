"""Keeps Python's garbage collector away from what is collected, imported and shared.

Everything that exists at the fork will be kept until the end. Looking through it again and again costs plain pytest a
part of its time, and in a worker each look would copy the pages it touches. Nor is it worth being freed, one object
after the other, by an interpreter that is about to end: with 10,000 tests that takes as long as to start pytest twice.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_IS_FROZEN = pytest.StashKey[bool]()


@contextmanager
def kept_out(config: pytest.Config) -> Iterator[None]:
    """Collect nothing meanwhile, for the time in which pytest's items are made; then ``freeze`` what there is.

    Frozen before the collector runs again: what little garbage there is (imports and pytest leave cycles) lies between
    objects that stay. Freed, it would leave holes all over the pages that workers share, and what their tests need for
    a moment would be put there, and copy them. With eight workers on networkx that made a tenth of all memory.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        freeze(config)
    finally:
        if was_enabled:
            gc.enable()


def freeze(config: pytest.Config) -> None:
    """Take all that exists out of the collector's sight, until ``thaw``."""
    config.stash[_IS_FROZEN] = True
    gc.freeze()


def is_frozen(config: pytest.Config) -> bool:
    """Whether what was collected is out of the collector's sight."""
    return config.stash.get(_IS_FROZEN, False)


def thaw(config: pytest.Config) -> None:
    """Undo ``freeze``, if it was done, until the interpreter ends.

    To be registered as a cleanup before pytest's own are: they run last to first, and pytest's check for unraisable
    exceptions makes five full collections.
    """
    if is_frozen(config):
        config.stash[_IS_FROZEN] = False
        gc.unfreeze()
        atexit.unregister(_leave_cycles)
        atexit.register(_leave_cycles)


def _leave_cycles() -> None:
    """Have the interpreter's end not look for cycles: items and their parents are the largest there are.

    What is in one is not freed then, and its ``__del__`` is not called, which Python does not promise for that time
    (Language Reference, 3.3.1). ``atexit`` and ``weakref.finalize`` do what they always do.
    """
    gc.freeze()
