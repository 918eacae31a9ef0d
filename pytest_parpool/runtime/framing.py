"""Cuts a stream of bytes into frames: a header with the length, then that many bytes. Pure.

The length is there twice, the second time altered: a test that writes to descriptors that are not its own may hit a
stream of ours, and what it has written must not be taken for a length.
"""

from __future__ import annotations

import struct

_HEADER = struct.Struct("!II")
_MARK = 0x5EED_C0DE

MAX_FRAME_BYTES = 2**32 - 1


def frame(payload: bytes) -> bytes:
    """Return the payload with its header.

    Raises:
        ValueError: If it is longer than ``MAX_FRAME_BYTES``.
    """
    if len(payload) > MAX_FRAME_BYTES:
        raise ValueError(f"a message of {len(payload)} bytes is longer than the {MAX_FRAME_BYTES} that can be sent")
    return _HEADER.pack(len(payload), len(payload) ^ _MARK) + payload


class SpoiledStreamError(ValueError):
    """Something is in the stream that ``frame`` has not made."""


class FrameReader:
    """Collects what was read and gives out whole frames.

    A frame that is cut off by the writer's death never comes out.

    Args:
        data: What was read already.
    """

    def __init__(self, data: bytes = b"") -> None:
        self._buffer = bytearray(data)

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._buffer += data

    def frames(self) -> list[bytes]:
        """Return the frames that are complete, and forget them.

        Raises:
            SpoiledStreamError: If there is something else than frames; what came before it is returned first.
        """
        found: list[bytes] = []
        buffer, position = self._buffer, 0
        while len(buffer) - position >= _HEADER.size:
            length, check = _HEADER.unpack_from(buffer, position)
            if check != length ^ _MARK:
                if found:
                    break
                raise SpoiledStreamError
            end = position + _HEADER.size + length
            if end > len(buffer):
                break
            found.append(bytes(buffer[position + _HEADER.size : end]))
            position = end
        if position:
            del buffer[:position]
        return found

    def rest(self) -> bytes:
        """Return what is left of a frame that is not complete."""
        return bytes(self._buffer)
