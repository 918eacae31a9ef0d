"""Messages to bytes and back.

``marshal``, because it is the fastest of the standard library for plain values, and because nothing that arrives can
run code. Both ends are the same interpreter, so its version does not matter. The functions are bound at import: tests
mock modules.
"""

from __future__ import annotations

import marshal
import operator
from collections.abc import Callable, Iterable
from typing import Any

from pytest_parpool.model import messages
from pytest_parpool.model.messages import Command, Event

_dumps = marshal.dumps
_loads = marshal.loads

# Without reference tracking: the frames are trees, and it is faster.
_MARSHAL_VERSION = 2

_COMMANDS: tuple[type[Command], ...] = (
    messages.Begin,
    messages.Run,
    messages.Wait,
    messages.Drain,
    messages.Proceed,
    messages.Recalled,
    messages.BaseTemp,
    messages.Matched,
)
_EVENTS: tuple[type[Event], ...] = (
    messages.Ready,
    messages.Started,
    messages.Reported,
    messages.Finished,
    messages.Asked,
    messages.Troubled,
    messages.WarningSeen,
    messages.StopAsked,
    messages.ExitAsked,
    messages.Interrupted,
    messages.Broken,
    messages.BaseTempAsked,
    messages.Draining,
    messages.Left,
    messages.Collected,
)


def _flattener(tag: int, kind: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    names = kind.__match_args__
    if len(names) <= 1:  # attrgetter returns a tuple for several names only.
        return lambda message: (tag, *[getattr(message, name) for name in names])
    get_all = operator.attrgetter(*names)
    return lambda message: (tag, *get_all(message))


_FLATTEN: dict[type[Any], Callable[[Any], tuple[Any, ...]]] = {
    kind: _flattener(tag, kind) for kinds in (_COMMANDS, _EVENTS) for tag, kind in enumerate(kinds)
}


def encode(messages_: Iterable[Command] | Iterable[Event]) -> bytes:
    """Return one frame that holds the messages in order.

    Raises:
        ValueError: If a field is no plain value.
    """
    return _dumps([_FLATTEN[type(message)](message) for message in messages_], _MARSHAL_VERSION)


def decode_commands(frame: bytes) -> list[Command]:
    """Return the commands of a frame.

    Raises:
        ValueError, EOFError, TypeError, IndexError: If the frame was not made by ``encode``.
    """
    return [_COMMANDS[tag](*fields) for tag, *fields in _loads(frame)]


def decode_events(frame: bytes) -> list[Event]:
    """Return the events of a frame.

    Raises:
        ValueError, EOFError, TypeError, IndexError: If the frame was not made by ``encode``.
    """
    return [_EVENTS[tag](*fields) for tag, *fields in _loads(frame)]
