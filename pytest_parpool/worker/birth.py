"""What a forked copy of the controller must renew before it is a worker.

Everything is inherited, and most of it is wanted: plugins, collected items, imported modules. What is shared with the
controller, or belongs to it alone, is renewed or dropped here, in an order that matters (docs/explanation/birth.md).
"""

from __future__ import annotations

import atexit
import sys
import weakref
from typing import IO, Any

import pytest

from pytest_parpool.compat import pytest_internals, random_state
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.records import Record, record
from pytest_parpool.runtime.link import WorkerLink
from pytest_parpool.worker.identity import own_temp_directory, take_identity


@record
class Heritage(Record):
    """What the controller decided before the fork.

    Attributes:
        random_state: What ``random`` is to be in each worker, or None to leave it reseeded by the fork.
        controller_plugins: To be dropped in a worker.
    """

    random_state: random_state.RandomState | None
    controller_plugins: tuple[object, ...]


@record
class Birth(Record):
    """What the new worker has.

    Attributes:
        output_fds: Descriptors of its capture files (stdout, stderr) and its faulthandler file; -1 for none.
        kept: Files that must live as long as the worker.
    """

    output_fds: tuple[int, int, int]
    kept: tuple[IO[bytes] | None, ...]


def leave_controller(config: pytest.Config, heritage: Heritage) -> Birth:
    """Give this process, a copy of the controller, what is to be its own. Done before it knows which worker it is."""
    random_state.restore(heritage.random_state)
    # They were registered for the controller, which will run them.
    _forget_exit_handlers()
    # Output, before anything could print.
    out_fd, err_fd = pytest_internals.renew_capture(config)
    stack_fd, stack_file = pytest_internals.renew_faulthandler()
    pytest_internals.silence_terminal(config)
    # What belongs to the controller alone.
    for plugin in heritage.controller_plugins:
        config.pluginmanager.unregister(plugin)
    pytest_internals.drop_junitxml(config)
    pytest_internals.forget_recorded_warnings(config)
    return Birth((out_fd, err_fd, stack_fd), (stack_file,))


def become_worker(config: pytest.Config, link: WorkerLink, workerinput: dict[str, Any]) -> None:
    """Make this process the worker that ``workerinput`` names."""
    take_identity(config, workerinput)
    own_temp_directory(config, link, WorkerId(workerinput["workerid"]))
    # Plugins for which none of this is enough.
    if "allure_pytest" in sys.modules:
        from pytest_parpool.compat import allure

        allure.adapt(config)
    if "pytest_rerunfailures" in sys.modules:
        from pytest_parpool.compat import rerunfailures

        rerunfailures.adapt()


def _forget_exit_handlers() -> None:
    """Leave what is to be done at exit to the controller, so that only what tests register here is done here."""
    atexit._clear()  # noqa: SLF001  -- there is no public word for it
    # weakref.finalize has one handler of its own for all objects, which it registers with the first of them.
    finalize: Any = weakref.finalize
    for finalizer in list(finalize._registry):  # noqa: SLF001  -- no public way leads to those that exist
        finalizer.atexit = False
    finalize._registered_with_atexit = False  # noqa: SLF001  -- the same in every CPython since 3.4
