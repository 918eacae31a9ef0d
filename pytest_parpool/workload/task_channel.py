"""The owner's end of the connection to one worker that does tasks: never blocks, and copies no large part."""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterable
from typing import cast

from pytest_parpool.model.messages import Command, Event
from pytest_parpool.model.task_messages import Spoiled, TaskCommand, TaskEvent
from pytest_parpool.runtime.channel import FAIR_SHARE_BYTES, Channel
from pytest_parpool.runtime.parts import Buffer, PartReader
from pytest_parpool.runtime.sockets import SO_SNDBUF, SOL_SOCKET, RawSocket
from pytest_parpool.workload.task_codec import decode_event, encode_command

_BULK_BYTES = 1 << 15
# Fewer turns for a large task; the kernel cuts it to what it allows.
_SOCKET_BYTES = 1 << 20
# At most so many buffers in one system call; IOV_MAX is 1024 wherever we run.
_MOST_BUFFERS = 256


class TaskChannel(Channel):
    """A channel whose commands and events are those of tasks; the pool in between hands them on unread."""

    def __init__(self, sock: RawSocket) -> None:
        super().__init__(sock)
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, _SOCKET_BYTES)
        self._parts = PartReader(_BULK_BYTES)
        self._buffers: collections.deque[Buffer] = collections.deque()

    def send(self, commands: Iterable[Command]) -> None:
        """Send commands, or keep them until ``send_pending``. Their parts must not change until they are sent."""
        for command in cast("Iterable[TaskCommand]", commands):  # See the class.
            self._buffers += encode_command(command)
        self.send_pending()

    @property
    def has_unsent(self) -> bool:
        """Whether ``send_pending`` should be called once the socket is writable."""
        return bool(self._buffers)

    def send_pending(self) -> None:
        """Send as much of what is kept as the socket takes."""
        buffers = self._buffers
        while buffers:
            some = [buffers[place] for place in range(min(len(buffers), _MOST_BUFFERS))]
            try:
                count = self._send_some(some)
            except BlockingIOError:
                return
            except OSError:
                # Nobody reads there any more. That the process has ended is said by whoever watches processes.
                buffers.clear()
                return
            for buffer in some:
                size = len(buffer)
                if count < size:
                    buffers[0] = memoryview(buffer)[count:]
                    break
                buffers.popleft()
                count -= size

    def _send_some(self, buffers: list[Buffer]) -> int:
        if sys.platform == "win32":
            return self._socket.send(buffers[0])
        return self._socket.sendmsg(buffers)

    def receive(self, limit: int = FAIR_SHARE_BYTES) -> list[Event]:
        """Return the events that have come; ``Spoiled`` is the last one. Sets ``is_ended`` then, and at end-of-file."""
        reader = self._parts
        taken = 0
        while taken < limit:
            space = reader.space()
            try:
                count = self._socket.recv_into(space)
            except BlockingIOError:
                break
            except OSError:
                self.is_ended = True
                break
            if not count:
                self.is_ended = True
                break
            try:
                reader.fill(count)
            except (ValueError, MemoryError) as error:
                return [*self._decode(), *self._spoil(error)]
            taken += count
            if count < len(space):
                break
        return self._decode()

    def _decode(self) -> list[Event]:
        events: list[TaskEvent] = []
        try:
            events += [decode_event(body, parts) for body, parts in self._parts.frames()]
        except (ValueError, EOFError, TypeError, IndexError) as error:
            return [*cast("list[Event]", events), *self._spoil(error)]
        return cast("list[Event]", events)  # See the class.

    def _spoil(self, error: Exception) -> list[Event]:
        """Give up the stream: a task has written into it."""
        self.is_ended = True
        return cast("list[Event]", [Spoiled(f"{type(error).__name__}: {error}")])  # See the class.
