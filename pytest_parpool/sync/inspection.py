"""Asks the system whether a process can do anything while its threads wait. On Linux; elsewhere nothing is certain."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # What ``signal``, which takes a millisecond to import, is made of.
import os
from typing import Final

from pytest_parpool.model.sync_moves import Inspection

# Whoever handles one of these may be sent it, and its handler may do what the process waits for. Not among them are
# those that Python itself, line editors and debuggers handle, and the timers that stand still while a process waits.
_WAKING: Final = ("SIGALRM", "SIGHUP", "SIGIO", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
_WAKING_MASK: Final = sum(1 << getattr(_signal, name) - 1 for name in _WAKING if hasattr(_signal, name))
_ENDED: Final = ("Z", "X")


def inspect(pid: int) -> Inspection | None:
    """Return how many threads a process has, and which children.

    None if that cannot be told, if it has ended, or if it handles a signal that may have it go on.
    """
    try:
        fields = _status(pid)
        tasks = os.listdir(f"/proc/{pid}/task")
        children = [child for task in tasks for child in _children(pid, task)]
    except (OSError, ValueError):  # Not Linux, a kernel without lists of children, or somebody else's process.
        return None
    is_woken_by_signals = int(fields["SigCgt"], 16) & _WAKING_MASK
    if fields["State"].startswith(_ENDED) or is_woken_by_signals:
        return None
    return Inspection(pid, len(tasks), tuple(child for child in children if _may_act(child)))


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        lines = [line.partition(":") for line in file]
    return {name: value.strip() for name, _, value in lines}


def _children(pid: int, task: str) -> list[int]:
    # May miss one if others are reaped meanwhile (proc_tid_children(5)); but whoever reaps them waits now.
    with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
        return [int(child) for child in file.read().split()]


def _may_act(child: int) -> bool:
    if child == os.getpid():  # The broker is adopted by whoever adopts orphans, which may be a run in a container.
        return False
    try:
        return not _status(child)["State"].startswith(_ENDED)
    except OSError:  # It was just reaped.
        return False
