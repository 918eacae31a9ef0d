"""A dictionary that all see."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from typing import Any, ClassVar, Final

from pytest_parpool.model.sync_requests import AskDict, DictVerb, Payload
from pytest_parpool.sync.errors import UnfitError
from pytest_parpool.sync.payloads import pack, unpack
from pytest_parpool.sync.proxy import Proxy
from pytest_parpool.sync.rlock import RLock

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

# Not their subclasses: what comes back would be something else.
_KEY_TYPES: Final = frozenset({str, int, float, bool, bytes, type(None)})
_NOTHING: Final = object()


class DictLock(RLock):
    """The lock of a dictionary."""

    kind: ClassVar[str] = "the lock of dict"
    prefix: ClassVar[str] = "dict:"


class Dict(Proxy, MutableMapping[Any, Any]):
    """Like a ``dict`` with values that can be pickled; who gets one gets a copy.

    Each method is one step, which nobody else comes between, but for ``popitem``. For more than one there is
    ``get_lock``. Iterating, ``values`` and ``items`` go over what was there when they began. Two of them are equal if
    they are the same shared object; compare ``copy`` for what is in them.

    Keys are strings, numbers, bools, bytes, None, and tuples of those; others are a TypeError, also when asked for.
    """

    kind: ClassVar[str] = "dict"

    def get_lock(self) -> RLock:
        """Return the lock that goes with it; it is re-entrant, and no method takes it by itself."""
        return DictLock.of(self._party, self.name, claim=self._claim)

    def copy(self) -> Any:
        """Return a ``dict`` with what is in it, taken in one step."""
        return {key: unpack(payload) for key, payload in self._ask(DictVerb.ITEMS)}

    # --- One key ------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        is_there, payload = self._ask(DictVerb.GET, self._check_key(key))
        if not is_there:
            raise KeyError(key)
        return unpack(payload)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._ask(DictVerb.SET, self._check_key(key), pack(value, self.shown))

    def __delitem__(self, key: Any) -> None:
        if not self._ask(DictVerb.DELETE, self._check_key(key)):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return bool(self._ask(DictVerb.HAS, self._check_key(key)))

    def get(self, key: Any, default: Any = None) -> Any:
        """Return what is under a key, or the default."""
        is_there, payload = self._ask(DictVerb.GET, self._check_key(key))
        return unpack(payload) if is_there else default

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return what is under a key; if nothing is, put the default there, in one step."""
        _, payload = self._ask(DictVerb.SET_DEFAULT, self._check_key(key), pack(default, self.shown))
        return unpack(payload)

    def pop(self, key: Any, default: Any = _NOTHING) -> Any:
        """Take out what is under a key and return it, or the default.

        Raises:
            KeyError: If nothing is there, and no default was given.
        """
        is_there, payload = self._ask(DictVerb.POP, self._check_key(key))
        if is_there:
            return unpack(payload)
        if default is _NOTHING:
            raise KeyError(key)
        return default

    # --- All of them --------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self._ask(DictVerb.LENGTH))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._keys())

    def __reversed__(self) -> Iterator[Any]:
        return iter(self._keys()[::-1])

    def values(self) -> ValuesView[Any]:
        """Return a view of its values; each iteration asks once."""
        return _Values(self)

    def items(self) -> ItemsView[Any, Any]:
        """Return a view of its pairs; each iteration asks once."""
        return _Items(self)

    def popitem(self) -> tuple[Any, Any]:
        """Take out the pair that came last and return it. Others may take theirs meanwhile, but nobody the same.

        Raises:
            KeyError: If there is none.
        """
        while keys := self._keys():
            is_there, payload = self._ask(DictVerb.POP, keys[-1])
            if is_there:
                return keys[-1], unpack(payload)
        raise KeyError(f"{self.shown} is empty")

    def clear(self) -> None:
        """Take out all."""
        self._ask(DictVerb.CLEAR)

    def update(  # type: ignore[override]  # The base class has an overload for each way of calling it.
        self, other: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = (), /, **kwargs: Any
    ) -> None:
        """Put in all of another mapping, or all pairs, in one step."""
        pairs = dict(other, **kwargs).items()
        packed = tuple([(self._check_key(key), pack(value, self.shown)) for key, value in pairs])
        self._ask(DictVerb.UPDATE, packed)

    def _keys(self) -> tuple[Any, ...]:
        return tuple(self._ask(DictVerb.KEYS))

    def _ask(self, verb: DictVerb, key: Any = None, payload: Payload | None = None) -> Any:
        return self._party.ask(AskDict(self.name, int(verb), key, payload))

    def _check_key(self, key: Any) -> Any:
        if not _is_plain(key):
            raise UnfitError(
                f"{key!r} of type '{type(key).__qualname__}' cannot be a key of {self.shown}; "
                "give a string, number, bool, bytes, None, or a tuple of those"
            )
        return key


class _Values(ValuesView[Any]):
    """The values of a dictionary, all asked for at once."""

    _mapping: Dict

    def __iter__(self) -> Iterator[Any]:
        return iter(self._mapping.copy().values())


class _Items(ItemsView[Any, Any]):
    """The pairs of a dictionary, all asked for at once."""

    _mapping: Dict

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self._mapping.copy().items())


def _is_plain(key: object) -> bool:
    return type(key) in _KEY_TYPES or (type(key) is tuple and all(map(_is_plain, key)))
