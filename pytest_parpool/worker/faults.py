"""What is raised in a worker outside of tests, and how the controller hears of it."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import Broken, ExitAsked, Interrupted
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.worker.executor import Executor

_exit = os._exit


@contextlib.contextmanager
def told(link: WorkerLink, what: str | Callable[[], str], executor: Executor | None) -> Iterator[None]:
    """Tell the controller what is raised inside, and go on behind it: the worker leaves then.

    Args:
        link: To the controller.
        what: Has failed if anything but an interrupt or ``pytest.exit`` is raised: a plugin is at fault, or we are. Or
            what says so then.
        executor: Knows which item runs; None if there is none yet, or no more.

    Raises:
        LinkLostError: If there is nobody to tell.
    """
    try:
        yield
    except LinkLostError:
        raise
    except KeyboardInterrupt as error:
        link.post(interrupted(error, executor.running if executor is not None else None))
    except pytest.exit.Exception as error:
        link.post(exit_asked(error))
    except BaseException as error:  # The user's code may raise anything; it ends the run, with its traceback.
        if not link.is_own_process:
            _exit(1)
        if not link.is_connected():
            raise LinkLostError from error
        link.post(Broken(what if isinstance(what, str) else what(), traceback.format_exc()))
    link.flush()


def interrupted(error: BaseException, running: ItemIndex | None) -> Interrupted:
    """Return what tells of a ``KeyboardInterrupt``.

    Args:
        error: That.
        running: The item that it has cut off, if any.
    """
    return Interrupted(running, _innermost_place(error))


def exit_asked(error: Any) -> ExitAsked:
    """Return what tells of ``pytest.exit()``. Its code may be an ``IntEnum``, which cannot travel."""
    return ExitAsked(str(error.msg), int(error.returncode) if error.returncode is not None else None)


def _innermost_place(error: BaseException) -> str:
    """Return ``file:line`` of where an exception was raised."""
    last = None
    trace = error.__traceback__
    while trace is not None:
        last, trace = trace, trace.tb_next
    return f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last is not None else ""
