"""Frames with large parts: a body, and buffers behind it that nobody joins or copies on either side. Pure.

A frame is three numbers (a constant, bytes of the body, count of parts), then the sizes of the parts, the body, and the
parts. Small frames are read in bulk; what does not fit, or has parts, is read straight into the memory where it stays.
"""

from __future__ import annotations

import mmap
import struct
import sys
from collections.abc import Sequence
from typing import TypeAlias

Buffer: TypeAlias = "bytes | bytearray | memoryview"
Frame: TypeAlias = "tuple[Buffer, list[bytearray | memoryview]]"
"""A body and its parts. Parts are writable, and belong to whoever takes them."""

_HEADER = struct.Struct("=III")
# Not what anybody else would write: without it a few stray bytes could be the length of a frame that never ends.
_MARK = 0x9A7B01F3
_SIZE_BYTES = 8

MAX_BODY_BYTES = 2**32 - 1
# Memory beyond that is not kept for a next part.
_MOST_SPARE_BYTES = 1 << 24


def pack_frame(body: bytes, parts: Sequence[Buffer] = ()) -> list[Buffer]:
    """Return the buffers to be written, in order, to send a frame.

    Raises:
        ValueError: If the body is longer than ``MAX_BODY_BYTES``.
    """
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"a message of {len(body)} bytes is longer than the {MAX_BODY_BYTES} that can be sent")
    header = _HEADER.pack(_MARK, len(body), len(parts))
    if not parts:
        return [header + body]
    views = [memoryview(part).cast("B") for part in parts]
    sizes = struct.pack(f"={len(views)}Q", *map(len, views))
    return [b"".join((header, sizes, body)), *views]


class PartReader:
    """Takes what was read, and gives out whole frames.

    Read into ``space``, say how much that was to ``fill``, take the ``frames``. A frame that is cut off by the writer's
    death never comes out.

    Args:
        bulk_bytes: How much is read at once, where that is not known to belong to a large frame.
    """

    def __init__(self, bulk_bytes: int) -> None:
        # Only what is written to takes memory, which a new process would be slow to get.
        self._bulk = memoryview(_private_memory(bulk_bytes))
        self._begin = self._end = 0  # of what was read in bulk and not cut yet: less than a header, or than a frame
        self._large: _LargeFrame | None = None
        self._frames: list[Frame] = []
        self._spare = bytearray()

    def reuse(self, part: Buffer) -> None:
        """Take back the first part of a frame that nobody needs any more, to read that of another one into it.

        For memory that is new the system has to find and to clear pages, which takes as long as to fill them.
        """
        memory = part.obj if isinstance(part, memoryview) else part
        if isinstance(memory, bytearray) and len(self._spare) < len(memory) <= _MOST_SPARE_BYTES:
            self._spare = memory

    def space(self) -> memoryview:
        """Return where to put what is read next; never empty."""
        return self._bulk[self._end :] if self._large is None else self._large.space()

    def fill(self, count: int) -> None:
        """Say that so many bytes were put at the beginning of ``space``.

        Raises:
            ValueError: If they were not written by ``pack_frame``.
        """
        if self._large is None:
            self._end += count
            self._cut()
        elif self._large.fill(count):
            self._frames.append(self._large.take())
            self._large = None

    def frames(self) -> list[Frame]:
        """Return the frames that are complete, and forget them."""
        found, self._frames = self._frames, []
        return found

    def _cut(self) -> None:
        """Cut what was read in bulk into frames. What is left of it is at the beginning of the bulk then."""
        bulk, begin, end = self._bulk, self._begin, self._end
        while end - begin >= _HEADER.size:
            mark, body_bytes, count = _HEADER.unpack_from(bulk, begin)
            if mark != _MARK:
                raise ValueError(f"a frame begins with {mark:#x}")
            after = begin + _HEADER.size + body_bytes
            if count == 0 and after <= end:
                self._frames.append((bytes(bulk[after - body_bytes : after]), []))
                begin = after
                continue
            if count == 0 and after - begin <= len(bulk) // 2:
                break  # The rest of it comes in bulk.
            spare, self._spare = self._spare, bytearray()
            begin = self._begin_large(_LargeFrame(body_bytes, count, spare), begin + _HEADER.size, end)
        rest = end - begin
        if begin and rest:
            bulk[:rest] = bytes(bulk[begin:end])
        self._begin, self._end = 0, rest

    def _begin_large(self, large: _LargeFrame, begin: int, end: int) -> int:
        """Put into a large frame what was read of it already; return where that ends."""
        while True:
            space = large.space()
            count = min(len(space), end - begin)
            space[:count] = self._bulk[begin : begin + count]
            begin += count
            if large.fill(count):
                self._frames.append(large.take())
                return begin
            if begin == end:
                self._large = large
                return begin


class _LargeFrame:
    """A frame in memory of its own, being filled.

    Args:
        body_bytes: Of the body.
        count: How many parts there are.
        spare: Memory for the first part, if it is large enough.
    """

    def __init__(self, body_bytes: int, count: int, spare: bytearray) -> None:
        self._count = count
        self._spare = spare
        # The sizes and the body come in one go.
        self._head = bytearray(count * _SIZE_BYTES + body_bytes)
        self._target: bytearray | memoryview = self._head
        self._filled = 0
        self._parts: list[bytearray | memoryview] | None = None
        self._next = 0

    def space(self) -> memoryview:
        """Return where the next bytes belong; empty only if everything is there."""
        return memoryview(self._target)[self._filled :]

    def fill(self, count: int) -> bool:
        """Note how many came, and return whether everything is there."""
        self._filled += count
        while self._filled == len(self._target):
            if self._parts is None:
                sizes = struct.unpack_from(f"={self._count}Q", self._head)
                self._parts = [self._memory(size) for size in sizes]
            if self._next == len(self._parts):
                return True
            self._target = self._parts[self._next]
            self._next += 1
            self._filled = 0
        return False

    def _memory(self, size: int) -> bytearray | memoryview:
        if 0 < size <= len(self._spare):
            spare, self._spare = self._spare, bytearray()
            return memoryview(spare)[:size]
        return bytearray(size)

    def take(self) -> Frame:
        """Return the frame; it is complete."""
        assert self._parts is not None
        return memoryview(self._head)[self._count * _SIZE_BYTES :], self._parts


def _private_memory(size_bytes: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size_bytes)
    return mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
