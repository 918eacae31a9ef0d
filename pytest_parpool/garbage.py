"""Keeps Python's garbage collector away from what is collected, imported and shared.

Everything that exists at the fork will be kept until the end. Looking through it again and again costs plain pytest a
part of its time, and in a worker each look would copy the pages it touches. Nor is it worth being freed, one object
after the other, by an interpreter that is about to end: with 10,000 tests that takes as long as to start pytest twice.

Who asks the collector what there is, or who refers to it, would not be told of what is kept from it: Hypothesis, for
one, believes then that nobody else knows the random generators that it is shown. So the first who asks ends it all.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

_IS_FROZEN = pytest.StashKey[bool]()

# Those of the collector's functions that do not see what is frozen.
_LOOKS: Final = {"get_objects": gc.get_objects, "get_referrers": gc.get_referrers}


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
    _watch_for_looks()


def is_frozen(config: pytest.Config) -> bool:
    """Whether what was collected was taken out of the collector's sight; whoever has looked since may see it again."""
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


def _watch_for_looks() -> None:
    """Have the functions that look for objects not be there until they are asked for (``gc.__getattr__``, PEP 562).

    Others in their place would be seen: the call of a Python function makes its caller a referrer, one of C does not.
    """
    functions = vars(gc)
    if "__getattr__" in functions or any(functions.get(name) is not look for name, look in _LOOKS.items()):
        return  # Somebody else has done something about them.
    for name in _LOOKS:
        del functions[name]
    functions["__getattr__"] = _find_look


def _find_look(name: str) -> object:
    if name not in _LOOKS:
        raise AttributeError(f"module 'gc' has no attribute {name!r}")
    _show_everything()
    return _LOOKS[name]


def _show_everything() -> None:
    """Have the collector and its functions be as ever."""
    gc.unfreeze()
    functions = vars(gc)
    if functions.get("__getattr__") is _find_look:
        # In this order, for other threads: there is always one way to find them.
        for name, look in _LOOKS.items():
            functions.setdefault(name, look)
        functions.pop("__getattr__", None)


def _leave_cycles() -> None:
    """Have the interpreter's end not look for cycles: items and their parents are the largest there are.

    What is in one is not freed then, and its ``__del__`` is not called, which Python does not promise for that time
    (Language Reference, 3.3.1). ``atexit`` and ``weakref.finalize`` do what they always do.
    """
    gc.freeze()
