"""How tasks and values are named in messages."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pytest_parpool.workload.engine import Job

_MOST_CHARACTERS: Final = 60

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = _MOST_CHARACTERS


def show(value: object) -> str:
    """Return a value's ``repr`` in one short line, whatever the user's ``__repr__`` does."""
    try:
        text = _repr.repr(value)
    except Exception as error:  # noqa: BLE001  -- the user's own, and this is about another
        text = f"<repr raised {type(error).__name__}>"
    return shorten(text)


def shorten(text: str) -> str:
    """Return a text as one short line."""
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def name_of(function: Callable[..., Any]) -> str:
    """Return e.g. ``square``, ``Image.resize`` or ``partial(square)``."""
    name = getattr(function, "__qualname__", None)
    if isinstance(name, str):
        return name
    inner = getattr(function, "func", None)
    return f"{type(function).__name__}({name_of(inner)})" if callable(inner) else show(function)


def describe_call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return e.g. ``resize('a.png', width=100)``."""
    arguments = [show(value) for value in args] + [f"{name}={show(value)}" for name, value in kwargs.items()]
    return f"{name_of(function)}({', '.join(arguments)})"


def describe_job(job: Job, call: int | None = None) -> str:
    """Return what a task does.

    Args:
        job: The task's.
        call: The one call that is meant, from 0, or None for all.
    """
    if call is None and len(job.calls) > 1:
        return f"{describe_call(job.function, *job.calls[0])} and {len(job.calls) - 1} more calls"
    return describe_call(job.function, *job.calls[call or 0])
