"""Holes in this process' memory, and that nothing is put there while they are filled."""

from __future__ import annotations

import ctypes
import random
import sys

import pytest

from pytest_parpool.runtime import heap_holes

COUNT = 4000


def python_addresses() -> set[int]:
    """Return where objects of one size are put now, which are gone then."""
    return {id(block) for block in [bytes(70) for _ in range(COUNT)]}


def make_python_holes() -> tuple[list[bytes], set[int]]:
    """Return objects, and the addresses of the holes between them."""
    blocks = [bytes(70) for _ in range(4 * COUNT)]
    holes = set(map(id, blocks[::2]))
    del blocks[::2]
    return blocks, holes


def test_objects_are_put_in_no_hole() -> None:
    """While holes are filled, new objects lie elsewhere; before and after they lie there."""
    blocks, holes = make_python_holes()
    assert python_addresses() & holes
    with heap_holes.filled():
        assert not python_addresses() & holes
    assert python_addresses() & holes
    del blocks


def test_blocks_of_c_are_put_in_no_hole() -> None:
    """Nor what the C library gives out, if ctypes is there to ask it; all that is asked for is given back."""
    if sys.platform != "linux":
        pytest.skip("how another C library puts its blocks is not known")
    library = ctypes.CDLL(None)
    malloc, free = library.malloc, library.free
    malloc.argtypes, malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    free.argtypes, free.restype = [ctypes.c_void_p], None

    def addresses() -> set[int]:
        found = {malloc(100) for _ in range(500)}
        for block in found:
            free(block)
        return found

    blocks = [malloc(100) for _ in range(2000)]
    holes = set(blocks[::2])
    for block in blocks[::2]:
        free(block)
    assert addresses() & holes
    with heap_holes.filled():
        assert not addresses() & holes
    assert addresses() & holes
    for block in blocks[1::2]:
        free(block)


def test_without_ctypes_there_is_python_s_memory_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not imported for this."""
    monkeypatch.delitem(sys.modules, "ctypes")
    blocks, holes = make_python_holes()
    with heap_holes.filled():
        assert "ctypes" not in sys.modules
        assert not python_addresses() & holes
    del blocks


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python says of itself then that it has no blocks."""
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: 0)
    blocks, holes = make_python_holes()
    with heap_holes.filled():
        assert python_addresses() & holes
    del blocks


def test_holes_are_filled_until_blocks_are_neighbours() -> None:
    """A page of them, each size for itself."""
    free = [9000, 5000, 7000]
    made: list[tuple[int, int]] = []
    top = 100_000

    def allocate(size: int) -> int:
        nonlocal top
        at = free.pop() if free else top
        if at == top:
            top += size
        made.append((size, at))
        return at

    heap_holes.fill(allocate, range(1024, 0, -512), limit=1000)
    assert made[:3] == [(1024, 7000), (1024, 5000), (1024, 9000)]
    assert [size for size, _ in made[3:]] == [1024] * 5 + [512] * 9


def test_there_is_a_limit() -> None:
    """If blocks never are neighbours."""
    made: list[int] = []

    def allocate(size: int) -> int:
        made.append(size)
        return random.Random(len(made)).randrange(2**40)

    heap_holes.fill(allocate, range(512, 0, -16), limit=100)
    assert len(made) == 100
