"""Takes a process out of its parent's process group, and away from the terminal that the parent may have."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable


def lead_session() -> None:
    """Lead a session, and so a process group: what touches a terminal is not stopped, and Ctrl-C there is not heard."""
    with contextlib.suppress(OSError):  # A session leader already: started as one, which is what is wanted.
        os.setsid()


def lead_group() -> None:
    """Lead a process group. For a child that has not become anything else yet."""
    os.setpgid(0, 0)


def find_way_out() -> Callable[[], None]:
    """Return what a child of this process has to do to get away from it and its terminal: no more than is needed.

    A session has a place of its own with the scheduler of Linux (autogroup), which takes longer to make than a fork. So
    it is for whoever has a terminal to get away from, or does not know.
    """
    return lead_session if _may_have_terminal() else lead_group


def _may_have_terminal() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        return error.errno != errno.ENXIO  # Else it cannot be known: there may be no such file here.
    os.close(terminal)
    return True
