"""Checks what users hand to pools, by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["process", "thread"]


def check_whole_number(name: str, value: object, *, least: int) -> int:
    """Return a number that was given.

    Args:
        name: The argument's name, for the message.
        value: What was given.
        least: The smallest number that is allowed.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is too small.
    """
    if not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number >= {least}, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be >= {least}, not {value!r}")
    return value


def check_tasks_per_child(value: object) -> int | None:
    """Return ``maxtasksperchild``; multiprocessing's pool raises ValueError for wrong types, too.

    Raises:
        ValueError: If it is neither None nor a whole number above 0.
    """
    if value is None or (isinstance(value, int) and value >= 1):
        return value
    raise ValueError(f"maxtasksperchild must be a whole number >= 1 or None, not {value!r}")


def check_seconds(name: str, value: object) -> float | None:
    """Return a number of seconds, or None.

    Raises:
        TypeError: If it is neither a number nor None.
        ValueError: If it is not above 0.
    """
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds or None, not {value!r}")
    if not value > 0:
        raise ValueError(f"{name} must be a number of seconds above 0, not {value!r}; None is no limit")
    return float(value)


def check_callable(name: str, value: object) -> None:
    """Refuse what cannot be called.

    Raises:
        TypeError: If it is neither callable nor None.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable, not {value!r}")


def check_function(value: object) -> Callable[..., Any]:
    """Return the function of a task.

    Raises:
        TypeError: If it cannot be called.
    """
    if not callable(value):
        raise TypeError(f"func must be callable, not {value!r}")
    return value


def check_kind(value: object) -> Kind:
    """Return what a pool's workers are.

    Raises:
        ValueError: If it is something else.
    """
    if value not in {"process", "thread"}:
        raise ValueError(f"kind must be 'process' or 'thread', not {value!r}")
    return value


def start_method_of(context: Any) -> str | None:
    """Return the name of a start method.

    Args:
        context: None, a name, or one of multiprocessing's contexts. Workers that ``forkserver`` would start know as
            little of this process as those of ``spawn``, which it stands for here.

    Raises:
        TypeError: If it is something else.
        ValueError: If there is no such start method.
    """
    if context is None:
        return None
    name = context
    if not isinstance(context, str):
        get_start_method = getattr(context, "get_start_method", None)
        if get_start_method is None:
            raise TypeError(f"context must be 'fork', 'spawn' or a multiprocessing context, not {context!r}")
        name = get_start_method()
    if name not in {"fork", "spawn", "forkserver"}:
        raise ValueError(f"context must be 'fork' or 'spawn', not {name!r}")
    if name != "spawn" and sys.platform == "win32":
        raise ValueError(f"context must be 'spawn' on Windows, not {name!r}")
    return "spawn" if name == "forkserver" else str(name)
