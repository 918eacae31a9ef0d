"""Frames come out of a stream as they went in, however it is cut."""

from __future__ import annotations

import pytest

from pytest_parpool.runtime import framing
from pytest_parpool.runtime.framing import FrameReader, SpoiledStreamError, frame

PAYLOADS = [b"", b"a", b"\x00\x00\x00\x01", b"x" * 300]
STREAM = b"".join(map(frame, PAYLOADS))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 100, len(STREAM)])
def test_any_cut(size: int) -> None:
    """Whatever pieces the stream arrives in, the same frames come out, each once."""
    reader = FrameReader()
    found: list[bytes] = []
    for start in range(0, len(STREAM), size):
        reader.feed(STREAM[start : start + size])
        found += reader.frames()
    assert found == PAYLOADS
    assert reader.rest() == b""


@pytest.mark.parametrize("missing", [1, 299, 300, 303])
def test_a_frame_that_was_cut_off(missing: int) -> None:
    """What its writer did not finish never comes out, and is kept for the case that more comes."""
    reader = FrameReader(STREAM[:-missing])
    assert reader.frames() == PAYLOADS[:-1]
    assert reader.frames() == []
    assert FrameReader(reader.rest() + STREAM[-missing:]).frames() == PAYLOADS[-1:]


def test_nothing_read() -> None:
    """An empty stream has no frames."""
    assert FrameReader().frames() == []


def test_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that no header can announce is refused, with both sizes."""
    # For these lines only: the worker that runs this test uses the same module.
    with monkeypatch.context() as patch:
        patch.setattr(framing, "MAX_FRAME_BYTES", 3)
        assert FrameReader(frame(b"abc")).frames() == [b"abc"]
        with pytest.raises(ValueError, match="4 bytes is longer than the 3"):
            frame(b"abcd")


def test_the_limit_is_that_of_the_header() -> None:
    """The longest frame that is allowed is the longest that four bytes can announce."""
    assert int.from_bytes(b"\xff" * 4, "big") == framing.MAX_FRAME_BYTES
    assert framing._HEADER.size == 2 * 4  # It is there twice.


@pytest.mark.parametrize("stray", [b"\x00" * 8, b"x" * 40, frame(b"abc")[1:] + b"\x00"])
def test_something_else_in_the_stream(stray: bytes) -> None:
    """Frames before it come out; it is taken for no length, and waited for by nobody."""
    reader = FrameReader(frame(b"before") + stray + frame(b"behind"))
    assert reader.frames() == [b"before"]
    with pytest.raises(SpoiledStreamError):
        reader.frames()
