"""What fresh interpreters are started with, on every system: arguments, environment, and what they are to do."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.records import Record, record
from pytest_parpool.runtime.launched import HASH_SEED


@record
class Launch(Record):
    """What a fresh interpreter is to do.

    Attributes:
        entry: ``module:function``; called with the worker's link, its slot and ``order``.
        order: Marshalled values that ``entry`` understands.
        environment: Returns the variables of a worker that differ from ours; None for one that it does not have.
        directory: Where it starts.
        path: Its ``sys.path``.
        argv: Its ``sys.argv``.
        is_silent: Whether what it writes to standard output goes nowhere.
        defers_interrupts: Whether SIGINT stays blocked until the entry calls ``launched.allow_interrupts``.
    """

    entry: str
    order: bytes
    environment: Callable[[WorkerId], Mapping[str, str | None]]
    directory: str
    path: Sequence[str]
    argv: Sequence[str]
    is_silent: bool
    defers_interrupts: bool = False


class LaunchSheet:
    """A launch, written down once for all workers: what a replacement finds is what the first workers found.

    Args:
        launch: What workers are to do.

    Attributes:
        data: For ``launched.live``, marshalled.
    """

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._environ = dict(os.environ)
        hash_seed = self._environ.get(HASH_SEED)
        if hash_seed in (None, "", "random"):
            # Our own seed cannot be had, but one for all workers can: a set has the same order in all of them. Of tests
            # whose ids only count a set's members, each is run once, whoever is given which.
            self._environ[HASH_SEED] = str(1 + int.from_bytes(os.urandom(3), "big"))
        self.data = marshal.dumps(
            {
                "entry": launch.entry,
                "order": launch.order,
                "path": [str(entry) for entry in launch.path],
                "argv": [str(argument) for argument in launch.argv],
                "hash_seed": hash_seed,
                "defers_interrupts": launch.defers_interrupts,
            }
        )

    def environment(self, worker: WorkerId) -> dict[str, str]:
        """Return the variables of a worker."""
        changed = {**self._environ, **self._launch.environment(worker)}
        return {name: value for name, value in changed.items() if value is not None}


def interpreter_options() -> list[str]:
    """Return the options that this interpreter was started with (``-W``, ``-X``, ``-O`` ...), as for its own kind."""
    options = list(subprocess._args_from_interpreter_flags())  # type: ignore[attr-defined]  # noqa: SLF001  -- multiprocessing asks it, too
    # It knows the names that mean something to the interpreter; others may mean something to the suite.
    for name, value in sys._xoptions.items():  # noqa: SLF001  -- this is its name
        option = name if value is True else f"{name}={value}"
        if option not in options:
            options += ["-X", option]
    return options
