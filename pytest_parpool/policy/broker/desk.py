"""What all kinds of objects use: to answer a call, to grant it, to let it wait, and to have time pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pytest_parpool.model.sync_moves import Answer, Move
from pytest_parpool.model.sync_requests import Status
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.deadlines import Deadlines
from pytest_parpool.policy.broker.parties import Lane
from pytest_parpool.policy.broker.waiting import WaitingList
from pytest_parpool.policy.broker.waits_for import find_deadlock


class Desk:
    """Where calls are answered.

    Attributes:
        now: The time of the notice that is being handled.
        turn: How many notices came; what came of a ``Try`` or an ``Inspect`` belongs to the notice that led to it.
        moves: What is to be done because of it.
        changes: How many changes there were, of anything that a user can see.
        deadlines: What is to be done later.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.turn = 0
        self.moves: list[Move] = []
        self.changes = 0
        self.deadlines = Deadlines()
        self._calls_of: dict[Lane, list[Call]] = {}

    # --- Answers -----------------------------------------------------------------------------------------------------

    def answer(self, call: Call, value: Any = None) -> None:
        """Say that it is done; if it waited, it does not any more."""
        self._end(call, Status.DONE, value)

    def grant(self, call: Call, value: Any, undo: Callable[[], None]) -> None:
        """Answer, and remember what to do should whoever asked not look at the answer any more.

        Args:
            call: The call.
            value: The answer's.
            undo: Called at most once. It has to see for itself whether there is still anything to undo.
        """
        call.connection.keep_grant(call.origin.lane, call.number, undo)
        self._end(call, Status.DONE, value)

    def refuse(self, call: Call, status: Status, text: str) -> None:
        """Say that, and why, it is not done; if it waited, it does not any more."""
        self._end(call, status, text)

    def change(self) -> None:
        """Count a change of anything that a user can see."""
        self.changes += 1

    def _end(self, call: Call, status: Status, value: Any) -> None:
        if call.is_waiting:
            self.leave(call)
        self.moves.append(Answer(call.connection.id, call.number, status, value))

    # --- Waiting -----------------------------------------------------------------------------------------------------

    def wait(self, call: Call, waiting: WaitingList, timeout: float | None) -> None:
        """Let a call wait at the end of a list, unless it does not want to.

        A call that does not want to wait has timed out at once. One that would wait for ever, because it waits for
        somebody who waits for it, is refused, or another one is.
        """
        if timeout is not None and timeout <= 0:
            call.timeout = timeout
            call.kind.time_out(call)
        else:
            self.enqueue(call, waiting, timeout)

    def enqueue(self, call: Call, waiting: WaitingList, timeout: float | None) -> None:
        """Let a call wait at the end of a list, even if only until ``Passed``."""
        # "For ever" is said in two ways; a time that is not a number would put the deadlines into disorder.
        call.timeout = timeout if timeout is not None and timeout < math.inf else None
        call.place = waiting
        call.is_waiting = True
        waiting.add(call)
        call.connection.waiting[call.number] = call
        self._calls_of.setdefault(call.lane, []).append(call)
        if call.timeout is None:
            self.look_for_deadlock(call)
        else:
            at = self.now + max(0.0, call.timeout)
            call.deadline = self.deadlines.add(at, lambda: call.kind.time_out(call))

    def leave(self, call: Call) -> None:
        """Take a call that waits out of its list. Its place is still known."""
        assert call.place is not None
        call.place.remove(call)
        call.is_waiting = False
        del call.connection.waiting[call.number]
        calls = self._calls_of[call.lane]
        calls.remove(call)
        if not calls:
            del self._calls_of[call.lane]
        if call.deadline is not None:
            self.deadlines.cancel(call.deadline)
            call.deadline = None

    def withdraw(self, call: Call) -> None:
        """Forget a call that waits: nobody wants its answer."""
        self.leave(call)
        call.kind.forget(call)
        # A lane that was interrupted may already wait for something else; only now does it wait for nothing but that.
        for other in list(self._calls_of.get(call.lane, ())):
            self.look_for_deadlock(other)

    # --- Deadlocks ---------------------------------------------------------------------------------------------------

    def look_for_deadlock(self, call: Call) -> None:
        """Refuse the last comer of each deadlock that a call is part of, or waits for.

        Whether a party still holds a lock that it took by itself may have to be asked first: what it says of letting
        it go comes on a way of its own. Then this is called again when that is known.
        """
        while call.is_waiting:
            deadlock = find_deadlock(call, self._calls_of_lane)
            if deadlock is None:
                return
            # All of them are asked at once, so that one more look is enough.
            outdated = [stuck for stuck in deadlock.stuck if not stuck.kind.is_current(stuck)]
            if outdated:
                return
            last = deadlock.edges[0][0]
            self.refuse(last, Status.DEADLOCK, explanations.cycle(deadlock.edges, self.now))
            last.kind.forget(last)

    def _calls_of_lane(self, lane: Lane | None) -> Sequence[Call]:
        return self._calls_of.get(lane, ()) if lane is not None else ()
