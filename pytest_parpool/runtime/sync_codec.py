"""What travels between the broker and who uses it, to bytes and back; ``framing`` cuts the stream.

The first frame on a connection is a ``Hello``, answered by a ``Greeting``; or a ``Goodbye`` or a ``Silence``, which
have no answer, and nothing comes behind them. Then come requests, each with a number; an answer bears the number of its
request. A request with the number ``WITHOUT_ANSWER`` gets none, whatever comes of it. ``Abandon`` travels like a
request.

As in ``codec``: ``marshal`` of plain values, which can run no code, bound at import.
"""

from __future__ import annotations

import marshal
import operator
from collections.abc import Callable
from typing import Any, Final, TypeAlias, get_args

from pytest_parpool.model.records import Record, record
from pytest_parpool.model.sync_moves import ConnectionId
from pytest_parpool.model.sync_requests import Origin, Request, Status

WITHOUT_ANSWER: Final = 0
# The number of the last thing that a broker says that has come upon a bug of its own; the value is a traceback.
BREAKDOWN: Final = -1

_dumps = marshal.dumps
_loads = marshal.loads
_MARSHAL_VERSION = 2


@record
class Hello(Record):
    """I want to use shared objects.

    Attributes:
        token: The run's.
        name: What the process is called in messages.
        key: The same for all connections of a process, and no other's.
        pid: Its process id; the kernel is asked where it can tell.
        wants_slots: Whether the descriptor of the slots shall come with the greeting.
        abandoned: Connections, closed before this one was opened, with the request that was interrupted on each.
        is_blocking: Whether who asks on this connection does nothing else until the answer is there.
    """

    token: str
    name: str
    key: str
    pid: int
    wants_slots: bool
    abandoned: tuple[tuple[ConnectionId, int], ...]
    is_blocking: bool = True


@record
class Abandon(Record):
    """Nobody looks at the answer of one request on another connection of this process, which stays open.

    Answered (None) once nothing can come of it any more.

    Attributes:
        connection: The other connection.
        number: The request's.
    """

    connection: ConnectionId
    number: int


@record
class Goodbye(Record):
    """The run is over. Only its own process may say so."""

    token: str


@record
class Silence(Record):
    """The workers are silent. Only the run's own process may say so; see ``sync_moves.Silent``."""

    token: str
    runners: tuple[int, ...]
    at: float


@record
class Greeting(Record):
    """You are welcome.

    Attributes:
        connection: The connection's number.
        broker: The same as long as the broker is.
    """

    connection: ConnectionId
    broker: str


@record
class Reply(Record):
    """The answer to a request. With ``has_memory`` a descriptor comes with it."""

    number: int
    status: Status
    value: Any
    has_memory: bool = False


Opening: TypeAlias = Hello | Goodbye | Silence

_REQUESTS: tuple[type[Any], ...] = (*get_args(Request), Abandon)
_OPENINGS: tuple[type[Any], ...] = get_args(Opening)
_STATUSES = tuple(Status)


def _values_getter(kind: type[Record]) -> Callable[[Any], tuple[Any, ...]]:
    names = kind.__match_args__
    if len(names) <= 1:  # attrgetter returns a tuple for several names only.
        return lambda message: tuple([getattr(message, name) for name in names])
    return operator.attrgetter(*names)


_GET_VALUES = {kind: _values_getter(kind) for kind in (*_REQUESTS, *_OPENINGS)}
_TAGS = {kind: tag for kinds in (_REQUESTS, _OPENINGS) for tag, kind in enumerate(kinds)}


def encode_request(number: int, origin: Origin, request: Request | Abandon) -> bytes:
    """Return a request's frame.

    Raises:
        ValueError: If a field is no plain value.
    """
    kind = type(request)
    return _dumps(
        (number, _TAGS[kind], origin.lane, origin.test, origin.where, *_GET_VALUES[kind](request)), _MARSHAL_VERSION
    )


def decode_request(frame: bytes) -> tuple[int, Origin, Request | Abandon]:
    """Return a request with its number and who asks.

    Raises:
        ValueError, EOFError, TypeError, IndexError: If the frame was not made by ``encode_request``.
    """
    number, tag, lane, test, where, *values = _loads(frame)
    return number, Origin(lane, test, where), _REQUESTS[tag](*values)


def encode_reply(number: int, status: Status, value: Any, *, has_memory: bool = False) -> bytes:
    """Return an answer's frame."""
    return _dumps((number, int(status), value, has_memory), _MARSHAL_VERSION)


def decode_reply(frame: bytes) -> Reply:
    """Return an answer.

    Raises:
        ValueError, EOFError, TypeError, IndexError: If the frame was not made by ``encode_reply``.
    """
    number, status, value, has_memory = _loads(frame)
    return Reply(number, _STATUSES[status], value, has_memory)


def encode_opening(opening: Opening) -> bytes:
    """Return the frame that opens a connection."""
    kind = type(opening)
    return _dumps((_TAGS[kind], *_GET_VALUES[kind](opening)), _MARSHAL_VERSION)


def decode_opening(frame: bytes) -> Opening:
    """Return what opens a connection.

    Raises:
        ValueError, EOFError, TypeError, IndexError: If the frame was not made by ``encode_opening``.
    """
    tag, *values = _loads(frame)
    opening: Opening = _OPENINGS[tag](*values)
    return opening


def encode_greeting(greeting: Greeting) -> bytes:
    """Return the frame that answers a ``Hello``."""
    return _dumps((greeting.connection, greeting.broker), _MARSHAL_VERSION)


def decode_greeting(frame: bytes) -> Greeting:
    """Return the answer to a ``Hello``.

    Raises:
        ValueError, EOFError, TypeError: If the frame was not made by ``encode_greeting``.
    """
    connection, broker = _loads(frame)
    return Greeting(connection, broker)
