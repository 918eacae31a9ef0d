"""Records: what messages, notices and actions are made of.

A record is a slotted dataclass that nobody changes. ``dataclasses.dataclass(frozen=True, slots=True)`` says the same,
but takes 0.4 ms to make one class, of which there are some forty: a tenth of what a run of one test takes. So the type
checker forbids assignment, and what is the same for all records is inherited instead of generated.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

_T = TypeVar("_T")

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:
        """Do nothing: only type checkers look at it."""
        return lambda decorator: decorator


class Record:
    """What all records can do: be compared, hashed and shown by their fields."""

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def _values(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__match_args__])

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._values()


@dataclass_transform(frozen_default=True)
def record(cls: type[_T]) -> type[_T]:
    """Make a class with annotated fields a record; it has to inherit from ``Record``."""
    return dataclasses.dataclass(slots=True, eq=False, repr=False)(cls)
