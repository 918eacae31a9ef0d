"""How a run's processes find the objects that they share, and that these end with the run.

Loaded in every run, so it is as small as can be: nothing of ``sync`` is imported before somebody uses an object.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import pytest

from pytest_parpool import runs
from pytest_parpool.model.records import Record, record

if TYPE_CHECKING:
    import mmap

    from pytest_parpool.sync.party import Party

_TOKEN_BYTES = 8


@record
class Sharing(Record):
    """Which objects are this run's. Made in its first process, and inherited by its workers.

    Attributes:
        token: Random, so that no two runs meet, also if one runs inside of the other.
        owner_pid: The run's own process: the controller, or whoever runs the tests if there are no workers.
        used: Its only byte is not 0 once any process of the run has used a shared object. Workers see the same memory.
    """

    token: str
    owner_pid: int
    used: bytearray | mmap.mmap


SHARING = pytest.StashKey[Sharing]()
"""There once the command line was checked."""


def prepare(config: pytest.Config, *, has_workers: bool) -> None:
    """Settle what this run's processes share, and have it ended when pytest is unconfigured."""
    used: bytearray | mmap.mmap = bytearray(1)
    if has_workers:
        import mmap

        used = mmap.mmap(-1, 1)
    config.stash[SHARING] = Sharing(os.urandom(_TOKEN_BYTES).hex(), os.getpid(), used)
    config.add_cleanup(lambda: _say_goodbye(config.stash[SHARING]))
    _enter(config)


def lend(config: pytest.Config) -> str:
    """Have spawned workers, which inherit no memory, reach what they share with this process; return where.

    It is empty where there is no such way; then it counts as used.
    """
    from pytest_parpool.runtime.memory import lend_memory

    lent = lend_memory("parpool-used", 1)
    if lent is None:
        config.stash[SHARING].used[0] = 1
        return ""
    memory, address, take_back = lent
    config.add_cleanup(take_back)
    config.stash[SHARING] = config.stash[SHARING].replace(used=memory)
    return address


def inherit(config: pytest.Config, token: str, owner_pid: int, lent: str) -> None:
    """Settle that this process, a spawned worker, shares what its run shares, which ends it.

    Args:
        config: Pytest's.
        token: The run's.
        owner_pid: Its own process.
        lent: What ``lend`` has returned there.
    """
    used: bytearray | mmap.mmap = bytearray(1)
    if lent:
        from pytest_parpool.runtime.memory import borrow_memory

        used = borrow_memory(lent, 1)
    config.stash[SHARING] = Sharing(token, owner_pid, used)
    _enter(config)


def _enter(config: pytest.Config) -> None:
    """Have objects without a name be this run's, too, in whatever of its processes they are made."""
    join_run = functools.partial(_join_as_known, config)
    runs.enter(join_run)
    config.add_cleanup(lambda: runs.leave(join_run))


def join(config: pytest.Config) -> Party:
    """Return this process, as one that uses the run's shared objects."""
    from pytest_parpool.sync import party

    sharing = config.stash[SHARING]
    sharing.used[0] = 1
    workerinput = getattr(config, "workerinput", None)
    name = "pytest" if workerinput is None else str(workerinput["workerid"])
    this_process = party.join(sharing.token, sharing.owner_pid, name)
    # A worker is a copy of the controller; if something there has used a shared object, it is called after that.
    this_process.rename(name)
    return this_process


def _join_as_known(config: pytest.Config) -> Party:
    """Return this process in the run; a child of a test's is not renamed: it is not the worker."""
    from pytest_parpool.sync import party

    return party.known(config.stash[SHARING].token) or join(config)


def _say_goodbye(sharing: Sharing) -> None:
    if not sharing.used[0] or os.getpid() != sharing.owner_pid:
        return
    from pytest_parpool.sync.services import SystemService

    try:
        SystemService(sharing.token, sharing.owner_pid).say_goodbye()
    except OSError:  # It ends with this process anyway.
        pass
