"""Keeps Python's garbage collector away from what is collected, imported and shared.

Everything that exists at the fork will be kept until the end. Looking through it again and again costs plain pytest a
part of its time, and in a worker each look would copy the pages it touches. Nor is it worth being freed, one object
after the other, by an interpreter that is about to end: with 10,000 tests that takes as long as to start pytest twice.

Who asks the collector what there is, or who refers to it, would not be told of what is kept from it: Hypothesis, for
one, believes then that nobody else knows the random generators that it is shown. So the first who asks ends it all.
"""

from __future__ import annotations

import atexit
import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

_IS_FROZEN = pytest.StashKey[bool]()

# Those of the collector's functions that do not see what is frozen.
_LOOKS: Final[tuple[Callable[..., list[Any]], ...]] = (gc.get_objects, gc.get_referrers)


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
    """Take all that exists out of the collector's sight, until ``thaw``, or until somebody looks for objects."""
    config.stash[_IS_FROZEN] = True
    gc.freeze()
    for look in _LOOKS:
        if getattr(gc, look.__name__) is look:
            setattr(gc, look.__name__, _thawing(look))


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
        _show_everything()
        atexit.unregister(_leave_cycles)
        atexit.register(_leave_cycles)


def _thawing(look: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Return what a process calls instead that is frozen, or forked from one."""

    @functools.wraps(look)
    def thaw_and_look(*args: object, **kwargs: object) -> list[Any]:
        _show_everything()
        return [found for found in look(*args, **kwargs) if found is not args]  # That refers to what is asked for.

    return thaw_and_look


def _show_everything() -> None:
    """Have the collector and its functions be as ever."""
    gc.unfreeze()
    for look in _LOOKS:
        if getattr(getattr(gc, look.__name__), "__wrapped__", None) is look:
            setattr(gc, look.__name__, look)


def _leave_cycles() -> None:
    """Have the interpreter's end not look for cycles: items and their parents are the largest there are.

    What is in one is not freed then, and its ``__del__`` is not called, which Python does not promise for that time
    (Language Reference, 3.3.1). ``atexit`` and ``weakref.finalize`` do what they always do.
    """
    gc.freeze()
