"""Finds the value that cannot be pickled, somewhere inside of what was to be sent, and says what to do about it."""

from __future__ import annotations

import functools
import pickle
import types
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_parpool.model.records import Record, record
from pytest_parpool.workload.descriptions import name_of, show
from pytest_parpool.workload.engine import Job

# A message about something deeper helps nobody.
_DEEPEST: Final = 20
_EXTRA: Final = 'or install the extra that can send it: pip install "pytest-parpool[cloudpickle]"'


@record
class _Culprit(Record):
    """A value that cannot be pickled, none of whose members is to blame.

    Attributes:
        value: It.
        place: Where it is, e.g. ``['lock'].owner``; empty for the whole value itself.
        error: What pickle raised for it.
    """

    value: Any
    place: str
    error: Exception


def explain_job(job: Job, error: Exception) -> str:
    """Say which function or argument of a job cannot be pickled.

    Args:
        job: The job.
        error: What pickle raised for the whole.
    """
    for value, place in _parts_of(job):
        culprit = _find(value, "", 0)
        if culprit is not None:
            owner = name_of(job.function)
            owner = f"{place} of {owner}" if place else owner if culprit.place else ""
            return _explain(culprit, owner, "to a worker process")
    return f"the task {name_of(job.function)} cannot be sent to a worker process: {type(error).__name__}: {error}"


def explain_result(value: object, error: Exception) -> str:
    """Say what in a result cannot be pickled.

    Args:
        value: The result.
        error: What pickle raised for it.
    """
    culprit = _find(value, "", 0) or _Culprit(value, "", error)
    return _explain(culprit, "the task's result", "back from the worker process")


def _parts_of(job: Job) -> Iterator[tuple[Any, str]]:
    yield job.function, ""
    for number, (args, kwargs) in enumerate(job.calls):
        of_call = f" in call {number}" if job.is_chunk and len(job.calls) > 1 else ""
        for position, value in enumerate(args, 1):
            yield value, f"argument {position}{of_call}"
        for name, value in kwargs.items():
            yield value, f"argument '{name}'{of_call}"


def _explain(culprit: _Culprit, owner: str, way: str) -> str:
    value, place = culprit.value, culprit.place
    where = f"{place} of {owner}" if place and owner else place or owner
    where = f"{where}: " if where else ""
    reason = f"{type(culprit.error).__name__}: {culprit.error}"
    if isinstance(value, types.FunctionType | type):
        text = f"{where}{_kind_of(value)} cannot be sent {way}; define it with a name at the top of a module"
        return f"{text} ({reason})" if _has_cloudpickle() else f"{text}, {_EXTRA} ({reason})"
    kind = type(value)
    text = f"{where}{show(value)} of type '{kind.__qualname__}' cannot be sent {way}: {reason}"
    if "<locals>" in kind.__qualname__ and not _has_cloudpickle():
        text += f"; move the class to the top of a module, {_EXTRA}"
    return text


def _kind_of(value: Any) -> str:
    """Return e.g. ``the lambda at jobs.py:12``."""
    noun = "class" if isinstance(value, type) else "function"
    code = getattr(value, "__code__", None)
    at = f" at {code.co_filename}:{code.co_firstlineno}" if code else ""
    name = value.__qualname__
    if value.__name__ == "<lambda>":
        return f"the lambda{at}"
    if "<locals>" in name:
        outer, _, inner = name.rpartition(".<locals>.")
        return f"the {noun} '{inner}'{at}, which was defined inside of '{outer}',"
    return f"the {noun} '{value.__module__}.{name}'{at}"


def _has_cloudpickle() -> bool:
    from pytest_parpool.workload.pickling import find_cloudpickle

    return find_cloudpickle() is not None


def _find(value: Any, place: str, depth: int) -> _Culprit | None:
    """Return the innermost culprit, or None if the value can be pickled."""
    try:
        pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except RecursionError as error:
        return _Culprit(value, place, error)  # Going deeper would end the same way.
    except Exception as error:  # noqa: BLE001  -- reported: pickling runs the user's code, which may raise anything
        if depth < _DEEPEST:
            for member, name in _members_of(value):
                culprit = _find(member, f"{place}{name}", depth + 1)
                if culprit is not None:
                    return culprit
        return _Culprit(value, place, error)
    return None


def _members_of(value: Any) -> Iterator[tuple[Any, str]]:
    """Yield what a value's pickle is made of, each with how it is reached."""
    if isinstance(value, types.FunctionType | type | types.ModuleType):
        return
    if isinstance(value, functools.partial):
        yield value.func, ".func"
        yield from ((member, f".args[{index}]") for index, member in enumerate(value.args))
        yield from ((member, f".keywords[{name!r}]") for name, member in value.keywords.items())
    elif isinstance(value, types.MethodType):
        yield value.__self__, ".__self__"
    elif isinstance(value, tuple) or type(value) in {list, set, frozenset, deque}:
        yield from ((member, f"[{index}]") for index, member in enumerate(value))
    elif type(value) is dict:
        for key, member in value.items():
            yield key, f"[{show(key)}]"
            yield member, f"[{show(key)}]"
    else:
        yield from _state_of(value)


def _state_of(value: Any) -> Iterator[tuple[Any, str]]:
    """Yield the attributes of an object, and what else its ``__reduce_ex__`` names."""
    try:
        reduced = value.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001  -- then the value itself is the culprit, and what it raised is known
        return
    if not isinstance(reduced, tuple):
        return
    state = reduced[2] if len(reduced) > 2 else None  # noqa: PLR2004  -- object.__reduce__: function, arguments, state
    for attributes in state if isinstance(state, tuple) else (state,):
        if isinstance(attributes, Mapping):
            yield from ((member, f".{name}") for name, member in attributes.items())
    yield type(value), ".__class__"
    yield from ((member, "") for member in reduced[1] if not isinstance(member, type))
    for members in reduced[3:5]:  # Members of subclasses of list and dict.
        yield from ((member, f"[{index}]") for index, member in enumerate(members or ()))
