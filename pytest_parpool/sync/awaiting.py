"""A way to the broker for the tasks of an event loop: many requests at a time, and none of them blocks the loop.

Each running loop of a process has a connection of its own, non-blocking, that the loop watches; an answer is given to
its task by its number. Only opening it blocks, for a round trip; the first one of a run starts the broker.

A loop does not say when it is closed. ``asyncio.run`` closes asynchronous generators before; so one of ours waits for
that. What was not closed in this way is when the next loop begins, or the test ends.

This module imports ``asyncio``; so it is imported when something is awaited for the first time.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import ClassVar, Final

from pytest_parpool.errors import ProtocolError
from pytest_parpool.model.sync_requests import Origin, Request, Status
from pytest_parpool.runtime.framing import frame
from pytest_parpool.runtime.link_ends import is_of_system_call
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.runtime.sync_codec import Abandon, Hello, Reply, encode_request
from pytest_parpool.sync.connection import Connection, ConnectionLostError, decode_sound_reply
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.loop_watch import LoopWatch, make_watch

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_READ_BYTES: Final = 65536


class LoopConnection(Connection):
    """The connection of one event loop; used by its thread only.

    Args:
        sock: See ``Connection``.
        hello: See ``Connection``.
    """

    is_blocking: ClassVar[bool] = False

    def __init__(self, sock: RawSocket, hello: Hello) -> None:
        # By number, who waits for the answer, and what is held once it is granted.
        self._waiting: dict[int, tuple[asyncio.Future[Reply], Hold | None]] = {}
        self._unsent = bytearray()
        self._watch: LoopWatch | None = None
        super().__init__(sock, hello)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop watch it from now on."""
        self._loop = weakref.ref(loop)  # The loop knows this one: without a cycle they are gone as soon as they can.
        self._sock.setblocking(False)
        self._watch = make_watch(loop, self._sock)
        self._watch.begin(loop, self._receive_replies)
        self._guard = _detach_at_shutdown(weakref.ref(self))
        try:
            # Runs to its first `yield`; the loop is told of it by Python's own hooks.
            self._guard.__anext__().send(None)
        except StopIteration:
            pass

    def close(self) -> None:
        """See ``Connection``."""
        if self._watch is not None:
            self._watch.forget()
        super().close()

    def detach(self) -> None:
        """Have the loop watch it no longer, and close it."""
        loop, fd = self._loop(), self._sock.fileno()
        if loop is not None and not loop.is_closed() and fd >= 0:
            assert self._watch is not None
            self._watch.end(loop)
        self.close()

    def fail(self, make_error: Callable[[], Exception]) -> None:
        """Close it, because it cannot be used any more, and tell all who wait."""
        self.detach()
        while self._waiting:
            _, (future, _) = self._waiting.popitem()
            if not future.done():
                future.set_exception(make_error())

    # --- Asking -------------------------------------------------------------------------------------------------------

    def next_number(self) -> int:
        """Return the number for a request."""
        self._number += 1
        return self._number

    def send(self, number: int, origin: Origin, request: Request, hold: Hold | None) -> asyncio.Future[Reply]:
        """Send a request, now or when the broker reads, and return its answer to come.

        Args:
            number: The request's, from ``next_number``.
            origin: Who asks.
            request: What is asked.
            hold: Entered in its table when the request is granted, unless the future was cancelled before.

        Raises:
            ConnectionLostError: If there is nobody to send it to; later it comes from the future.
            ValueError: If a field is no plain value.
        """
        data = frame(encode_request(number, origin, request))
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (future, hold)
        is_first = not self._unsent
        self._unsent += data
        if is_first:
            self._flush()
        return future

    @property
    def waiting_numbers(self) -> tuple[int, ...]:
        """The requests that have no answer."""
        return tuple(self._waiting)

    def forget(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        self._waiting.pop(number, None)

    def _flush(self) -> None:
        """Send what the broker takes now, and the rest when it reads."""
        loop = asyncio.get_running_loop()
        assert self._watch is not None
        try:
            try:
                del self._unsent[: self._sock.send(self._unsent)]
            except BlockingIOError:
                pass
            self._watch.look_for_room(loop, self._flush if self._unsent else None)
        except BaseException as error:  # Perhaps a signal handler's, and half of a request is sent.
            self.fail(ConnectionLostError)
            if not isinstance(error, OSError) or not is_of_system_call(error):
                raise

    def _receive_replies(self) -> None:
        try:
            try:
                data = self._sock.recv(_READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self.fail(ConnectionLostError)
                return
            self._reader.feed(data)
            for reply in self._reader.frames():
                self._settle(decode_sound_reply(reply))
        except ProtocolError as error:
            text = error.args[0]
            self.fail(lambda: ProtocolError(text))
        except BaseException as error:  # Perhaps a signal handler's, and what was read is lost.
            self.fail(ConnectionLostError)
            if not isinstance(error, OSError) or not is_of_system_call(error):
                raise

    def _settle(self, reply: Reply) -> None:
        """Hand an answer to who waits for it. Until that is done it is among those who wait: see ``fail``."""
        future, hold = self._waiting.get(reply.number, (None, None))
        if future is not None and not future.done():
            if hold is not None and reply.status is Status.DONE:
                hold.enter()
            future.set_result(reply)
        self._waiting.pop(reply.number, None)


async def _detach_at_shutdown(connection: weakref.ref[LoopConnection]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        if (attached := connection()) is not None:
            attached.detach()


class LoopConnections:
    """The connections of all event loops of this process.

    Args:
        open_connection: Opens another one.
        withdraw: Tells the broker that nobody waits for an answer any more.
    """

    def __init__(self, open_connection: Callable[[], LoopConnection], withdraw: Callable[[Abandon], None]) -> None:
        self._open = open_connection
        self._withdraw = withdraw
        self._of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopConnection] = (
            weakref.WeakKeyDictionary()
        )

    def of_running_loop(self) -> LoopConnection:
        """Return that of the loop that runs in this thread; opens it when there is none.

        Raises:
            RuntimeError: If no loop runs.
            ConnectionLostError: If there is no broker any more.
        """
        loop = asyncio.get_running_loop()
        connection = self._of_loops.get(loop)
        if connection is not None:
            if connection.is_connected():
                return connection
            connection.fail(ConnectionLostError)  # A test has closed it.
        self.end_closed_loops()
        connection = self._open()
        connection.attach(loop)
        self._of_loops[loop] = connection
        return connection

    def end_closed_loops(self) -> None:
        """Close the connections of loops that are closed; what their tasks still waited for is for others."""
        for loop in tuple(self._of_loops):
            if loop.is_closed():
                connection = self._of_loops.pop(loop)
                connection.close()
                for number in connection.waiting_numbers:
                    self._withdraw(Abandon(connection.connection, number))

    def close_copies(self) -> None:
        """Close them in a forked child; the loops are the parent's, and so is what they watch."""
        for connection in tuple(self._of_loops.values()):
            connection.close()
