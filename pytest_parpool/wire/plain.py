"""Makes any value one that ``marshal`` takes, changing as little as possible."""

from __future__ import annotations

import marshal
import os
from typing import Any

_dumps = marshal.dumps

# Deeper than any report is, far from what marshal refuses (2,000) and from the recursion limit.
_DEEPEST = 200
_LEAVES = (type(None), bool, int, float, complex, str, bytes)


def dumps(value: Any) -> tuple[bytes, tuple[str, ...]]:
    """Return ``value`` marshalled, and the places whose values had to be turned into text.

    A subclass of a plain type (an enum that is an ``int``, a marked-up ``str``) travels as its plain value, a path as
    its text, a mapping or sequence as ``dict`` or ``list``. What is none of these travels as its ``repr`` and is named.

    Returns:
        The bytes, and one text such as ``user_properties[0][1] (Decimal)`` per value that lost its type.
    """
    try:
        return _dumps(value), ()
    except ValueError:
        places: list[str] = []
        return _dumps(_plain(value, "", 0, places)), tuple(places)


def _plain(value: Any, place: str, depth: int, places: list[str]) -> Any:
    kind = type(value)
    if kind in _LEAVES:
        return value
    if depth < _DEEPEST:
        if isinstance(value, dict):
            return {
                _plain(key, f"{place} key", depth + 1, places): _plain(item, f"{place}.{key}", depth + 1, places)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            items = [_plain(item, f"{place}[{number}]", depth + 1, places) for number, item in enumerate(value)]
            return items if isinstance(value, list) else tuple(items)
        if isinstance(value, (set, frozenset)):
            return kind.__mro__[-2](_plain(item, f"{place} member", depth + 1, places) for item in value)
    for base in (bool, int, float, complex, str, bytes):
        if isinstance(value, base):
            return _base_value(base, value)
    places.append(f"{place.lstrip('.') or 'value'} ({kind.__name__})")
    if isinstance(value, os.PathLike):
        return _text(value, os.fspath)
    return _text(value, repr)


def _base_value(base: type[Any], value: Any) -> Any:
    """Return the plain value of an instance of a subclass, whatever its own conversions say."""
    if base is str:
        return str.__str__(value)
    if base is bytes:
        return bytes.__getitem__(value, slice(None))
    if base is int:
        return int.__int__(value)
    if base is float:
        return float.__float__(value)
    return complex(value.real, value.imag)


def _text(value: object, convert: Any) -> str:
    try:
        return str(convert(value))
    except Exception as error:  # The value is the user's, and so is what its repr raises; the report must arrive.
        return f"<unpresentable {type(value).__name__}: repr raised {type(error).__name__}>"
