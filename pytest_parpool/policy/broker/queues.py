"""Queues."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any, ClassVar

from pytest_parpool.model.sync_requests import (
    GetFromQueue,
    JoinQueue,
    Payload,
    PutOnQueue,
    ReadQueue,
    Status,
    TaskDone,
)
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler
from pytest_parpool.policy.broker.parties import Party
from pytest_parpool.policy.broker.sized import SizedKind, SizedObject
from pytest_parpool.policy.broker.waiting import WaitingList


class _Queue(SizedObject):
    """One queue; its size is how much it takes, 0 for any number.

    Attributes:
        unfinished: How many were put and are not done.
        taken: By party how many it got and did not say are done; never 0.
        lost: Who died with such tasks, to be told to who joins; empty if nobody did since that was told.
        last_put: Who put the last, and when; empty if nobody did.
    """

    __slots__ = (
        "getting",
        "joining",
        "last_put",
        "lost",
        "payloads",
        "putting",
        "taken",
        "unfinished",
    )

    noun: ClassVar[str] = "queue"
    size_name: ClassVar[str] = "maxsize"

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size)
        self.payloads: collections.deque[Payload] = collections.deque()
        self.getting = WaitingList()
        self.putting = WaitingList()
        self.joining = WaitingList()
        self.unfinished = 0
        self.taken: dict[Party, int] = {}
        self.lost: list[str] = []
        self.last_put: tuple[str, float] = ("", 0.0)

    @property
    def is_waited_for(self) -> bool:
        """See `SizedObject.is_waited_for`."""
        return bool(self.getting or self.putting or self.joining)

    @property
    def has_room(self) -> bool:
        """Whether one more can be put."""
        return self.size <= 0 or len(self.payloads) < self.size


class Queues(SizedKind[_Queue]):
    """All queues, as ``queue.Queue``.

    What a dead party got and did not finish will never be done: it does not count any more, and who joins is told once.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, _Queue)

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {
            PutOnQueue: self._put,
            GetFromQueue: self._get,
            ReadQueue: self._read,
            TaskDone: self._finish,
            JoinQueue: self._join,
        }

    # --- Requests ----------------------------------------------------------------------------------------------------

    def _put(self, call: Call, request: PutOnQueue) -> None:
        queue = self._open(call, request.name, request.maxsize)
        if queue is None:
            return
        if queue.has_room:
            self._accept(queue, call, request.payload)
            self._serve(queue)
        else:
            self._desk.wait(call, queue.putting, request.timeout)

    def _get(self, call: Call, request: GetFromQueue) -> None:
        queue = self._open(call, request.name, request.maxsize)
        if queue is None:
            return
        if queue.payloads:
            self._give(queue, call)
            self._serve(queue)
        else:
            self._desk.wait(call, queue.getting, request.timeout)

    def _read(self, call: Call, request: ReadQueue) -> None:
        queue = self._open(call, request.name, request.maxsize)
        if queue is not None:
            self._desk.answer(call, (len(queue.payloads), queue.unfinished))

    def _finish(self, call: Call, request: TaskDone) -> None:
        queue = self._open(call, request.name, request.maxsize)
        if queue is None:
            return
        if not queue.unfinished:
            self._desk.refuse(call, Status.NOT_HELD, f"{queue.title} has no unfinished task")
            return
        self._desk.answer(call)
        self._desk.change()
        queue.unfinished -= 1
        if queue.taken:
            # Somebody else may say so for who got it; it was most likely for who got most.
            party = call.party if call.party in queue.taken else max(queue.taken, key=queue.taken.__getitem__)
            self._drop(queue, party)
        self._serve(queue)

    def _join(self, call: Call, request: JoinQueue) -> None:
        queue = self._open(call, request.name, request.maxsize)
        if queue is None:
            return
        if queue.lost:
            lost, queue.lost = queue.lost, []
            self._desk.refuse(call, Status.BROKEN, "\n".join(lost))
        elif queue.unfinished:
            self._desk.wait(call, queue.joining, request.timeout)
        else:
            self._desk.answer(call)

    # --- Giving and taking -------------------------------------------------------------------------------------------

    def _serve(self, queue: _Queue) -> None:
        """Let those go on who can."""
        while True:
            getting, putting = queue.getting.first, queue.putting.first
            if getting is not None and queue.payloads:
                self._give(queue, getting)
            elif putting is not None and queue.has_room:
                assert isinstance(putting.request, PutOnQueue)
                self._accept(queue, putting, putting.request.payload)
            else:
                break
        if not queue.unfinished:
            for call in queue.joining:
                self._desk.answer(call)

    def _accept(self, queue: _Queue, call: Call, payload: Payload) -> None:
        queue.payloads.append(payload)
        queue.unfinished += 1
        queue.last_put = (explanations.asker(call), self._desk.now)
        self._desk.change()
        self._desk.answer(call)

    def _give(self, queue: _Queue, call: Call) -> None:
        party = call.party
        payload = queue.payloads.popleft()
        queue.taken[party] = queue.taken.get(party, 0) + 1
        self._desk.change()

        def undo() -> None:
            # If not, somebody else has said that it was done.
            if party in queue.taken:
                self._drop(queue, party)
                queue.payloads.appendleft(payload)
                self._desk.change()
                self._serve(queue)

        self._desk.grant(call, payload, undo)

    def _drop(self, queue: _Queue, party: Party) -> None:
        queue.taken[party] -= 1
        if not queue.taken[party]:
            del queue.taken[party]

    def bury(self, party: Party, how: str) -> None:
        """See `ObjectKind.bury`."""
        for queue in self._objects.values():
            count = queue.taken.pop(party, 0)
            if not count:
                continue
            # Another party may have said that all is done.
            queue.unfinished -= min(count, queue.unfinished)
            tasks = "an unfinished task" if count == 1 else f"{count} unfinished tasks"
            queue.lost.append(f"{explanations.death(party.name, how)} with {tasks} of {queue.title}")
            self._desk.change()
            if queue.joining:
                lost, queue.lost = queue.lost, []
                for call in queue.joining:
                    self._desk.refuse(call, Status.BROKEN, "\n".join(lost))

    # --- Waiting -----------------------------------------------------------------------------------------------------

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        queue = self._objects[call.name]
        match call.request:
            case PutOnQueue():
                ahead = explanations.ahead(queue.putting.before(call))
                return f"{queue.title} is full, it has {len(queue.payloads)} of {queue.size}{ahead}"
            case JoinQueue():
                taken = "; ".join(f"{party.name} got {count} of them" for party, count in queue.taken.items())
                return f"{queue.title} has unfinished tasks: {queue.unfinished}{'; ' + taken if taken else ''}"
            case _:
                return (
                    f"{queue.title} is empty; {self._last_put(queue)}{explanations.ahead(queue.getting.before(call))}"
                )

    def _last_put(self, queue: _Queue) -> str:
        name, at = queue.last_put
        if not name:
            return "nothing was ever put on it"
        return f"the last was put by {name}, {explanations.seconds(self._desk.now - at)} ago"
