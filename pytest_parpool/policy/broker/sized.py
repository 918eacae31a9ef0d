"""What those kinds of objects have in common that are opened with a size: all who use one have to give the same."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from pytest_parpool.model.sync_requests import Status
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import ObjectKind


class SizedObject(abc.ABC):
    """One object.

    Attributes:
        noun: What it is called in messages.
        size_name: What its users call its size.
        name: Its own, among those of its kind.
        size: What it was opened with.
    """

    __slots__ = ("name", "size")

    noun: ClassVar[str]
    size_name: ClassVar[str]

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size

    @property
    def title(self) -> str:
        """It, in messages, as ``barrier 'start'``."""
        return f"{self.noun} {self.name!r}"

    @property
    @abc.abstractmethod
    def is_waited_for(self) -> bool:
        """Whether a call waits for it."""


_SizedT = TypeVar("_SizedT", bound=SizedObject)


class SizedKind(ObjectKind, Generic[_SizedT]):
    """All objects of such a kind, by their names.

    Args:
        desk: Where calls are answered.
        make: Makes an object from its name and size.
    """

    def __init__(self, desk: Desk, make: Callable[[str, int], _SizedT]) -> None:
        super().__init__(desk)
        self._make = make
        self._objects: dict[str, _SizedT] = {}

    def forget_name(self, name: str) -> None:
        """See `ObjectKind.forget_name`."""
        found = self._objects.get(name)
        if found is not None and not found.is_waited_for:
            del self._objects[name]

    def _open(self, call: Call, name: str, size: int) -> _SizedT | None:
        """Return an object, new if need be, or refuse the call and return None."""
        found = self._objects.get(name)
        if found is None:
            found = self._objects[name] = self._make(name, size)
        elif found.size != size:
            text = explanations.mismatch(found.title, found.size_name, found.size, size)
            self._desk.refuse(call, Status.MISMATCH, text)
            return None
        return found
