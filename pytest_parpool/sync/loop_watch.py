"""Has an event loop call back when a socket is ready, also a loop that knows no sockets but its own.

That is the loop that is Windows' default: its ``add_reader`` is not implemented. There a thread waits for the socket,
and has the loop called when something has come; no thread of ``threading``, which tests count.
"""

from __future__ import annotations

import _thread
import asyncio
import select
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from pytest_parpool.runtime.sockets import SHUT_RDWR, RawSocket

# How long until it is tried again to send what the broker has not taken, which is seldom.
_RETRY_SECONDS: Final = 0.01

_select = select.select


class LoopWatch(ABC):
    """Watches one socket for one loop. Does not keep the loop alive, which is given to each method that needs it."""

    @abstractmethod
    def begin(self, loop: asyncio.AbstractEventLoop, react: Callable[[], None]) -> None:
        """Have ``react`` called in the loop whenever there is something to be read."""

    @abstractmethod
    def look_for_room(self, loop: asyncio.AbstractEventLoop, send: Callable[[], None] | None) -> None:
        """Have ``send`` called in the loop when something can be written; None if nothing is to be."""

    @abstractmethod
    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop, which is not closed, call nobody any more."""

    @abstractmethod
    def forget(self) -> None:
        """Let go of the socket, which is closed next."""


class LoopsOwnWatch(LoopWatch):
    """By the loop itself.

    Args:
        sock: Non-blocking.
    """

    def __init__(self, sock: RawSocket) -> None:
        self._fd = sock.fileno()

    def begin(self, loop: asyncio.AbstractEventLoop, react: Callable[[], None]) -> None:
        """See ``LoopWatch``."""
        loop.add_reader(self._fd, react)

    def look_for_room(self, loop: asyncio.AbstractEventLoop, send: Callable[[], None] | None) -> None:
        """See ``LoopWatch``."""
        if send is not None:
            loop.add_writer(self._fd, send)
        else:
            loop.remove_writer(self._fd)

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """See ``LoopWatch``."""
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)

    def forget(self) -> None:
        """See ``LoopWatch``."""


class ThreadWatch(LoopWatch):
    """By a thread.

    Args:
        sock: Non-blocking.
    """

    def __init__(self, sock: RawSocket) -> None:
        self._sock = sock
        self._is_over = False
        # Held while the loop has not read yet what the thread has seen.
        self._turn = _thread.allocate_lock()
        self._retry: asyncio.TimerHandle | None = None

    def begin(self, loop: asyncio.AbstractEventLoop, react: Callable[[], None]) -> None:
        """See ``LoopWatch``."""
        _thread.start_new_thread(self._watch, (weakref.ref(loop), react))

    def _watch(self, loop: weakref.ref[asyncio.AbstractEventLoop], react: Callable[[], None]) -> None:
        while True:
            self._turn.acquire()
            try:
                _select([self._sock], [], [])
                if self._is_over or (alive := loop()) is None:
                    return
                alive.call_soon_threadsafe(self._react, react)
                del alive
            except (OSError, ValueError, RuntimeError):  # The socket, or the loop, is closed.
                return

    def _react(self, react: Callable[[], None]) -> None:
        try:
            if not self._is_over:
                react()
        finally:
            self._turn.release()

    def look_for_room(self, loop: asyncio.AbstractEventLoop, send: Callable[[], None] | None) -> None:
        """See ``LoopWatch``."""
        if self._retry is not None:
            self._retry.cancel()
        self._retry = None if send is None else loop.call_later(_RETRY_SECONDS, send)

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """See ``LoopWatch``."""
        self.look_for_room(loop, None)
        self.forget()

    def forget(self) -> None:
        """See ``LoopWatch``."""
        self._is_over = True
        try:
            self._sock.shutdown(SHUT_RDWR)  # The thread wakes, and ends.
        except OSError:  # The broker has gone, or it is closed.
            pass


def make_watch(loop: asyncio.AbstractEventLoop, sock: RawSocket) -> LoopWatch:
    """Return what can watch a socket for a loop."""
    try:
        loop.remove_reader(sock.fileno())
    except NotImplementedError:
        return ThreadWatch(sock)
    return LoopsOwnWatch(sock)
