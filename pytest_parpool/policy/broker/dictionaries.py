"""Dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_parpool.model.sync_requests import AskDict, DictVerb, Payload, Status
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind


class Dictionaries(ObjectKind):
    """All dictionaries. Each request is done in one go."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._dictionaries: dict[str, dict[Any, Payload]] = {}

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {AskDict: self._ask}

    def forget_name(self, name: str) -> None:
        """See `ObjectKind.forget_name`."""
        self._dictionaries.pop(name, None)

    def _ask(self, call: Call, request: AskDict) -> None:
        dictionary = self._dictionaries.get(request.name)
        if dictionary is None:
            dictionary = self._dictionaries[request.name] = {}
        does = _VERBS.get(request.verb)
        if does is None:
            text = f"dictionary {request.name!r} cannot do what number {request.verb} stands for"
            self._desk.refuse(call, Status.UNFIT, text)
            return
        try:
            answer = does(dictionary, request.key, request.payload)
        except (TypeError, ValueError) as error:
            # A key that cannot be hashed, or pairs that are none.
            self._desk.refuse(call, Status.UNFIT, f"dictionary {request.name!r} cannot use {request.key!r}: {error}")
            return
        if request.verb in _CHANGING:
            self._desk.change()
        self._desk.answer(call, answer)


def _get(dictionary: dict[Any, Payload], key: Any, _payload: Payload | None) -> Any:
    return key in dictionary, dictionary.get(key)


def _set(dictionary: dict[Any, Payload], key: Any, payload: Payload | None) -> Any:
    if payload is None:
        raise ValueError("there is no value for it")
    dictionary[key] = payload


def _delete(dictionary: dict[Any, Payload], key: Any, _payload: Payload | None) -> Any:
    return dictionary.pop(key, None) is not None


def _set_default(dictionary: dict[Any, Payload], key: Any, payload: Payload | None) -> Any:
    if key in dictionary:
        return True, dictionary[key]
    _set(dictionary, key, payload)
    return False, payload


def _pop(dictionary: dict[Any, Payload], key: Any, _payload: Payload | None) -> Any:
    return key in dictionary, dictionary.pop(key, None)


def _keys(dictionary: dict[Any, Payload], _key: Any, _payload: Payload | None) -> Any:
    return tuple(dictionary)


def _items(dictionary: dict[Any, Payload], _key: Any, _payload: Payload | None) -> Any:
    return tuple(dictionary.items())


def _length(dictionary: dict[Any, Payload], _key: Any, _payload: Payload | None) -> Any:
    return len(dictionary)


def _clear(dictionary: dict[Any, Payload], _key: Any, _payload: Payload | None) -> Any:
    dictionary.clear()


def _update(dictionary: dict[Any, Payload], key: Any, _payload: Payload | None) -> Any:
    # All or nothing: one key that cannot be hashed must not leave half of it done.
    dictionary.update(dict(key))


def _has(dictionary: dict[Any, Payload], key: Any, _payload: Payload | None) -> Any:
    return key in dictionary


_VERBS: Mapping[int, Callable[[dict[Any, Payload], Any, Payload | None], Any]] = {
    DictVerb.GET: _get,
    DictVerb.SET: _set,
    DictVerb.DELETE: _delete,
    DictVerb.SET_DEFAULT: _set_default,
    DictVerb.POP: _pop,
    DictVerb.KEYS: _keys,
    DictVerb.ITEMS: _items,
    DictVerb.LENGTH: _length,
    DictVerb.CLEAR: _clear,
    DictVerb.UPDATE: _update,
    DictVerb.HAS: _has,
}
_CHANGING = frozenset(
    {DictVerb.SET, DictVerb.DELETE, DictVerb.SET_DEFAULT, DictVerb.POP, DictVerb.CLEAR, DictVerb.UPDATE}
)
