"""An array in memory that all processes share: to read and write it, nobody is asked.

The broker makes the memory, which has no name in the file system, and sends its descriptor. Each process maps it once,
for as long as it lives; forked children inherit that.
"""

from __future__ import annotations

import importlib
import math
import mmap
import operator
import struct
import sys
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from pytest_parpool.model.sync_requests import OpenArray
from pytest_parpool.runtime.memory import array_name, map_named
from pytest_parpool.sync.errors import NumpyMissingError
from pytest_parpool.sync.proxy import Proxy
from pytest_parpool.sync.rlock import RLock
from pytest_parpool.sync.system import System

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_CODES: Final = "bBhHiIlLqQfd?"
# Two names for one type are one: numpy's int64 is "l" where the user's typecode may be "q".
_LONG: Final = "q" if struct.calcsize("l") == struct.calcsize("q") else "i"
_SAME: Final = {"l": _LONG, "L": _LONG.upper()}

_NO_OBJECTS: Final = "Python objects cannot be in memory that processes share"


class ArrayLock(RLock):
    """The lock of an array."""

    kind: ClassVar[str] = "the lock of array"
    prefix: ClassVar[str] = "array:"


class ArrayMemory:
    """An array's memory, as this process has it.

    Args:
        type_name: What is in it.
        shape: Its lengths.
        memory: The memory; stays mapped.
    """

    __slots__ = ("memory", "shape", "type_name")

    def __init__(self, type_name: str, shape: tuple[int, ...], memory: mmap.mmap) -> None:
        self.type_name = type_name
        self.shape = shape
        self.memory = memory


class Array(Proxy):
    """Numbers in memory that all processes share; zeros at first.

    Made with a typecode, it is indexed like a ``memoryview``, with or without numpy; ``numpy()`` is there, too. Made
    with anything else that ``numpy.dtype`` accepts, it is indexed like numpy's arrays. Nothing here takes ``get_lock``
    by itself, and what is more than one item is not read or written in one step.

    Args:
        dtype: One of the typecodes ``b B h H i I l L q Q f d ?``, or anything for ``numpy.dtype``.
        shape: Its length, or lengths.

    Attributes:
        shape: Its lengths.

    Raises:
        ValueError: If a length is less than one, or the shape is a list, which would be the values in
            ``multiprocessing``; or if the type's items have no size, or are objects.
        NumpyMissingError: If the type is numpy's, and numpy is not installed; an ImportError.
    """

    kind: ClassVar[str] = "array"

    def __init__(self, dtype: Any, shape: int | tuple[int, ...]) -> None:
        super().__init__()
        self.shape = _check_shape(shape)
        self._dtype = dtype if _is_code(dtype) else _check_dtype(dtype)
        self._code = _code_of(self._dtype)
        self._type_name = self._code or str(self._dtype)
        item_bytes = struct.calcsize(self._code) if self._code else int(self._dtype.itemsize)
        self._size_bytes = math.prod(self.shape) * item_bytes
        self._view: memoryview | None = None

    def _arguments(self) -> tuple[Any, ...]:
        return self._dtype, self.shape

    def open(self) -> None:
        """Map it now; otherwise its first use does this.

        Raises:
            MismatchError: If it was opened with another type or shape before; a ValueError.
            UnfitError: If there is not so much memory.
        """
        self._memory()

    @property
    def view(self) -> memoryview:
        """Its memory; with a type that only numpy knows, its bytes."""
        if self._view is None:
            view = memoryview(self._memory())
            self._view = view.cast(self._code, self.shape) if self._code else view  # type: ignore[call-overload]  # The stubs know literals only.
        return self._view

    def numpy(self) -> Any:
        """Return it as a ``numpy.ndarray``, which is the same memory.

        Raises:
            NumpyMissingError: If numpy is not installed; an ImportError.
        """
        return _numpy().ndarray(self.shape, self._dtype, self._memory())

    def get_lock(self) -> RLock:
        """Return the lock that goes with it; it is re-entrant."""
        return ArrayLock.of(self._party, self.name, claim=self._claim)

    # --- As a sequence ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        if not _is_code(self._dtype):
            return self.numpy()[index]
        if len(self.shape) > 1 and not isinstance(index, tuple) and hasattr(index, "__index__"):
            return self._row(operator.index(index))
        return self.view[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if _is_code(self._dtype):
            self.view[index] = value
        else:
            self.numpy()[index] = value

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: FBT001  -- numpy decides
        return _numpy().array(self.numpy(), dtype=dtype, copy=copy)

    def _row(self, index: int) -> memoryview:
        """Return a part of one dimension less, which ``memoryview`` itself cannot do."""
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"index {index} is out of range for {self.shown} of length {length}")
        row_bytes = self._size_bytes // length
        start = index % length * row_bytes
        part = memoryview(self._memory())[start : start + row_bytes]
        return part.cast(self._code, self.shape[1:])  # type: ignore[call-overload,no-any-return]  # As in ``view``.

    # --- The memory ---------------------------------------------------------------------------------------------------

    def _memory(self) -> mmap.mmap:
        known = self._party.arrays.get(self.name)
        if known is None or (known.type_name, known.shape) != (self._type_name, self.shape):
            # If it is another one, the broker says so.
            memory = self._map()
            known = self._party.arrays.setdefault(self.name, ArrayMemory(self._type_name, self.shape, memory))
        return known.memory

    def _map(self) -> mmap.mmap:
        fds: list[int] = []
        request = OpenArray(self.name, self._type_name, self.shape, self._size_bytes)
        try:
            number = self._party.connections.ask(request, fds=fds)
            if sys.platform == "win32":
                return map_named(array_name(self._party.connections.broker, number), self._size_bytes)
            (fd,) = fds
            if sys.version_info >= (3, 13):
                return mmap.mmap(fd, self._size_bytes, trackfd=False)
            # It keeps a duplicate of the descriptor, which Python closes with it: so never.
            return mmap.mmap(fd, self._size_bytes)
        finally:
            for fd in fds:
                System.close(fd)


def _is_code(dtype: Any) -> bool:
    return isinstance(dtype, str) and len(dtype) == 1 and dtype in _CODES


def _code_of(dtype: Any) -> str:
    """Return the typecode of a type; empty if only numpy knows it."""
    code: str = dtype if _is_code(dtype) else dtype.char
    if code not in _CODES or (not _is_code(dtype) and not dtype.isnative):
        return ""
    return _SAME.get(code, code)


def _check_dtype(dtype: Any) -> Any:
    """Return a type as numpy's."""
    refusal = f"dtype: {dtype!r} is not allowed"
    if dtype is object or dtype == "O":
        raise ValueError(f"{refusal}; {_NO_OBJECTS}")
    try:
        checked = _numpy().dtype(dtype)
    except NumpyMissingError as error:
        raise NumpyMissingError(
            f"dtype: {dtype!r} is known to numpy only, which is not installed; give one of the typecodes "
            f"{' '.join(_CODES)}, or install numpy"
        ) from error
    if checked.hasobject:
        raise ValueError(f"{refusal}; {_NO_OBJECTS}")
    if checked.itemsize < 1:
        raise ValueError(f"{refusal}; say how large its items are")
    return checked


def _check_shape(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, list):
        raise ValueError(
            f"shape: the list {shape!r} is not allowed; give one length, or a tuple; put values in afterwards"
        )
    try:
        lengths = tuple(map(operator.index, shape if isinstance(shape, tuple) else (shape,)))
    except TypeError:
        lengths = ()
    if not lengths or min(lengths) < 1:
        raise ValueError(f"shape: {shape!r} is not allowed; give a whole number from 1 on, or a tuple of those")
    return lengths


def _numpy() -> Any:
    try:
        # By name, for what type checkers may not know: it is for the user to install.
        return importlib.import_module("numpy")
    except ImportError as error:
        raise NumpyMissingError("numpy is not installed; use the array's items, or `view`, or install it") from error
