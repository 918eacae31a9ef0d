"""Frames with large parts come out as they went in, however the stream is cut."""

from __future__ import annotations

import random
import struct

import pytest

from pytest_parpool.runtime import parts
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
STREAM = b"".join(bytes(buffer) for body, large in FRAMES for buffer in pack_frame(body, large))


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
    return [(bytes(body), [bytes(part) for part in large]) for body, large in reader.frames()]


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
    assert bytes(part) == b"mine"


def test_memory_can_be_used_again() -> None:
    """For the first part that fits into it, once; the others have their own."""
    reader = PartReader(64)

    def first_and_second(data: bytes) -> list[bytearray | memoryview]:
        read(reader, b"".join(bytes(buffer) for buffer in pack_frame(b"", [data, b"other"])))
        ((_, found),) = reader.frames()
        assert [bytes(part) for part in found] == [data, b"other"]
        return found

    memory, _ = first_and_second(b"x" * 100)
    reader.reuse(memory)
    reader.reuse(b"bytes cannot be written to")
    again, other = first_and_second(b"y" * 50)
    assert isinstance(again, memoryview)
    assert again.obj is memory
    assert isinstance(other, bytearray)
    assert isinstance(first_and_second(b"z" * 50)[0], bytearray)
    reader.reuse(again)
    assert isinstance(first_and_second(b"w" * 101)[0], bytearray)


def test_buffers_are_sent_from_where_they_lie() -> None:
    """Nothing large is copied into a frame."""
    data = bytearray(100_000)
    _, view = pack_frame(b"body", [data])
    assert isinstance(view, memoryview)
    assert view.obj is data


def test_a_body_has_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its header; parts are as long as memory allows."""
    monkeypatch.setattr(parts, "MAX_BODY_BYTES", 3)
    assert pack_frame(b"abc", [b"part"])
    with pytest.raises(ValueError, match="a message of 4 bytes is longer than the 3 that can be sent"):
        pack_frame(b"abcd")


def test_what_nobody_of_us_wrote_is_refused() -> None:
    """Instead of waiting for a frame of some gigabytes."""
    reader = PartReader(64)
    with pytest.raises(ValueError, match="a frame begins with 0x21212121"):
        read(reader, struct.pack("=III", 0x21212121, 5, 0))
