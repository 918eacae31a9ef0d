"""The locks that are measured, behind one interface: made in the parent, opened in each process that uses one."""

from __future__ import annotations

import abc
import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.context import ForkContext
from pathlib import Path
from typing import Any

FORK: ForkContext = multiprocessing.get_context("fork")

SECONDS_FOR_EVER = 60.0


class LockContender(abc.ABC):
    """One way to have locks that several processes share. A context manager."""

    name: str
    distribution: str | None

    @contextlib.contextmanager
    @abc.abstractmethod
    def ready(self, folder: Path) -> Iterator[None]:
        """Prepare two locks, named 0 and 1, before processes are forked.

        Args:
            folder: An empty folder.
        """

    @abc.abstractmethod
    def open(self, number: int) -> Any:
        """Return a lock, in the process that is to use it: with ``acquire()``, ``release()``."""

    @abc.abstractmethod
    def try_for(self, lock: Any, seconds: float) -> bool:
        """Take a lock within so many seconds; whether that went well."""


class Parpool(LockContender):
    """This project's."""

    name = "parpool"
    distribution = "pytest-parpool"

    @contextlib.contextmanager
    def ready(self, folder: Path) -> Iterator[None]:
        """Join a run of its own."""
        from pytest_parpool.sync.objects import SharedObjects
        from pytest_parpool.sync.party import join

        party = join(os.urandom(8).hex(), os.getpid(), "benchmark")
        self._objects = SharedObjects(party)
        yield
        party.service.say_goodbye()

    def open(self, number: int) -> Any:
        """Return the lock; the broker is told of this process with the first use."""
        return self._objects.lock(f"lock {number}")

    def try_for(self, lock: Any, seconds: float) -> bool:
        """As ``threading``."""
        return bool(lock.acquire(timeout=seconds))


class FileLocks(LockContender):
    """``filelock.FileLock``, what projects use today."""

    name = "FileLock"
    distribution = "filelock"

    @contextlib.contextmanager
    def ready(self, folder: Path) -> Iterator[None]:
        """Remember the folder."""
        self._folder = folder
        yield

    def open(self, number: int) -> Any:
        """Return a lock on a file."""
        import filelock

        return filelock.FileLock(self._folder / f"{number}.lock")

    def try_for(self, lock: Any, seconds: float) -> bool:
        """As ``filelock``: an exception says no."""
        import filelock

        try:
            lock.acquire(timeout=seconds)
        except filelock.Timeout:
            return False
        return True


class ManagerLocks(LockContender):
    """``multiprocessing.Manager().Lock()``."""

    name = "Manager().Lock"
    distribution = None

    @contextlib.contextmanager
    def ready(self, folder: Path) -> Iterator[None]:
        """Start a manager."""
        with FORK.Manager() as manager:
            self._locks = [manager.Lock(), manager.Lock()]
            yield

    def open(self, number: int) -> Any:
        """Return the proxy."""
        return self._locks[number]

    def try_for(self, lock: Any, seconds: float) -> bool:
        """As ``threading``."""
        return bool(lock.acquire(True, seconds))


class MultiprocessingLocks(LockContender):
    """``multiprocessing.Lock``: the fastest, held for ever if its owner is killed, inherited only."""

    name = "multiprocessing.Lock"
    distribution = None

    @contextlib.contextmanager
    def ready(self, folder: Path) -> Iterator[None]:
        """Make two."""
        self._locks = [FORK.Lock(), FORK.Lock()]
        yield

    def open(self, number: int) -> Any:
        """Return what was inherited."""
        return self._locks[number]

    def try_for(self, lock: Any, seconds: float) -> bool:
        """As ``multiprocessing``."""
        return bool(lock.acquire(True, seconds))


LOCK_CONTENDERS = {
    contender.name: contender for contender in (Parpool(), FileLocks(), ManagerLocks(), MultiprocessingLocks())
}
