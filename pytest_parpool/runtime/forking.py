"""Forks a process that runs one function, and tells how it ended.

If anybody has loaded ``multiprocessing``, the child is a process of one of its contexts, asked for by name, so that its
after-fork hooks keep users' locks, pools and managers whole. If nobody has, there is nothing to keep whole, and the
package is not loaded for our sake: it costs a tenth of what a run of one test takes. Either way the fork is our own,
and ``multiprocessing`` keeps no book of the child here: that takes as long as half of the fork.

A young process is slow: whatever it touches for the first time has to be copied for it, some microseconds per page. So
as much as possible is done where it is forked from.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import select
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeAlias

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, ForkProcess
    from types import ModuleType
    from typing import TextIO

# Without pidfds (before Linux 5.3, elsewhere) a child is asked for at this pace whether it has ended.
_POLL_SECONDS = 0.0005

Fork: TypeAlias = "Callable[[Callable[[], None]], Child]"
"""Forks a child that calls what is given and ends when that returns."""


class Child:
    """A process that was forked here.

    Args:
        live: What it does; returns its exit code.

    Attributes:
        pid: Its process id.
        is_lost: Whether somebody else has waited for it, so that nobody here knows how it ended.

    Raises:
        OSError: If the system gives no process.
    """

    def __init__(self, live: Callable[[], int]) -> None:
        _flush_streams()  # What lies in their buffers would be written by both.
        self.pid = os.fork()
        if self.pid == 0:
            _live_and_exit(live)
        self.is_lost = False
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, or minus the number of the signal that killed it, or None while it lives. Reaps it."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.is_lost = True
                self._code = 255
            else:
                if pid:
                    self._code = os.waitstatus_to_exitcode(status)
        return self._code

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


def prepare_forks(context: ForkContext | None) -> Fork:
    """Return what forks children that users see. Loads what that needs: once, and not in each process that forks.

    Args:
        context: Used if given; else that of ``fork``, if ``multiprocessing`` was loaded.
    """
    if context is None:
        if not _may_use_multiprocessing():
            return fork_bare
        import multiprocessing

        context = multiprocessing.get_context("fork")
    from multiprocessing import util

    return functools.partial(_fork_process, context, util)


def _fork_process(context: ForkContext, util: ModuleType, target: Callable[[], None]) -> Child:
    # Never daemonic: tests may start processes of their own. They compare its name with this one.
    process = context.Process(target=_run_with_stdin, args=(sys.stdin, target), name="MainProcess", daemon=False)
    return Child(functools.partial(_live_as_process, process, util))


def fork_bare(target: Callable[[], None]) -> Child:
    """Fork a child that calls ``target`` and ends when that returns. No package knows of it.

    Raises:
        OSError: If the system gives no process.
    """
    return Child(functools.partial(_live_bare, target))


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


# --- In the child -----------------------------------------------------------------------------------------------------


def _live_and_exit(live: Callable[[], int]) -> NoReturn:
    """Nothing of the parent's is unwound."""
    code = 1
    try:
        code = live()
    finally:
        os._exit(code)


def _live_bare(target: Callable[[], None]) -> int:
    """Do what ``multiprocessing`` does in a child."""
    try:
        atexit._clear()  # noqa: SLF001  -- they are the parent's; there is no public word for it
        _close_stdin()
        target()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  -- handed over: the process ends with it
        traceback.print_exc()
        return 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  -- waits for threads, as an interpreter does at its end
        _flush_streams()
    return 0


def _live_as_process(process: ForkProcess, util: ModuleType) -> int:
    """Have ``multiprocessing`` do it, and what its own ``Popen`` does around that."""
    atexit._clear()  # noqa: SLF001  -- they are the parent's; there is no public word for it
    atexit.register(util._exit_function)  # noqa: SLF001  -- as there
    _close_stdin()
    sys.stdin = None  # Else another one is made, which takes as long as all else that is done in there.
    try:
        code: int = process._bootstrap(parent_sentinel=_parent_sentinel())  # type: ignore[attr-defined]  # noqa: SLF001  -- it is what a process of any start method calls
    finally:
        atexit._run_exitfuncs()  # noqa: SLF001  -- as there
    return code


def _run_with_stdin(stdin: TextIO, target: Callable[[], None]) -> None:
    sys.stdin = stdin
    target()


def _parent_sentinel() -> int:
    """Return a descriptor that is readable once the parent has ended; never, where the system has no such thing."""
    pidfd = open_pidfd(os.getppid())
    if pidfd >= 0:
        return pidfd
    read_end, _ = os.pipe()
    return read_end


def _close_stdin() -> None:
    """Have standard input end at once: several processes cannot share one. ``sys.stdin`` stays the object it is."""
    if sys.__stdin__ is None:
        return  # The interpreter was started without one (``<&-``): the number is that of whatever was opened next.
    with contextlib.suppress(OSError):  # It is closed already.
        os.close(0)
    fd = os.open(os.devnull, os.O_RDONLY)  # The lowest number that is free: a descriptor more may not be left.
    os.set_inheritable(fd, True)  # Programs that are started in here expect one, as of the other standard streams.


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError):  # noqa: PERF203  -- twice; None, or closed
            pass
