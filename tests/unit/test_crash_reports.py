"""What is shown of a dead worker's Python stack."""

from __future__ import annotations

import os

import pytest

from pytest_parpool.controller.crashes import crash_report
from pytest_parpool.runtime.outputs import LastOutput


class Crashed:
    """As much of an item as a report needs."""

    nodeid = "test_a.py::test_call"
    location = ("test_a.py", 0, "test_call")


def shown(stack: str) -> str:
    """Return what the report shows of it."""
    item: pytest.Item = Crashed()  # type: ignore[assignment]  # See the class.
    report = crash_report(item, "it crashed", [], LastOutput(stack=stack))
    ((_, text),) = report.sections
    return text


def frame(path: str, function: str) -> str:
    """Return a line as ``faulthandler`` writes it."""
    return f'  File "{path}", line 1 in {function}'


OWN_LOOP = frame(os.path.join("site", "pytest_parpool", "worker", "executor.py"), "run")
OWN_THREAD = frame(os.path.join("site", "pytest_parpool", "runtime", "windows", "interrupts.py"), "_pass_on")


def test_it_ends_where_the_test_does() -> None:
    """What called our loop is not shown."""
    lines = [
        "Fatal Python error: Aborted",
        "",
        "Current thread 1 (most recent call first):",
        frame("test_a.py", "test"),
    ]
    assert shown("\n".join([*lines, OWN_LOOP, frame("main.py", "main")])) == "\n".join(lines)


def test_frames_that_repeat_are_counted() -> None:
    """A recursion is one line."""
    again = frame("test_a.py", "deeper")
    assert shown("\n".join([again] * 5)) == f"{again}\n  ... and 4 times the same"


def test_our_own_thread_is_not_shown() -> None:
    """It waits for Ctrl-C on Windows; other threads are the user's."""
    head = "Fatal Python error: Segmentation fault"
    own = f"Thread 1 (most recent call first):\n{OWN_THREAD}"
    users = f"Thread 2 (most recent call first):\n{frame('app.py', 'poll')}"
    current = f"Current thread 3 (most recent call first):\n{frame('test_a.py', 'test')}"
    assert shown("\n\n".join([head, own, users, current])) == "\n\n".join([head, users, current])
