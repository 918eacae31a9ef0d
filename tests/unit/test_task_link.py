"""The two ends of the connection to a worker that does tasks."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import cast

import pytest

from pytest_parpool.model.messages import Command, Event, Recalled
from pytest_parpool.model.task_messages import Assignment, Do, Done, Leave, Part, Spoiled, TaskCommand
from pytest_parpool.runtime.ledger import Page
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.runtime.link_ends import FdEnd
from pytest_parpool.workload.task_channel import TaskChannel
from pytest_parpool.workload.task_codec import encode_event
from pytest_parpool.workload.task_link import TaskLink

DEADLINE_SECONDS = 60.0  # for what takes milliseconds
MEGABYTES = 20


class Ends:
    """Both ends."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.channel = TaskChannel(ours)
        self.page = Page.private()
        self.raw = theirs
        self.link = TaskLink(WorkerLink(FdEnd(theirs.fileno()), self.page))

    def command(self, *commands: TaskCommand) -> None:
        """Send commands to the worker."""
        self.channel.send(cast("list[Command]", commands))

    def give(self, *tasks: int, parts: tuple[Part, ...] = (b"",)) -> None:
        """Send tasks to the worker."""
        self.command(Do([Assignment(task, False, parts) for task in tasks]))

    def events(self, count: int) -> list[Event]:
        """Return so many events."""
        found: list[Event] = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(found) < count:
            assert time.monotonic() < deadline, found
            self.channel.send_pending()
            found += self.channel.receive()
        return found

    def next_number(self) -> int | None:
        """Return the number of the worker's next task."""
        task = self.link.next_task()
        return None if task is None else task.task


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Both ends of a connection."""
    ends = Ends()
    yield ends
    ends.channel.close()
    ends.raw.close()


def test_tasks_come_in_order(ends: Ends) -> None:
    """Each is claimed when it is taken; in the end the worker leaves."""
    ends.give(4, 5)
    ends.give(6)
    ends.command(Leave())
    assert [ends.next_number(), ends.page.claimed] == [4, 1]
    assert [ends.next_number(), ends.next_number(), ends.page.claimed] == [5, 6, 3]
    assert ends.next_number() is None


def test_what_is_taken_back_is_not_begun(ends: Ends) -> None:
    """The worker goes on with what it is given later."""
    ends.give(4, 5, 6)
    assert ends.next_number() == 4
    assert ends.page.take_back(1) == 1
    ends.command(Recalled(1))
    ends.give(7)
    assert ends.next_number() == 7
    assert ends.page.claimed == 2
    assert ends.page.take_back(2) == 2


def test_what_is_claimed_stays(ends: Ends) -> None:
    """A task that the worker has begun meanwhile is not taken back."""
    ends.give(4, 5, 6)
    assert ends.next_number() == 4
    assert ends.next_number() == 5
    assert ends.page.take_back(1) == 2
    ends.command(Recalled(2), Leave())
    assert ends.next_number() is None
    assert ends.page.claimed == 2


def test_the_step_is_unknown_between_tasks(ends: Ends) -> None:
    """A worker that dies before the first call of a task is in none of its calls."""
    ends.link.step[0] = 7
    ends.give(4)
    ends.next_number()
    assert ends.page.step[0] == -1


def test_large_payloads_pass_in_both_directions(ends: Ends) -> None:
    """Neither end waits for the other one to read first."""
    data = bytes(MEGABYTES << 20)
    ends.give(0, parts=(b"pickle", data))

    def work() -> None:
        task = ends.link.next_task()
        assert task is not None
        ends.link.send(Done(0, 0.0, task.parts))

    thread = threading.Thread(target=work)
    thread.start()
    (event,) = ends.events(1)
    thread.join(DEADLINE_SECONDS)
    assert isinstance(event, Done)
    assert [len(part) for part in event.parts] == [6, len(data)]


def test_many_parts(ends: Ends) -> None:
    """More than fit into one system call."""
    parts = tuple(bytes([place % 256]) * 10 for place in range(3000))
    ends.give(0, parts=parts)
    task = ends.link.next_task()
    assert task is not None
    assert tuple(map(bytes, task.parts)) == parts
    ends.link.send(Done(0, 0.0, task.parts))
    (event,) = ends.events(1)
    assert isinstance(event, Done)
    assert tuple(map(bytes, event.parts)) == parts


@pytest.mark.parametrize("nonsense", [b"\x00" * 100, b"nonsense of some length"])
def test_nonsense_ends_the_connection(ends: Ends, nonsense: bytes) -> None:
    """What came before is heard; the owner is told once."""
    ends.link.send(Done(1, 0.0, (b"",)))
    os.write(ends.raw.fileno(), nonsense)
    before, spoiled = ends.events(2)
    assert isinstance(before, Done)
    assert isinstance(spoiled, Spoiled)
    assert ends.channel.is_ended


def test_a_body_that_is_no_event_ends_the_connection(ends: Ends) -> None:
    """As it does if it looks like a frame."""
    (frame,) = encode_event(Done(1, 0.0, (b"",)))
    os.write(ends.raw.fileno(), bytes(frame[:12]) + b"?" * (len(frame) - 12))
    assert isinstance(ends.events(1)[0], Spoiled)


def test_a_lost_connection_is_an_error(ends: Ends) -> None:
    """For the worker, in both directions; for the owner it is only the end of it."""
    ends.channel.close()
    with pytest.raises(LinkLostError):
        ends.link.next_task()
    with pytest.raises(LinkLostError):
        ends.link.send(Done(1, 0.0, (b"",)))
    other = Ends()
    other.raw.close()
    other.give(1, parts=(bytes(1 << 22),))
    assert not other.channel.has_unsent
    assert other.channel.receive() == []
    assert other.channel.is_ended
    with pytest.raises(LinkLostError):
        other.link.send(Done(1, 0.0, (b"",)))
    with pytest.raises(LinkLostError):
        other.link.next_task()
    other.channel.close()
