"""Workers that are fresh interpreters: what they are told, and how they find what a script has defined.

They import the main module as the processes of ``multiprocessing`` do, by the name ``__mp_main__``, with its functions.
"""

from __future__ import annotations

import marshal
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import process, spawn
from typing import Any

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Broken
from pytest_parpool.runtime.launch import Launch
from pytest_parpool.runtime.link import WorkerLink
from pytest_parpool.workload.engine import Job
from pytest_parpool.workload.pickling import dump_job, load_job
from pytest_parpool.workload.task_link import TaskLink
from pytest_parpool.workload.task_worker import TaskWorker


def order_launch(
    initializer: Callable[..., object] | None, initargs: Sequence[Any], environment: Mapping[str, str] | None = None
) -> Launch:
    """Return what fresh interpreters are to do. Arguments as ``TaskWorker``'s.

    Raises:
        UnpicklableTaskError: If the initializer or an argument of it does not pickle.
        RuntimeError: If this is such an interpreter, and just imports a main module that has no main guard.
    """
    parts = [] if initializer is None else dump_job(Job(initializer, [(initargs, {})], is_chunk=False))
    preparation = spawn.get_preparation_data("PoolWorker")
    for ours in ("sys_path", "sys_argv", "dir", "orig_dir"):  # The launcher sees to it.
        preparation.pop(ours, None)
    # The key of this process is a type that refuses to be pickled outside of multiprocessing.
    preparation["authkey"] = bytes(preparation["authkey"])
    return Launch(
        entry=f"{__name__}:live",
        order=marshal.dumps((pickle.dumps(preparation), [bytes(part) for part in parts])),
        environment=lambda _: environment or {},
        directory=os.getcwd(),
        path=sys.path,
        argv=sys.argv,
        is_silent=False,
    )


def live(link: WorkerLink, worker: WorkerId, order: bytes) -> None:
    """Be a worker, to its end, in a fresh interpreter."""
    preparation, parts = marshal.loads(order)
    current = process.current_process()
    try:
        # As in a child of multiprocessing: a pool that is made while the main module is imported is an error.
        current._inheriting = True  # type: ignore[attr-defined]  # noqa: SLF001
        try:
            spawn.prepare(pickle.loads(preparation))
            job = load_job(parts) if parts else None
        finally:
            del current._inheriting  # type: ignore[attr-defined]  # noqa: SLF001
    # Handed over: it ends the pool, with its traceback.
    except BaseException:  # noqa: BLE001
        TaskLink(link).send(Broken("a worker, from the script's main module", traceback.format_exc()))
        return
    TaskWorker(None if job is None else job.function, () if job is None else job.calls[0][0])(link, worker)
