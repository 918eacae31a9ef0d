"""Makes any value one that ``marshal`` takes, changing as little as possible."""

from __future__ import annotations

import marshal
import os
from typing import Any

_dumps = marshal.dumps

# Deeper than any report is, far from what marshal refuses (2,000) and from the recursion limit.
_DEEPEST = 200
_LEAVES = frozenset({type(None), bool, int, float, complex, str, bytes})
_BASES = (int, float, complex, str, bytes)


def dumps(value: Any) -> tuple[bytes, tuple[str, ...]]:
    """Return ``value`` marshalled, and the places whose values had to be turned into text.

    A subclass of a plain type (an enum that is an ``int``, a marked-up ``str``) travels as its plain value, a path as
    its text, a mapping or sequence as ``dict`` or ``list``. What is none of these travels as its ``repr`` and is named.

    Returns:
        The bytes, and one text such as ``user_properties[0][1] (Decimal)`` per value that lost its type.
    """
    if _is_plain(value, set()):
        return _dumps(value), ()
    walk = _Walk()
    return _dumps(walk.plain(value, "", 0)), tuple(walk.places)


def _is_plain(value: Any, seen: set[int]) -> bool:
    """Whether marshal would write nothing but what is there: it turns arrays, and NumPy's numbers, into ``bytes``."""
    kind = type(value)
    members = value
    if kind is dict:
        if not _LEAVES.issuperset(map(type, value)):
            return False
        members = value.values()
    elif kind is not list and kind is not tuple:
        return kind in _LEAVES
    if id(value) in seen:
        return True
    if len(seen) >= _DEEPEST:
        return False  # Perhaps too deep for this function; the walk will see.
    seen.add(id(value))
    for member in members:  # noqa: SIM110  -- this runs for every report, and `all` takes twice as long
        if type(member) not in _LEAVES and not _is_plain(member, seen):
            return False
    return True


class _Walk:
    """One walk through a value.

    Asks for the types of values only, never for what they say of themselves: a proxy's ``__class__`` may be another's,
    or raise.

    Attributes:
        places: See ``dumps``.
    """

    def __init__(self) -> None:
        self.places: list[str] = []
        # Containers by identity, with what became of them; None while that is being found out. The container is kept
        # with it, so that its identity stays its own.
        self._done: dict[int, tuple[Any, Any]] = {}

    def plain(self, value: Any, place: str, depth: int) -> Any:
        """Return a value that is as much like ``value`` as marshal allows."""
        kind = type(value)
        if kind in _LEAVES:
            return value
        if issubclass(kind, (dict, list, tuple, set, frozenset)) and depth < _DEEPEST:
            known = self._done.get(id(value))
            if known is None:
                self._done[id(value)] = (value, None)
                known = self._done[id(value)] = (value, self._container(value, place, depth + 1))
            if known[1] is not None:
                return known[1]
        for base in _BASES:
            if issubclass(kind, base):
                return _base_value(base, value)
        return self._text(value, place)

    def _container(self, value: Any, place: str, depth: int) -> Any:
        kind = type(value)
        try:
            if issubclass(kind, dict):
                return {
                    self._hashable(key, f"{place} key", depth): self.plain(item, f"{place}.{_label(key)}", depth)
                    for key, item in value.items()
                }
            if issubclass(kind, (list, tuple)):
                items = [self.plain(item, f"{place}[{number}]", depth) for number, item in enumerate(value)]
                return items if issubclass(kind, list) else tuple(items)
            members = [self._hashable(item, f"{place} member", depth) for item in value]
            return set(members) if issubclass(kind, set) else frozenset(members)
        except Exception:  # noqa: BLE001 - the class is a user's, and so is what its iteration raises
            return self._text(value, place)

    def _hashable(self, value: Any, place: str, depth: int) -> Any:
        """Return a plain value for a place that takes no list: a user's list may have a hash, a plain one has not."""
        plain = self.plain(value, place, depth)
        try:
            hash(plain)
        except TypeError:
            return self._text(value, place)
        return plain

    def _text(self, value: Any, place: str) -> str:
        kind = type(value)
        self.places.append(f"{place.lstrip('. ') or 'value'} ({kind.__name__})")
        try:
            # The plain text of what may be a subclass's.
            return str.__str__(os.fsdecode(value) if issubclass(kind, os.PathLike) else repr(value))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - what a user's repr raises, pytest.fail's too; the report must arrive
            return f"<unpresentable {kind.__name__}: repr raised {type(error).__name__}>"


def _label(key: Any) -> str:
    return key if type(key) is str else type(key).__name__ if type(key) not in _LEAVES else repr(key)


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
