"""Values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_parpool.model.sync_requests import (
    AddToValue,
    CompareAndSetValue,
    GetValue,
    OpenValue,
    Payload,
    SetValue,
    Status,
)
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind


class Values(ObjectKind):
    """All values. Each request is done in one go, so that no two can come between each other."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._values: dict[str, Payload] = {}

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {
            OpenValue: self._open,
            GetValue: self._get,
            SetValue: self._set,
            AddToValue: self._add,
            CompareAndSetValue: self._compare_and_set,
        }

    def forget_name(self, name: str) -> None:
        """See `ObjectKind.forget_name`."""
        self._values.pop(name, None)

    def _open(self, call: Call, request: OpenValue) -> None:
        if request.name not in self._values:
            self._values[request.name] = request.initial
            self._desk.change()
        self._desk.answer(call)

    def _get(self, call: Call, request: GetValue) -> None:
        if self._is_open(call, request.name):
            self._desk.answer(call, self._values[request.name])

    def _set(self, call: Call, request: SetValue) -> None:
        if self._is_open(call, request.name):
            self._values[request.name] = request.payload
            self._desk.change()
            self._desk.answer(call)

    def _add(self, call: Call, request: AddToValue) -> None:
        if not self._is_open(call, request.name):
            return
        kind, value = self._values[request.name]
        amount_kind, amount = request.amount
        if kind != "plain" or amount_kind != "plain":
            what = "it is" if kind != "plain" else "what is to be added is"
            text = f"cannot add to value {request.name!r}: {what} neither a number nor a string; use update()"
            self._desk.refuse(call, Status.UNFIT, text)
            return
        try:
            payload = ("plain", value + amount)
        except (TypeError, ArithmeticError) as error:
            self._desk.refuse(call, Status.UNFIT, f"cannot add {amount!r} to value {request.name!r}: {error}")
            return
        self._values[request.name] = payload
        self._desk.change()
        self._desk.answer(call, payload)

    def _compare_and_set(self, call: Call, request: CompareAndSetValue) -> None:
        if not self._is_open(call, request.name):
            return
        is_expected = self._values[request.name] == request.expected
        if is_expected:
            self._values[request.name] = request.new
            self._desk.change()
        self._desk.answer(call, is_expected)

    def _is_open(self, call: Call, name: str) -> bool:
        """Return whether a value is there; if not, the call is refused."""
        if name in self._values:
            return True
        self._desk.refuse(call, Status.UNFIT, f"value {name!r} was never opened; give it an initial value first")
        return False
