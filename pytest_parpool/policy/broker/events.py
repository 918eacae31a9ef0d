"""Events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_parpool.model.sync_requests import ClearEvent, IsEventSet, SetEvent, WaitEvent
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind
from pytest_parpool.policy.broker.waiting import WaitingList


class _Event:
    """One event.

    Attributes:
        cleared_by: Who cleared it last, while it was set; empty if nobody did.
        cleared_at: When.
    """

    __slots__ = ("cleared_at", "cleared_by", "is_set", "waiting")

    def __init__(self) -> None:
        self.is_set = False
        self.waiting = WaitingList()
        self.cleared_by = ""
        self.cleared_at = 0.0


class Events(ObjectKind):
    """All events. They belong to nobody, so that no death changes them."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._events: dict[str, _Event] = {}

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {SetEvent: self._set, ClearEvent: self._clear, IsEventSet: self._is_set, WaitEvent: self._wait}

    def forget_name(self, name: str) -> None:
        """See `ObjectKind.forget_name`."""
        event = self._events.get(name)
        if event is not None and not event.waiting:
            del self._events[name]

    def _set(self, call: Call, request: SetEvent) -> None:
        event = self._event(request.name)
        self._desk.answer(call)
        if event.is_set:
            return
        event.is_set = True
        self._desk.change()
        for waiting in event.waiting:
            self._desk.answer(waiting)

    def _clear(self, call: Call, request: ClearEvent) -> None:
        event = self._event(request.name)
        self._desk.answer(call)
        if not event.is_set:
            return
        event.is_set = False
        event.cleared_by = explanations.asker(call)
        event.cleared_at = self._desk.now
        self._desk.change()

    def _is_set(self, call: Call, request: IsEventSet) -> None:
        self._desk.answer(call, self._event(request.name).is_set)

    def _wait(self, call: Call, request: WaitEvent) -> None:
        event = self._event(request.name)
        if event.is_set:
            self._desk.answer(call)
        else:
            self._desk.wait(call, event.waiting, request.timeout)

    def title(self, call: Call) -> str:
        """See `ObjectKind.title`."""
        return f"event {call.name!r}"

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        event = self._event(call.name)
        if not event.cleared_by:
            return f"{self.title(call)} was never set"
        ago = explanations.seconds(self._desk.now - event.cleared_at)
        return f"{self.title(call)} is not set; it was cleared by {event.cleared_by}, {ago} ago"

    def _event(self, name: str) -> _Event:
        event = self._events.get(name)
        if event is None:
            event = self._events[name] = _Event()
        return event
