"""Records: what messages, notices, actions and settings are made of.

A record is a class of named, slotted values that nobody changes. ``dataclasses.dataclass(frozen=True, slots=True)``
says the same, but takes 0.4 ms to make one class, of which there are more than eighty: a fifth of what a run of one
test takes. So the type checker forbids assignment, and what is the same for all records is inherited instead of
generated. Only an ``__init__`` that is called often has to be a class's own, which is written and compiled once it is:
of most classes a run makes a few instances or none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

_T = TypeVar("_T")

# Instances of a class that are made without an ``__init__`` of its own: to write one takes as long as to make ten.
_FIRST_INSTANCES = 10
_made: dict[type[Any], int] = {}

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:
        """Do nothing: only type checkers look at it."""
        return lambda decorator: decorator


class Record:
    """What all records can do: be compared, hashed and shown by their fields."""

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()
    _defaults: ClassVar[dict[str, Any]] = {}
    _is_by_name_only = False

    if not TYPE_CHECKING:

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # Only the first instances of a class come here.
            cls = type(self)
            _made[cls] = made = _made.get(cls, 0) + 1
            values = _in_order(cls, args, kwargs) if made <= _FIRST_INSTANCES else None
            if values is None:  # Arguments that do not fit are complained about by Python itself.
                _write_init(cls)
                self.__init__(*args, **kwargs)
                return
            for name, value in zip(cls.__match_args__, values, strict=True):
                setattr(self, name, value)

    def _values(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__match_args__])

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**dict(zip(self.__match_args__, self._values(), strict=True)), **changes})

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
        return _rebuild, (type(self), self._values())


@overload
def record(cls: type[_T]) -> type[_T]: ...


@overload
def record(*, kw_only: bool) -> Callable[[type[_T]], type[_T]]: ...


@dataclass_transform(frozen_default=True)
def record(cls: type[_T] | None = None, *, kw_only: bool = False) -> type[_T] | Callable[[type[_T]], type[_T]]:
    """Make a class with annotated fields a record; it has to inherit from ``Record`` directly.

    Args:
        cls: The class. Values that it gives to its fields are their defaults.
        kw_only: Whether instances are made by naming the fields.
    """
    if cls is None:
        return lambda cls: _with_slots(cls, is_by_name_only=kw_only)
    return _with_slots(cls, is_by_name_only=kw_only)


def prepare(*classes: type[Record]) -> None:
    """Write now what would be written with one of the next instances: before a fork, once, and not in each child."""
    for cls in classes:
        if "__init__" not in vars(cls):
            _write_init(cls)


def _with_slots(cls: type[_T], *, is_by_name_only: bool) -> type[_T]:
    # Slots can only be given to a class when it is made.
    namespace = dict(cls.__dict__)
    # Before 3.14 a class without annotations shows its base's.
    own = cls.__annotations__ if sys.version_info >= (3, 14) else vars(cls).get("__annotations__", ())
    fields = tuple(own)
    namespace["__slots__"] = namespace["__match_args__"] = fields
    namespace["_defaults"] = {name: namespace.pop(name) for name in fields if name in namespace}
    namespace["_is_by_name_only"] = is_by_name_only
    del namespace["__dict__"], namespace["__weakref__"]
    make_class: Callable[..., type[_T]] = type(cls)
    return make_class(cls.__name__, cls.__bases__, namespace)


def _in_order(cls: type[Record], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return the values of all fields, or None if these arguments are not to be accepted."""
    fields = cls.__match_args__
    if len(args) == len(fields) and not kwargs and not cls._is_by_name_only:
        return args
    if len(args) > (0 if cls._is_by_name_only else len(fields)) or not kwargs.keys().isdisjoint(fields[: len(args)]):
        return None
    named = {**cls._defaults, **kwargs}
    try:
        values = (*args, *[named.pop(name) for name in fields[len(args) :]])
    except KeyError:
        return None
    return values if named.keys() <= cls._defaults.keys() else None


def _write_init(cls: type[Record]) -> None:
    """Give a class an ``__init__`` that takes and sets its fields."""
    defaults = cls._defaults
    parameters = ["self", *(["*"] if cls._is_by_name_only and cls.__match_args__ else [])]
    parameters += [f"{name}=defaults[{name!r}]" if name in defaults else name for name in cls.__match_args__]
    body = "".join(f"\n self.{name} = {name}" for name in cls.__match_args__) or " pass"
    namespace: dict[str, Any] = {"defaults": defaults}
    exec(f"def __init__({', '.join(parameters)}):{body}", namespace)
    namespace["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = namespace["__init__"]  # type: ignore[method-assign]


def _rebuild(cls: type[Record], values: tuple[Any, ...]) -> Record:
    return cls(**dict(zip(cls.__match_args__, values, strict=True)))
