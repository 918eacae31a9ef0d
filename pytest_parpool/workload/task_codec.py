"""Tasks and what comes of them, to frames and back.

What is small travels inside of a frame's body, ``marshal``led, many tasks in one; a large payload is sent as parts,
from where it lies to where it stays.
"""

from __future__ import annotations

import itertools
import marshal
from collections.abc import Iterator, Sequence
from typing import Any

from pytest_parpool.model.messages import Broken, Ready, Recalled
from pytest_parpool.model.task_messages import Assignment, Begun, Do, Done, Leave, Part, Spoiled, TaskCommand, TaskEvent
from pytest_parpool.runtime.parts import Buffer, pack_frame

_dumps = marshal.dumps
_loads = marshal.loads
_MARSHAL_VERSION = 2  # without reference tracking: the bodies are trees, and it is faster

# Copied twice on its way, which costs less than a part of its own up to about here.
_INLINE_BYTES = 8192

_DO, _RECALLED, _LEAVE = range(3)
_DONE, _BEGUN, _READY, _BROKEN = range(4)


def encode_command(command: TaskCommand) -> list[Buffer]:
    """Return the buffers of the frames that hold the command.

    Of several tasks each that is large has a frame of its own, so that the worker reads it when its turn comes.
    """
    match command:
        case Do(tasks):
            buffers: list[Buffer] = []
            entries: list[tuple[int, bool, bytes | int]] = []
            for entry in tasks:
                large: list[Part] = []
                entries.append((entry.task, entry.is_announced, _pack(entry.parts, large)))
                if large:
                    buffers += pack_frame(_dumps((_DO, entries), _MARSHAL_VERSION), large)
                    entries = []
            return buffers + pack_frame(_dumps((_DO, entries), _MARSHAL_VERSION)) if entries or not buffers else buffers
        case Recalled(kept):
            return pack_frame(_dumps((_RECALLED, kept), _MARSHAL_VERSION))
        case Leave():
            return pack_frame(_dumps((_LEAVE, None), _MARSHAL_VERSION))


def decode_command(body: Buffer, parts: Sequence[Part]) -> TaskCommand:
    """Return the command of a frame, or a part of it.

    Raises:
        ValueError, EOFError, TypeError: If the frame was not made by ``encode_command``.
    """
    tag, value = _loads(body)
    if tag == _DO:
        rest = iter(parts)
        return Do([Assignment(task, is_announced, _unpack(packed, rest)) for task, is_announced, packed in value])
    return Recalled(value) if tag == _RECALLED else Leave()


def encode_event(event: TaskEvent) -> list[Buffer]:
    """Return the buffers of a frame that holds the event."""
    match event:
        case Done(task, seconds, parts):
            large: list[Part] = []
            return pack_frame(_dumps((_DONE, task, seconds, _pack(parts, large)), _MARSHAL_VERSION), large)
        case Begun(task, at):
            return pack_frame(_dumps((_BEGUN, task, at), _MARSHAL_VERSION))
        case Ready(pid, output_fds):
            return pack_frame(_dumps((_READY, pid, output_fds), _MARSHAL_VERSION))
        case Broken(what, text):
            # What a user's exception says may hold half of a surrogate pair, which marshal can write.
            return pack_frame(_dumps((_BROKEN, what, text), _MARSHAL_VERSION))
        case Spoiled():
            raise ValueError("this is noticed by the owner, and never sent")


def decode_event(body: Buffer, parts: Sequence[Part]) -> TaskEvent:
    """Return the event of a frame.

    Raises:
        ValueError, EOFError, TypeError: If the frame was not made by ``encode_event``.
    """
    tag, *fields = _loads(body)
    if tag == _DONE:
        task, seconds, packed = fields
        return Done(task, seconds, _unpack(packed, iter(parts)))
    kind: Any = (Begun, Ready, Broken)[tag - _BEGUN]
    event: TaskEvent = kind(*fields)
    return event


def _pack(parts: Sequence[Part], large: list[Part]) -> bytes | int:
    """Return a payload itself, if it is small, else how many parts it has, which are added to the ``large`` ones."""
    if len(parts) == 1 and len(parts[0]) <= _INLINE_BYTES:
        return bytes(parts[0])
    large += parts
    return len(parts)


def _unpack(packed: bytes | int, rest: Iterator[Part]) -> Sequence[Part]:
    if isinstance(packed, int):
        return list(itertools.islice(rest, packed))
    return (packed,)
