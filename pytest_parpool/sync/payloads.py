"""Users' values to payloads, which the broker keeps without understanding them, and back."""

from __future__ import annotations

import pickle
from typing import Any, Final

from pytest_parpool.model.sync_requests import Payload
from pytest_parpool.sync.errors import UnpicklableError

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_dumps = pickle.dumps
_loads = pickle.loads

# Not their subclasses: an enum's member has to come back as one.
_PLAIN_TYPES: Final = frozenset({int, float, str, bytes, bool, type(None)})
_MOST_CHARACTERS: Final = 200


def pack(value: object, owner: str) -> Payload:
    """Return a value's payload.

    Args:
        value: Anything that can be pickled.
        owner: The object that it is for, as "queue 'jobs'", for the message.

    Raises:
        UnpicklableError: If it cannot be.
    """
    if type(value) in _PLAIN_TYPES:
        return "plain", value
    try:
        return "pickle", _dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise UnpicklableError(
            f"{_show(value)} of type '{type(value).__qualname__}' cannot be pickled, so that {owner} cannot hand it to "
            f"other processes: {type(error).__name__}: {error}"
        ) from error


def unpack(payload: Payload) -> Any:
    """Return a payload's value: a new one each time, unless it is plain.

    Raises:
        Exception: Whatever a class's own unpickling raises.
    """
    kind, value = payload
    return value if kind == "plain" else _loads(value)


def pack_failure(error: BaseException) -> Payload:
    """Return an exception's payload; if it does not survive pickling, that of a RuntimeError with its text."""
    try:
        data = _dumps(error, pickle.HIGHEST_PROTOCOL)
        if type(_loads(data)) is type(error):
            return "pickle", data
    except Exception:  # noqa: BLE001  -- handed over below: pickling runs the user's code, which may raise anything
        pass
    return "pickle", _dumps(RuntimeError(f"{type(error).__name__}: {error}"), pickle.HIGHEST_PROTOCOL)


def _show(value: object) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  -- the user's own, and this is about another
        text = f"<repr raised {type(error).__name__}>"
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."
