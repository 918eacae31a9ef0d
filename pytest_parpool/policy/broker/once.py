"""What is run once, by whoever comes first, for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_parpool.model.sync_requests import BeginOnce, EndOnce, Payload, Status
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call, Hold
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind, Obstacles
from pytest_parpool.policy.broker.parties import Party
from pytest_parpool.policy.broker.waiting import WaitingList


class _Once:
    """One thing to be run.

    Attributes:
        runner: Who runs it; None if nobody does, before it was run or after.
        outcome: What came out, as it is answered; None before.
    """

    __slots__ = ("outcome", "runner", "waiting")

    def __init__(self) -> None:
        self.waiting = WaitingList()
        self.runner: Hold | None = None
        self.outcome: tuple[str, Payload] | None = None


class Onces(ObjectKind):
    """All that is run once. If who runs it dies, the next one does."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._onces: dict[str, _Once] = {}

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {BeginOnce: self._begin, EndOnce: self._end}

    def _begin(self, call: Call, request: BeginOnce) -> None:
        once = self._onces.get(request.name)
        if once is None:
            once = self._onces[request.name] = _Once()
        if once.outcome is not None:
            self._desk.answer(call, once.outcome)
        elif once.runner is None:
            self._give(once, call)
        else:
            self._desk.wait(call, once.waiting, request.timeout)

    def _end(self, call: Call, request: EndOnce) -> None:
        once = self._onces.get(request.name)
        if once is None or once.runner is None or once.runner.party is not call.party:
            self._desk.refuse(call, Status.NOT_HELD, f"{self.title(call)} is not run by {call.party.name}")
            return
        once.runner = None
        once.outcome = ("failed" if request.is_failure else "done", request.payload)
        self._desk.change()
        self._desk.answer(call)
        for waiting in once.waiting:
            self._desk.answer(waiting, once.outcome)

    def _give(self, once: _Once, call: Call) -> None:
        hold = once.runner = Hold.of(call, self._desk.now, "run by")

        def undo() -> None:
            if once.runner is hold:
                self._pass_on(once)

        self._desk.grant(call, ("run", None), undo)

    def _pass_on(self, once: _Once) -> None:
        once.runner = None
        first = once.waiting.first
        if first is not None:
            self._give(once, first)

    def bury(self, party: Party, how: str) -> None:
        """See `ObjectKind.bury`."""
        for once in self._onces.values():
            if once.runner is not None and once.runner.party is party:
                self._pass_on(once)

    def title(self, call: Call) -> str:
        """See `ObjectKind.title`."""
        return f"once {call.name!r}"

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        runner = self._onces[call.name].runner
        assert runner is not None, "nobody waits for what nobody runs"
        return f"{self.title(call)} is run by {explanations.holder(runner, self._desk.now)}"

    def obstacles(self, call: Call) -> Obstacles:
        """See `ObjectKind.obstacles`."""
        runner = self._onces[call.name].runner
        return Obstacles(() if runner is None else (runner,))
