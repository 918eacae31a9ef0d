"""Changes of anything: for those who wait until something they can only look at themselves is true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_parpool.model.sync_requests import AwaitChange
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind
from pytest_parpool.policy.broker.waiting import WaitingList


class Changes(ObjectKind):
    """All who wait for a change."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._waiting = WaitingList()

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {AwaitChange: self._await}

    def tell(self) -> None:
        """Answer all who wait; to be called once behind all changes of one notice."""
        if not self._waiting:  # as a rule
            return
        for call in self._waiting:
            self._desk.answer(call, self._desk.changes)

    def _await(self, call: Call, request: AwaitChange) -> None:
        if request.seen != self._desk.changes:
            self._desk.answer(call, self._desk.changes)
        else:
            self._desk.wait(call, self._waiting, request.timeout)

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        return "nothing has changed"
