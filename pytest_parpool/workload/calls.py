"""The calls of a chunk, kept and sent as the bare items that the user gave: most chunks are thousands of small ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

Call: TypeAlias = tuple[Sequence[Any], Mapping[str, Any]]

# Shared by all calls: a call with ``**kwargs`` copies it.
_NO_NAMES: Final[dict[str, Any]] = {}


class OneArgumentCalls(Sequence[Call]):
    """One call per item, with the item as its only argument, as ``map`` makes them."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(self.items[index])
        return (self.items[index],), _NO_NAMES

    def __iter__(self) -> Iterator[Call]:
        return iter([((item,), _NO_NAMES) for item in self.items])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.items,)


class StarredCalls(OneArgumentCalls):
    """One call per item, with the item's members as its arguments, as ``starmap`` makes them."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(self.items[index])
        return tuple(self.items[index]), _NO_NAMES

    def __iter__(self) -> Iterator[Call]:
        # Each is unpacked when its turn comes: one that cannot be is then that call's failure, not the chunk's.
        return ((item, _NO_NAMES) for item in self.items)
