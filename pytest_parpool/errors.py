"""The exceptions of this package: one tree, and each class says whose fault it is.

All of them carry their message in ``args`` and so survive pickling.
"""

from __future__ import annotations


class ParpoolError(Exception):
    """The root of the tree; catch it to catch everything that this package raises on purpose."""


class BadSettingError(ParpoolError):
    """The user's fault: an option, ini value or environment variable cannot be used.

    The message is always a single line, because pytest shows it behind ``ERROR:``; the adapter turns this exception
    into ``pytest.UsageError`` (exit code 4).
    """

    def __init__(self, message: str) -> None:
        # Texts of foreign exceptions may be part of the message, and those may have many lines.
        super().__init__(" ".join(message.splitlines()))

    @classmethod
    def for_value(cls, source: str, value: object, allowed: str) -> BadSettingError:
        """Make the usual message.

        Args:
            source: Where the value comes from, as the user wrote it, e.g. ``--maxprocesses``.
            value: What was given.
            allowed: What may be given instead, as the object of "give".
        """
        return cls(f"{source}: {value!r} is not allowed; give {allowed}")


class WorkerError(ParpoolError):
    """A worker's fault: its process could not be started, or could not do its part, through no fault of a test."""


class ProtocolError(ParpoolError):
    """Our fault: two parts of this package misunderstood each other."""

    def __str__(self) -> str:
        """Say what happened, and that we want to hear of it."""
        return f"{super().__str__()} (this is a bug in pytest-parpool, please report it)"
