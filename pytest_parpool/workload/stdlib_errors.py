"""Errors that are multiprocessing's, too, so that handlers written for its pool catch them.

Nobody has to load multiprocessing to use a pool: this module is imported when the first of them is raised, or named.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.pool import MaybeEncodingError, RemoteTraceback  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from pytest_parpool.errors import ParpoolError

if TYPE_CHECKING:

    class _MaybeEncodingError(Exception):
        exc: str
        value: str

else:
    _MaybeEncodingError = MaybeEncodingError

__all__ = ["RemoteTraceback", "ResultTimeoutError", "UnpicklableResultError"]


class ResultTimeoutError(ParpoolError, multiprocessing.TimeoutError, TimeoutError):
    """There was no result in time; the task goes on. The text says which, and for how long it has been running."""


class UnpicklableResultError(ParpoolError, _MaybeEncodingError):
    """A result, or an exception, that cannot be sent back, or not be rebuilt here.

    Attributes:
        exc: The ``repr`` of what pickle raised.
        value: The ``repr`` of what was to be sent, shortened.
    """

    def __init__(self, message: str, exc: str, value: str) -> None:
        super().__init__(exc, value)
        self.args = (message, exc, value)
        # Multiprocessing's takes the repr of both, which are texts already.
        self.exc = exc
        self.value = value

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args
