"""Tells whether a hook implementation looks at the identity of the worker it runs in, without running it.

An implementation is *aware* if its code names what pytest-xdist gives a worker, or if a function or method that it
calls does. Read are names and constants of compiled code. What they stand for is looked up without executing anything:
globals by their name, methods in the class of the implementation's object, and methods of objects that a plugin keeps
on ``config`` by the type of these. Only code of the implementation's own package is followed, and only so deep.

Both errors are possible, since code may build a name at run time, and may name what it does not use. The ini settings
``parpool_rerun_hooks`` and ``parpool_keep_hooks`` are there for them.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import TypeGuard, TypeVar

from pytest_parpool.model.records import Record, record

_T = TypeVar("_T")

MARKS = frozenset(
    {
        "workerinput",
        "workeroutput",
        "is_xdist_worker",
        "is_xdist_controller",
        "is_xdist_master",
        "get_xdist_worker_id",
    }
)
"""What gives an implementation away: attributes of ``config``, and functions of pytest-xdist."""

MARK_PREFIX = "PYTEST_XDIST_WORKER"
"""So do the environment variables that begin like this."""

# A hook asks itself, or a helper, or a helper's helper. Behind that a name proves nothing any more.
DEEPEST = 4

_NEVER_FOLLOWED = frozenset(sys.stdlib_module_names) | {"pytest", "_pytest", "pluggy"}


def find_mark(function: Callable[..., object], kept: Mapping[str, type] | None = None) -> str | None:
    """Return what shows that an implementation is aware, to be read behind "it", or None if nothing does.

    Args:
        function: The implementation: a function or a bound method, decorated or not.
        kept: The types of objects that plugins keep on ``config``, by the names of the attributes.

    Returns:
        For example ``names 'workerinput'``, or ``calls 'is_worker', which names 'PYTEST_XDIST_WORKER'``.
    """
    owner = type(function.__self__) if isinstance(function, MethodType) else None
    package = package_of(getattr(function, "__module__", None))
    return _Reader(package, kept or {}).read([_Called.of(found, owner, "") for found in _functions(function)])


def package_of(module: str | None) -> str:
    """Return by whom a module was written: the name of its outermost package, or of itself if it is a conftest.

    Conftests of several directories may be modules of one package, and know nothing of each other.
    """
    name = module or ""
    return name if name.rpartition(".")[2] == "conftest" else name.partition(".")[0]


@record
class _Called(Record):
    """A function that is called, perhaps.

    Attributes:
        code: What is read.
        namespace: The globals of its module.
        cells: What it encloses, as a decorator's function does the decorated one.
        owner: The class of the object that it is a method of, if it is one.
        asks_itself: Whether properties of that object are questions. Those of an object that was made long ago, and
            only lies on ``config``, are not: they tell what it was made with.
        way: From the implementation to here, in words.
    """

    code: CodeType
    namespace: dict[str, object]
    cells: tuple[CellType, ...]
    owner: type | None
    asks_itself: bool
    way: str

    @classmethod
    def of(cls, function: FunctionType, owner: type | None, way: str, *, asks_itself: bool = True) -> _Called:
        """Return a function in this form."""
        return cls(function.__code__, function.__globals__, function.__closure__ or (), owner, asks_itself, way)


class _Reader:
    """Reads an implementation, and what it calls, each function once, nearest first."""

    def __init__(self, package: str, kept: Mapping[str, type]) -> None:
        self._package = package
        self._kept = kept
        self._seen: set[CodeType] = set()

    def read(self, level: list[_Called]) -> str | None:
        """Return the first mark that is found, with the way to it."""
        for _ in range(DEEPEST):
            following: list[_Called] = []
            for called in level:
                if called.code in self._seen:
                    continue
                self._seen.add(called.code)
                names = sorted(set(_names(called.code)))
                # Global constants stand for their texts.
                values = map(called.namespace.get, names)
                marks = [text for text in (*names, *values) if _is_a(text, str) and _is_mark(text)]
                if marks:
                    return f"{called.way}names {marks[0]!r}"
                following += self._called_by(called, names)
            level = following
        return None

    def _called_by(self, called: _Called, names: list[str]) -> Iterator[_Called]:
        """Yield what a function with these names in its code may call."""
        owner = called.owner
        for name in names:
            way = f"{called.way}calls {name!r}, which "
            value = called.namespace.get(name)
            if _is_a(value, type):
                for maker in ("__new__", "__init__", "__post_init__"):
                    yield from self._methods(value, maker, way, asks_itself=True)
                for member in names:
                    yield from self._methods(value, member, way, asks_itself=False)
            elif _is_a(value, ModuleType):
                for member in names if self._is_ours(value.__name__) else ():
                    yield from self._plain(vars(value).get(member), f"{called.way}calls {member!r}, which ")
            elif value is not None:
                yield from self._plain(value, way)
            if owner is not None:
                yield from self._methods(owner, name, way, asks_itself=called.asks_itself)
            keeper = self._kept.get(name)
            for member in names if keeper is not None else ():
                yield from self._methods(keeper, member, f"{called.way}calls {member!r}, which ", asks_itself=False)
        for cell in called.cells:
            with contextlib.suppress(ValueError):  # An empty one has no contents.
                yield from self._plain(cell.cell_contents, called.way)

    def _plain(self, value: object, way: str) -> Iterator[_Called]:
        owner = type(value.__self__) if _is_a(value, MethodType) else None
        for function in _functions(value):
            if self._is_ours(function.__module__):
                yield _Called.of(function, owner, way)

    def _methods(self, cls: type | None, name: str, way: str, *, asks_itself: bool) -> Iterator[_Called]:
        """Yield the methods of this name of a class and its bases, as far as they are of the same package."""
        for base in cls.__mro__ if cls is not None else ():
            value: object = vars(base).get(name)
            if value is None or not self._is_ours(base.__module__):
                continue
            if _is_a(value, property):
                value = value.fget if asks_itself else None
            for function in _functions(value):
                yield _Called.of(function, cls, way, asks_itself=asks_itself)

    def _is_ours(self, module: str | None) -> bool:
        package = package_of(module)
        if package == self._package:
            return True
        # A conftest has its helpers in modules beside it.
        is_conftest = self._package.rpartition(".")[2] == "conftest"
        return is_conftest and package.partition(".")[0] not in _NEVER_FOLLOWED


def _functions(value: object) -> Iterator[FunctionType]:
    """Yield the function behind bound methods and descriptors; if it wraps another one, that too."""
    for _ in range(DEEPEST * 2):
        if _is_a(value, MethodType) or _is_a(value, staticmethod) or _is_a(value, classmethod):
            value = value.__func__
        elif _is_a(value, functools.partial):
            value = value.func
        else:
            if _is_a(value, FunctionType):
                yield value
            # Also what ``functools.lru_cache`` returns has it. Static, as nothing may be executed.
            value = inspect.getattr_static(value, "__wrapped__", None)
        if value is None:
            return


def _is_a(value: object, kind: type[_T]) -> TypeGuard[_T]:
    # Not ``isinstance``, which asks a proxy for its ``__class__``; that may be code of a user's.
    return issubclass(type(value), kind)


def _names(code: CodeType) -> Iterator[str]:
    """Yield all names and texts of a piece of code, and of what is defined in it."""
    yield from code.co_names
    yield from _texts(code.co_consts)


def _texts(values: tuple[object, ...] | frozenset[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, CodeType):
            yield from _names(value)
        elif isinstance(value, (tuple, frozenset)):
            yield from _texts(value)


def _is_mark(name: str) -> bool:
    # A sentence that only speaks of it is no name.
    return name in MARKS or (name.startswith(MARK_PREFIX) and name.isidentifier())
