"""Forks a process that runs one function, and tells how it ended.

If anybody has loaded ``multiprocessing``, the child is a process of one of its contexts, asked for by name, so that its
after-fork hooks keep users' locks, pools and managers whole. If nobody has, there is nothing to keep whole, and the
package is not loaded for our sake: it costs a tenth of what a run of one test takes.
"""

from __future__ import annotations

import abc
import contextlib
import importlib
import os
import select
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext

# Without pidfds (before Linux 5.3, elsewhere) a child is asked for at this pace whether it has ended.
_POLL_SECONDS = 0.0005


class Child(abc.ABC):
    """A process that was forked here; each of the two kinds below says for itself how it is reaped.

    Attributes:
        pid: Its process id.
    """

    pid: int

    @abc.abstractmethod
    def poll(self) -> int | None:
        """Return its exit code, or minus the number of the signal that killed it, or None while it lives. Reaps it."""

    def wait(self, timeout_seconds: float) -> int | None:
        """Wait for its end, at most so long, and return as ``poll`` does."""
        if (code := self.poll()) is not None:
            return code
        pidfd = open_pidfd(self.pid)
        if pidfd >= 0:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(timeout_seconds * 1000)
            os.close(pidfd)
            return self.poll()
        deadline = time.monotonic() + timeout_seconds
        while (code := self.poll()) is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return code

    @property
    def fds(self) -> tuple[int, ...]:
        """What this process keeps open for it, and a sibling that is forked later should close."""
        return ()


def fork(target: Callable[[], None], *, name: str, context: ForkContext | None) -> Child:
    """Fork a child that calls ``target`` and ends when that returns.

    Args:
        target: Runs in the child, in a copy of everything that is here.
        name: Of the process, for ``multiprocessing.current_process()``.
        context: Used if given; else that of ``fork``, if ``multiprocessing`` was loaded.

    Raises:
        OSError: If the system gives no process.
    """
    if context is None and not _may_use_multiprocessing():
        return fork_bare(target)
    with _quiet(target) as run:
        return _MultiprocessingChild(run, name, context)


def prepare_forks(context: ForkContext | None) -> None:
    """Load what ``fork`` would load: where it is forked from, once, and not in each process that forks."""
    if context is not None or _may_use_multiprocessing():
        importlib.import_module("multiprocessing.popen_fork")


def fork_bare(target: Callable[[], None]) -> Child:
    """Fork a child that no package knows of, and which forks those that users see; otherwise as ``fork``."""
    with _quiet(target) as run:
        return _BareChild(run)


@contextlib.contextmanager
def _quiet(target: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Keep a fork from warning of threads, as it does from Python 3.12 on; somebody has looked at them before.

    What is given instead of ``target`` warns of what it always has: the block never ends in the child.
    """
    silence = warnings.catch_warnings()

    def run() -> None:
        silence.__exit__(None, None, None)
        target()

    with silence:
        warnings.simplefilter("ignore", DeprecationWarning)
        yield run


def open_pidfd(pid: int) -> int:
    """Return a descriptor that is readable once a child has ended, or -1 where there is no such thing."""
    if sys.platform != "linux":
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError:  # Before Linux 5.3, forbidden by a sandbox, or there are no descriptors left.
        return -1


def _may_use_multiprocessing() -> bool:
    """Whether multiprocessing was loaded, and does not refuse its daemonic processes children of their own."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and not process.current_process().daemon


class _MultiprocessingChild(Child):
    def __init__(self, target: Callable[[], None], name: str, context: ForkContext | None) -> None:
        if context is None:
            import multiprocessing

            context = multiprocessing.get_context("fork")
        # Never daemonic: tests may start processes of their own.
        self._process = context.Process(target=target, name=name, daemon=False)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._process.exitcode
            if self._code is not None:
                self._process.close()  # else its sentinels stay open as long as anybody knows this object
        return self._code

    @property
    def fds(self) -> tuple[int, ...]:
        # Both ends of its sentinels, which only the finalizer of multiprocessing's Popen knows.
        finalizer = getattr(getattr(self._process, "_popen", None), "finalizer", None)
        return tuple(getattr(finalizer, "_args", ()))


class _BareChild(Child):
    def __init__(self, target: Callable[[], None]) -> None:
        _flush_streams()  # What lies in their buffers would be written by both.
        self.pid = os.fork()
        if self.pid == 0:
            _run_and_exit(target)
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # Somebody else has reaped it; it has ended, and nobody can say how.
                self._code = 255
            else:
                if pid:
                    self._code = os.waitstatus_to_exitcode(status)
        return self._code


def _run_and_exit(target: Callable[[], None]) -> NoReturn:
    """Do what ``multiprocessing`` does in a child; nothing of the parent's is unwound."""
    code = 1
    try:
        _close_stdin()
        target()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  -- handed over: the process ends with it
        traceback.print_exc()
    finally:
        try:
            threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  -- waits for threads, as an interpreter does at its end
            _flush_streams()
        finally:
            os._exit(code)


def _close_stdin() -> None:
    """Have standard input end at once: several processes cannot share one. ``sys.stdin`` stays the object it is."""
    null = os.open(os.devnull, os.O_RDONLY)
    if null != 0:
        os.dup2(null, 0)
        os.close(null)


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError):  # noqa: PERF203  -- twice; None, or closed
            pass
