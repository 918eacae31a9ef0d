"""How a process gets out of its parent's process group, and away from a terminal."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from pytest_parpool.runtime.apart import find_way_out, lead_group, lead_session
from tests.sharing import Child

GROUP_AND_TERMINAL = (True, False, True)
GROUP_ALONE = (True, False, False)
SESSION = (True, True, False)


def state_after(act: Callable[[], None], *, has_terminal: bool) -> tuple[bool, bool, bool]:
    """Return whether a process leads a group and a session, and has a terminal, once it has acted.

    Args:
        act: What it does.
        has_terminal: Whether the session that it is born in has a terminal.
    """

    def lead() -> object:
        os.setsid()
        if has_terminal:
            _, end = os.openpty()
            os.open(os.ttyname(end), os.O_RDWR)  # The first one that the leader of a session opens is its terminal.
        return Child(follow).result()

    def follow() -> tuple[bool, bool, bool]:
        assert can_open_terminal() is has_terminal
        act()
        return os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid(), can_open_terminal()

    result: tuple[bool, bool, bool] = Child(lead).result()
    return result


def can_open_terminal() -> bool:
    """Whether this process has a terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False
    return True


def take_way_out() -> None:
    """Have a child follow what it has found out itself: here that is the same as what its parent would find."""
    find_way_out()()


def test_a_group_is_led_where_there_is_no_terminal() -> None:
    """Then there is nothing that a session would be good for."""
    assert state_after(take_way_out, has_terminal=False) == GROUP_ALONE


def test_a_session_is_led_where_there_is_a_terminal() -> None:
    """Nothing there can stop the process any more."""
    assert state_after(take_way_out, has_terminal=True) == SESSION


def test_a_group_is_led_beside_a_terminal() -> None:
    """Whoever wants no more than a group keeps the terminal."""
    assert state_after(lead_group, has_terminal=True) == GROUP_AND_TERMINAL


@pytest.mark.parametrize("has_terminal", [True, False])
def test_who_leads_a_session_goes_on_to_lead_it(has_terminal: bool) -> None:
    """To be asked twice does no harm."""

    def lead_twice() -> None:
        lead_session()
        lead_session()

    assert state_after(lead_twice, has_terminal=has_terminal) == SESSION


def test_a_terminal_that_cannot_be_asked_for_is_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the file that stands for it, a session is led to be sure."""

    def refuse(*_: object) -> int:
        raise FileNotFoundError(errno.ENOENT, "no such file")

    def leave_blindly() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            take_way_out()

    assert state_after(leave_blindly, has_terminal=False) == SESSION
