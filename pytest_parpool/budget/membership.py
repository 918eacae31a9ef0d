"""Brings the processes of a run to one sheet, and gives those that run tests an account for their pools.

Loaded in every run with workers, so it is as small as can be: accounts are not imported before a pool is made.
"""

from __future__ import annotations

import contextlib
import functools
import marshal
import os
import threading
from typing import TYPE_CHECKING

import pytest

from pytest_parpool.budget.sheet import Row, Sheet, size_bytes
from pytest_parpool.model.ids import WorkerId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_parpool.budget.account import Account
    from pytest_parpool.settings import Settings

_SHEET = pytest.StashKey[Sheet]()
_MEMBER = pytest.StashKey["Member"]()
_ENVIRONMENT = pytest.StashKey["dict[str, str]"]()

# A process has one account, whichever of its threads make the first pools.
_MAKING = threading.Lock()


class Member:
    """A process that runs tests, with its row.

    Args:
        sheet: The run's.
        place: Of the row.
        environment: Variables of processes that run tasks.
    """

    def __init__(self, sheet: Sheet, place: int, environment: dict[str, str]) -> None:
        self._sheet = sheet
        self._place = place
        self._environment = environment
        self._pid = os.getpid()
        self._row: Row = sheet.row(place)
        self._row.clear()
        self._row.go_on()

    @functools.cached_property
    def account(self) -> Account:
        """For its pools."""
        from pytest_parpool.budget.account import Account

        return Account(self._sheet, self._place, self._environment, pid=self._pid)

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """Leave the slot to others meanwhile, because there is no test to run. Not in a forked copy."""
        is_own_process = os.getpid() == self._pid
        if is_own_process:
            self._row.rest()
        try:
            yield
        finally:
            if is_own_process:
                self._row.go_on()


# --- In the controller ------------------------------------------------------------------------------------------------


def prepare(config: pytest.Config, settings: Settings) -> None:
    """Make the sheet of a run with workers."""
    import mmap

    from pytest_parpool.budget.limiting import task_environment

    rows = settings.processes
    config.stash[_SHEET] = Sheet.make(mmap.mmap(-1, size_bytes(rows)), settings.cpu_slots, rows)
    config.stash[_ENVIRONMENT] = task_environment(config, settings)


def lend(config: pytest.Config) -> bytes:
    """Have spawned workers, which inherit no memory, find what they need to ``join``; return it in words for them."""
    from pytest_parpool.runtime.memory import lend_memory

    sheet = config.stash[_SHEET]
    address = ""
    if lent := lend_memory("parpool-sheet", size_bytes(sheet.rows)):
        memory, address, take_back = lent
        config.add_cleanup(take_back)
        config.stash[_SHEET] = Sheet.make(memory, sheet.slots, sheet.rows)
    return marshal.dumps((address, sheet.slots, sheet.rows, config.stash[_ENVIRONMENT]))


def expect(config: pytest.Config, worker: WorkerId) -> None:
    """Note that a worker will be there soon, with a test to run, for which pools of others leave its slot."""
    config.stash[_SHEET].row(_place(worker)).go_on()


def clear(config: pytest.Config, worker: WorkerId) -> None:
    """Note that a worker has ended, and takes no slot any more."""
    config.stash[_SHEET].row(_place(worker)).clear()


# --- In a worker ------------------------------------------------------------------------------------------------------


def inherit(config: pytest.Config, lent: bytes) -> None:
    """Have the run's sheet in a spawned worker.

    Args:
        config: Pytest's.
        lent: What ``lend`` has returned in the controller. Where memory cannot be lent, each worker has a fixed part of
            the slots.
    """
    address, slots, rows, environment = marshal.loads(lent)
    sheet = Sheet.alone(max(1, slots // rows))
    if address:
        from pytest_parpool.runtime.memory import borrow_memory

        sheet = Sheet(borrow_memory(address, size_bytes(rows)))
    config.stash[_SHEET] = sheet
    config.stash[_ENVIRONMENT] = environment


def join(config: pytest.Config, worker: WorkerId) -> None:
    """Have this process be a worker of the run, which has a test to run from now on."""
    sheet = config.stash[_SHEET]
    config.stash[_MEMBER] = Member(sheet, _place(worker) % sheet.rows, config.stash[_ENVIRONMENT])


def resting(config: pytest.Config) -> contextlib.AbstractContextManager[None]:
    """Leave the worker's slot to others while it waits for a test to run."""
    return config.stash[_MEMBER].resting()


# --- In every process that runs tests ---------------------------------------------------------------------------------


def find_account(config: pytest.Config, settings: Settings) -> Account | None:
    """Return this process's account; None in a controller, which runs no tests."""
    with _MAKING:
        if _MEMBER not in config.stash:
            if settings.processes:
                return None
            from pytest_parpool.budget.limiting import task_environment
            from pytest_parpool.cpus import usable_cpus

            sheet = Sheet.alone(settings.cpus or usable_cpus())
            config.stash[_MEMBER] = Member(sheet, 0, task_environment(config, settings))
        return config.stash[_MEMBER].account


def _place(worker: WorkerId) -> int:
    return int(worker.removeprefix("gw"))
