"""Arrays: which memory is whose. The memory itself is the process around's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_parpool.model.sync_moves import AnswerWithMemory, CloseMemory
from pytest_parpool.model.sync_requests import OpenArray, Status
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind


class _Array:
    """One array."""

    __slots__ = ("number", "shape", "size_bytes", "type_name")

    def __init__(self, number: int, type_name: str, shape: tuple[int, ...], size_bytes: int) -> None:
        self.number = number
        self.type_name = type_name
        self.shape = shape
        self.size_bytes = size_bytes


class Arrays(ObjectKind):
    """All arrays, numbered in the order in which they were opened first."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._arrays: dict[str, _Array] = {}
        self._count = 0  # of all that were ever made: no number is used twice

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {OpenArray: self._open}

    def forget_name(self, name: str) -> None:
        """See `ObjectKind.forget_name`."""
        array = self._arrays.pop(name, None)
        if array is not None:
            self._desk.moves.append(CloseMemory(array.number))

    def _open(self, call: Call, request: OpenArray) -> None:
        array = self._arrays.get(request.name)
        if array is None:
            array = _Array(self._count, request.type_name, request.shape, request.size_bytes)
            self._count += 1
            self._arrays[request.name] = array
        before = array.type_name, array.shape, array.size_bytes
        now = request.type_name, request.shape, request.size_bytes
        if before != now:
            text = explanations.mismatch(f"array {request.name!r}", "type, shape and size in bytes", before, now)
            self._desk.refuse(call, Status.MISMATCH, text)
            return
        self._desk.moves.append(AnswerWithMemory(call.connection.id, call.number, array.number, array.size_bytes))
