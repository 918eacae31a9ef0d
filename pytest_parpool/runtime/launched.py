"""What a fresh interpreter does first: take what it was given by its launcher, and go to work."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.ledger import Page
from pytest_parpool.runtime.lifeline import Lifeline, Tie
from pytest_parpool.runtime.link import WorkerLink
from pytest_parpool.runtime.link_ends import FdEnd
from pytest_parpool.runtime.memory import map_for_ever

HASH_SEED = "PYTHONHASHSEED"


def live(launch: dict[str, Any], arguments: Sequence[str]) -> None:
    """Be a worker, to its end.

    Args:
        launch: What the launcher has written for all workers.
        arguments: What it says of this one: its slot, and the numbers of its descriptors.
    """
    worker = WorkerId(arguments[0])
    channel_fd, ledger_fd, place, lifeline_fd = map(int, arguments[1:])
    for fd in (channel_fd, ledger_fd, lifeline_fd):
        os.set_inheritable(fd, False)  # They were for us alone, not for what tests start.
    os.close(int(sys.argv[1]))
    become_launched(launch)
    tie = Tie(Lifeline.inherited(lifeline_fd))
    page = Page.mapped(map_for_ever(ledger_fd), place)
    os.close(ledger_fd)
    link = WorkerLink(FdEnd(channel_fd), page)
    link.keep_from_children()
    work(launch, link, worker)
    if link.is_connected():
        # A test that closed our descriptors may have its own under the same numbers.
        with contextlib.suppress(OSError):
            tie.release()


def become_launched(launch: dict[str, Any]) -> None:
    """Have what users see of a process be as its launcher says, whose own it was."""
    sys.argv[:] = launch["argv"]
    if launch["hash_seed"] is None:
        os.environ.pop(HASH_SEED, None)  # It has had its effect here; what tests start has a seed of its own.
    else:
        os.environ[HASH_SEED] = launch["hash_seed"]


def work(launch: dict[str, Any], link: WorkerLink, worker: WorkerId) -> None:
    """Do what this process is there for."""
    if not launch["defers_interrupts"]:
        allow_interrupts()
    module, _, function = launch["entry"].partition(":")
    getattr(importlib.import_module(module), function)(link, worker, launch["order"])


def allow_interrupts() -> None:
    """Have SIGINT raise ``KeyboardInterrupt``; a worker is started with it blocked, so that none kills it before.

    One that came meanwhile is raised here.
    """
    if sys.platform == "win32":
        from pytest_parpool.runtime.windows import interrupts

        interrupts.allow_interrupts()
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job ignores it, but it is how the controller interrupts a test.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
