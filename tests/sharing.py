"""What tests of shared objects share: children of this process, and waiting with a deadline."""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from pytest_parpool.runtime.slots import PartySlots
from pytest_parpool.sync.lock import Lock

if TYPE_CHECKING:
    from typing_extensions import Self

DEADLINE_SECONDS = 60.0


def until(is_so: Callable[[], object], complaint: str) -> None:
    """Wait until something is true, with a deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.001)


def brokers(token: str) -> list[int]:
    """Return the process ids of a run's brokers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().endswith(token.encode() + b"\0"):
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):  # noqa: PERF203  -- it has ended meanwhile
            continue
    return found


class Child:
    """A forked child that runs one function; waits for nothing for longer than the deadline."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._result_fd, write_fd = os.pipe()
        self._data = b""
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.alarm(int(DEADLINE_SECONDS))  # whatever comes, it does not outlive the test for long
                try:
                    outcome: tuple[bool, object] = (True, function())
                except BaseException as error:  # noqa: BLE001  -- handed over to the parent
                    outcome = (False, error)
                os.write(write_fd, pickle.dumps(outcome))
            finally:
                os._exit(0)
        os.close(write_fd)

    def kill(self) -> None:
        """End it, and wait for that."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._result_fd)

    def result(self) -> Any:
        """Return what the function returned, or raise what it raised."""
        poll = select.poll()
        poll.register(self._result_fd, select.POLLIN)
        data = b""
        while True:
            assert poll.poll(DEADLINE_SECONDS * 1000), "the child did not end"
            chunk = os.read(self._result_fd, 65536)
            if not chunk:
                break
            data += chunk
        os.close(self._result_fd)
        os.waitpid(self.pid, 0)
        is_good, value = pickle.loads(data)
        if not is_good:
            raise value
        return value


class Interrupter:
    """Raises KeyboardInterrupt at one line of what is called within it, as a signal handler may.

    Args:
        line: How many lines of the proxies and the slots are let pass before.
    """

    def __init__(self, line: int) -> None:
        self._left = line
        self._before: Any = None
        self.has_raised = False

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        name = frame.f_code.co_filename
        if "pytest_parpool/sync" not in name and "pytest_parpool/runtime" not in name:
            return None
        if event == "line" and not self.has_raised:
            self._left -= 1
            if self._left < 0:
                self.has_raised = True
                raise KeyboardInterrupt
        return self._trace


def is_marked(lock: Lock) -> bool:
    """Whether somebody waits for a lock at the broker, or has it from there."""
    slots = lock._party.connections.slots
    assert slots is not None
    return is_marked_slot(slots, lock._party.locks._slot_of[lock.name])


def is_marked_slot(slots: PartySlots, slot: int) -> bool:
    """Whether somebody waits for a slot's lock at the broker, or has it from there."""
    return slots.is_marked(slot)
