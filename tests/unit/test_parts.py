"""Frames with large parts come out as they went in, however the stream is cut."""

from __future__ import annotations

import random
import struct

import pytest

from pytest_parpool.runtime.parts import PartReader, pack_frame

FRAMES: list[tuple[bytes, list[bytes]]] = [
    (b"small", []),
    (b"", []),
    (b"x" * 40, []),
    (b"y" * 5000, []),
    (b"with parts", [b"", b"z" * 3000, b"w"]),
    (b"", [b"q"]),
    (b"many", [bytes([number]) for number in range(200)]),
    (b"last", []),
]
STREAM = b"".join(bytes(buffer) for body, parts in FRAMES for buffer in pack_frame(body, parts))


def read(reader: PartReader, data: bytes) -> None:
    """Have the reader take in data, as much at once as it wants."""
    while data:
        space = reader.space()
        count = min(len(space), len(data))
        assert count
        space[:count] = data[:count]
        reader.fill(count)
        data = data[count:]


def frames(reader: PartReader) -> list[tuple[bytes, list[bytes]]]:
    """Return what came out."""
    return [(bytes(body), [bytes(part) for part in parts]) for body, parts in reader.frames()]


@pytest.mark.parametrize("bulk_bytes", [64, 100, 4096, 1 << 16])
@pytest.mark.parametrize("seed", range(10))
def test_frames_come_out_whole(bulk_bytes: int, seed: int) -> None:
    """Also if every read ends in the middle of something."""
    chance = random.Random(seed)
    reader = PartReader(bulk_bytes)
    found, rest = [], STREAM
    while rest:
        count = chance.choice((1, 3, 50, 1000, 10_000))
        read(reader, rest[:count])
        rest = rest[count:]
        found += frames(reader)
    assert found == FRAMES


def test_a_frame_that_is_cut_off_never_comes_out() -> None:
    """Neither its body nor its parts."""
    whole = b"".join(bytes(buffer) for buffer in pack_frame(b"body", [b"part"]))
    for count in range(len(whole)):
        reader = PartReader(64)
        read(reader, whole[:count])
        assert reader.frames() == []


def test_parts_are_writable_and_nobody_elses() -> None:
    """Whoever gets them may change them, and keep them."""
    reader = PartReader(64)
    read(reader, b"".join(bytes(buffer) for buffer in pack_frame(b"body", [b"part"])))
    ((_, [part]),) = reader.frames()
    part[:] = b"mine"
    read(reader, STREAM)
    assert part == b"mine"


def test_buffers_are_sent_from_where_they_lie() -> None:
    """Nothing large is copied into a frame."""
    data = bytearray(100_000)
    _, view = pack_frame(b"body", [data])
    assert isinstance(view, memoryview)
    assert view.obj is data


def test_what_nobody_of_us_wrote_is_refused() -> None:
    """Instead of waiting for a frame of some gigabytes."""
    reader = PartReader(64)
    with pytest.raises(ValueError, match="a frame begins with 0x21212121"):
        read(reader, struct.pack("=III", 0x21212121, 5, 0))
