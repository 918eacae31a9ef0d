"""The pool: what it is to be, in the words of ``multiprocessing.Pool``; ``start`` makes it a ``RunningPool``.

What ``multiprocessing.Pool`` and ``multiprocessing.Queue`` do instead when a worker dies is on the page
``docs/explanation/decisions/own-pool.md``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pytest_parpool.model.ids import WorkerId, worker_ids
from pytest_parpool.runtime.running_pool import RunningPool
from pytest_parpool.runtime.spawner import WorkerMain

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext

    from pytest_parpool.runtime.launch import Launch


class WorkerPool:
    """The parameters of a pool, with the names and the meaning of ``multiprocessing.Pool``.

    Args:
        processes: How many workers, at least 1.
        initializer: Called in each new worker before its first task, or None.
        initargs: Its arguments.
        maxtasksperchild: Tasks after which a worker is replaced, or None for never. Kept by whoever hands out tasks.
        context: A ``multiprocessing`` context whose start method is ``fork``, or None for "as it needs" (see
            ``forking``). Never multiprocessing's default one: that is the user's.

    Raises:
        ValueError: If a number is less than 1.
    """

    def __init__(
        self,
        processes: int,
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[Any] = (),
        maxtasksperchild: int | None = None,
        context: ForkContext | None = None,
    ) -> None:
        if processes < 1:
            raise ValueError(f"processes must be at least 1, not {processes}")
        if maxtasksperchild is not None and maxtasksperchild < 1:
            raise ValueError(f"maxtasksperchild must be at least 1 or None, not {maxtasksperchild}")
        self.processes = processes
        self.initializer = initializer
        self.initargs = initargs
        self.maxtasksperchild = maxtasksperchild
        self.context = context

    @property
    def workers(self) -> tuple[WorkerId, ...]:
        """The slots."""
        return worker_ids(self.processes)

    def initialize(self) -> None:
        """Call the initializer; for the worker, once it is what it is going to be."""
        if self.initializer is not None:
            self.initializer(*self.initargs)

    def start(self, main: WorkerMain) -> RunningPool:
        """Fork the template. No worker is born yet.

        Args:
            main: What each worker does; returns when it is done.

        Raises:
            OSError: If the system gives no process or no descriptors.
        """
        from pytest_parpool.runtime.template import Template

        return RunningPool(self.workers, functools.partial(Template, self.context, main))

    def launch(self, launch: Launch) -> RunningPool:
        """Start no process yet; workers will be fresh interpreters, which call the initializer as they know it.

        Args:
            launch: What each worker does.

        Raises:
            OSError: If the system gives no descriptors.
        """
        from pytest_parpool.runtime.launchers import start_launcher

        return RunningPool(self.workers, functools.partial(start_launcher, launch))
