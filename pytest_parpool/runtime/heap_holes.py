"""Fills the holes in this process' memory before forks share it.

Between what stays of imports and collection lies what was freed. The small things that a worker makes are put there
first, one here and one there, and with each the page around it is copied. If the holes are filled before the fork, what
a worker makes lies together, on pages of its own. That takes no memory: the holes were this process' before.

Objects up to 512 bytes are blocks of Python's own allocator (Objects/obmalloc.c); what is larger, and what C has, are
those of the C library, which is reached through ``ctypes``. docs/explanation/decisions/memory-of-workers.md says what
filling saves.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pytest_parpool.runtime.process_memory import c_library

_PAGE_BYTES = 4096
_EMPTY_BYTES = sys.getsizeof(b"")
# Both allocators have a class of blocks per 16 bytes. Large ones first, whose rests are holes for smaller ones. What is
# smaller than these fills few pages.
_PYTHON_BLOCKS = range(512, 32, -16)
_C_BLOCKS = range(1024, 16, -16)
_C_HEADER_BYTES = 8


@contextlib.contextmanager
def filled() -> Iterator[None]:
    """Have no holes meanwhile, but for those that come of what is freed meanwhile."""
    # Zero if Python has another allocator than its own: then nothing is known of its holes.
    count = sys.getallocatedblocks()
    with _python_holes_filled(count // 8), _c_holes_filled(count // 64):
        yield


@contextlib.contextmanager
def _python_holes_filled(limit: int) -> Iterator[None]:
    filling: list[bytes] = []

    def allocate(size: int) -> int:
        block = bytes(size - _EMPTY_BYTES)
        filling.append(block)
        return id(block)

    fill(allocate, _PYTHON_BLOCKS, limit)
    try:
        yield
    finally:
        filling.clear()


@contextlib.contextmanager
def _c_holes_filled(limit: int) -> Iterator[None]:
    library = c_library()
    if library is None:
        yield
        return
    malloc, free = _memory_functions(library)
    filling: list[int] = []

    def allocate(size: int) -> int:
        block = malloc(size - _C_HEADER_BYTES) or 0
        filling.append(block)
        return block

    fill(allocate, _C_BLOCKS, limit)
    try:
        yield
    finally:
        for block in filling:
            free(block)


def fill(allocate: Callable[[int], int], sizes: range, limit: int) -> None:
    """Fill holes with blocks of these sizes, until there are none.

    Args:
        allocate: Makes a block of so many bytes, keeps it, and returns its address.
        sizes: In bytes.
        limit: No more blocks than these, if an allocator is other than expected.
    """
    for size in sizes:
        # Holes are filled in no order. A page of neighbours comes from where nothing has been yet.
        neighbours, last = 0, 0
        while neighbours * size < _PAGE_BYTES and limit > 0:
            limit -= 1
            at = allocate(size)
            neighbours = neighbours + 1 if 0 < at - last < 2 * size else 0
            last = at


def _memory_functions(library: Any) -> tuple[Callable[[int], int | None], Callable[[int], None]]:
    """Return malloc(3) and free(3)."""
    ctypes = sys.modules["ctypes"]
    malloc, free = library.malloc, library.free
    malloc.argtypes, malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    free.argtypes, free.restype = [ctypes.c_void_p], None
    return malloc, free
