"""The report queue: one stream per worker, read together.

One ``multiprocessing.Queue`` for all would be simpler, and loses runs: a worker that is killed while it writes keeps
the queue's lock, or cuts its stream in the middle, for everybody. Here a dead writer can spoil nothing but its own last
frame.

The selector is kept for the whole run: ``multiprocessing.connection.wait`` builds one per call.
"""

from __future__ import annotations

import selectors
from typing import TypeAlias

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.channel import Channel
from pytest_parpool.runtime.sockets import stream_pair
from pytest_parpool.runtime.spawner import Spawner

Source: TypeAlias = "Channel | Spawner | int"


class ReportQueue:
    """Says from whom something can be read. Owns the selector, and sockets to wake up by, not what it watches."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        # What the selector looks for; to ask itself costs more than most of what is done for an event.
        self._channels: dict[Channel, int] = {}
        try:
            self._wake_read, self._wake_write = stream_pair()
        except OSError:
            self._selector.close()
            raise
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)

    def watch(self, source: Channel | Spawner, worker: WorkerId | None) -> None:
        """Look after a source from now on."""
        self._selector.register(source, selectors.EVENT_READ, (source, worker))
        if isinstance(source, Channel):
            self._channels[source] = selectors.EVENT_READ

    def watch_fd(self, fd: int, worker: WorkerId) -> None:
        """Look after a process's pidfd from now on."""
        self._selector.register(fd, selectors.EVENT_READ, (fd, worker))

    def update(self, channel: Channel, worker: WorkerId) -> None:
        """Look for what the channel needs now: writability while something is unsent, nothing after its end."""
        if channel.is_ended:
            self.forget(channel)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.has_unsent else 0)
        if self._channels.get(channel, events) != events:
            self._channels[channel] = events
            self._selector.modify(channel, events, (channel, worker))

    def forget(self, source: Channel | Spawner) -> None:
        """Look after a source no more; one that is not watched is fine."""
        if source in self._selector.get_map():
            self._selector.unregister(source)
        if isinstance(source, Channel):
            self._channels.pop(source, None)

    def forget_fd(self, fd: int) -> None:
        """Look after a pidfd no more; one that is not watched is fine."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    @property
    def wake_fd(self) -> int:
        """What wakes ``select`` when something is written to it; for ``signal.set_wakeup_fd``."""
        return self._wake_write.fileno()

    def wake(self) -> None:
        """Have ``select`` return soon. May be called in a signal handler."""
        try:
            self._wake_write.send(b"!")
        except BlockingIOError:
            pass  # It is full of wake-ups already.

    def select(self, timeout_seconds: float | None) -> list[tuple[Source, WorkerId | None]]:
        """Wait until a source has something, somebody called ``wake``, or time is up; return the sources."""
        found: list[tuple[Source, WorkerId | None]] = []
        for key, _ in self._selector.select(timeout_seconds):
            if key.data is None:
                self._swallow_wakes()
            else:
                found.append(key.data)
        return found

    def _swallow_wakes(self) -> None:
        try:
            self._wake_read.recv(4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close the selector, and what it is woken by."""
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()
