"""Warnings arrive as they were recorded, and nothing that arrives runs code."""

from __future__ import annotations

import sys
import types
import warnings
from typing import Any

import pytest

from pytest_parpool.wire.recorded_warnings import RecordedWarning, dump_warning, load_warning


class OwnWarning(UserWarning):
    """A category of a test's."""


class Outer:
    """Has a category in it."""

    class InnerWarning(DeprecationWarning):
        """A category with a longer name."""


class PickyWarning(UserWarning):
    """A category whose constructor takes what nobody can guess."""

    def __init__(self, code: int, *, reason: str) -> None:
        """Make the text of both."""
        super().__init__(code)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


class CountingWarning(UserWarning):
    """A category whose text is not in its arguments."""

    count = 0

    def __str__(self) -> str:
        return f"the {self.count}th"


class BrokenWarning(UserWarning):
    """A category whose instances cannot be made without its constructor."""

    def __new__(cls, *_args: object, **kwargs: object) -> BrokenWarning:  # noqa: PYI034 - Self came with Python 3.11
        """Insist."""
        if "made" not in kwargs:
            raise TypeError
        return super().__new__(cls)

    def __init__(self, *, made: bool) -> None:
        """Have a text."""
        super().__init__("broken" if made else "")


def third_warning() -> CountingWarning:
    """Return a warning that was told its number later."""
    message = CountingWarning()
    message.count = 3
    return message


def recorded(message: Warning, *, line: str | None = None, location: Any = None) -> RecordedWarning:
    """Return what pytest records when a test warns."""
    shown = warnings.WarningMessage(message, type(message), "test_a.py", 7, line=line)
    return RecordedWarning(shown, "runtest", "test_a.py::test", location)


def travel(sent: RecordedWarning) -> RecordedWarning:
    """Return what arrives."""
    return load_warning(dump_warning(sent))


@pytest.mark.parametrize(
    "message",
    [
        UserWarning("text"),
        UserWarning(),
        DeprecationWarning("\udce4"),
        pytest.PytestWarning("pytest's"),
        OwnWarning("own"),
        Outer.InnerWarning("inner"),
        UserWarning("two", "arguments"),
    ],
    ids=repr,
)
def test_known_categories(message: Warning) -> None:
    """A category that is imported here arrives as itself, and the message with its text."""
    sent = recorded(message, line="warn()", location=("test_a.py", 7, "test"))
    arrived = travel(sent)
    assert arrived.message.category is type(message)
    assert type(arrived.message.message) in (type(message), Warning)
    assert str(arrived.message.message) == str(message)
    for field in ("filename", "lineno", "line"):
        assert getattr(arrived.message, field) == getattr(sent.message, field)
    assert (arrived.when, arrived.nodeid, arrived.location) == (sent.when, sent.nodeid, sent.location)


def test_no_location() -> None:
    """What has no location arrives without one."""
    assert travel(recorded(UserWarning("text"))).location is None


def test_unknown_category() -> None:
    """A category that only the worker knows is stood in for by one of its name and module."""
    category = type("LocalWarning", (UserWarning,), {"__module__": "only_in_the_worker"})
    arrived = travel(recorded(category("text"))).message
    assert (arrived.category.__module__, arrived.category.__name__) == ("only_in_the_worker", "LocalWarning")
    assert issubclass(arrived.category, Warning)
    assert str(arrived.message) == "text"


def test_a_module_is_never_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A category is looked up among what is there; that its module could be imported does not matter."""
    monkeypatch.delitem(sys.modules, "this", raising=False)
    travel(recorded(type("Zen", (UserWarning,), {"__module__": "this"})("text")))
    assert "this" not in sys.modules


def test_a_name_that_is_no_category(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else that has the category's name is not taken for it."""
    module = types.ModuleType("not_a_category")
    module.Odd = print  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "not_a_category", module)
    arrived = travel(recorded(type("Odd", (UserWarning,), {"__module__": "not_a_category"})("text")))
    assert issubclass(arrived.message.category, Warning)


@pytest.mark.parametrize("message", [PickyWarning(3, reason="why"), BrokenWarning(made=True), third_warning()])
def test_categories_that_are_hard_to_make(message: Warning) -> None:
    """Where no instance can be made that shows the text, a plain warning shows it; the category is the same."""
    arrived = travel(recorded(message)).message
    assert arrived.category is type(message)
    assert str(arrived.message) == str(message)
