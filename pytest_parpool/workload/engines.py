"""Makes the engine of a pool from what the user said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pytest_parpool.workload.arguments import (
    Kind,
    check_callable,
    check_kind,
    check_tasks_per_child,
    check_whole_number,
    start_method_of,
)
from pytest_parpool.workload.engine import Engine
from pytest_parpool.workload.shares import default_processes, open_share


def make_engine(
    kind: Kind,
    processes: int | None,
    initializer: Callable[..., object] | None,
    initargs: Iterable[Any],
    maxtasksperchild: int | None,
    context: Any,
    *,
    count_name: str = "processes",
    is_budgeted: bool | None = None,
) -> Engine:
    """Return a running engine.

    Args:
        kind: What its workers are.
        processes: How many, or None for as many as ``default_processes`` says.
        initializer: Called once in each worker before its first task, or None.
        initargs: For it.
        maxtasksperchild: After how many tasks a worker is replaced, or None.
        context: The start method, its multiprocessing context, or None.
        count_name: What the user calls ``processes``.
        is_budgeted: Whether processes have a part in the CPU budget, if there is one; None if the user has not said how
            many there are to be.

    Raises:
        TypeError: If an argument is not of the right type.
        ValueError: If an argument cannot be used.
    """
    check_kind(kind)
    count = default_processes() if processes is None else check_whole_number(count_name, processes, least=1)
    check_callable("initializer", initializer)
    tasks_per_child = check_tasks_per_child(maxtasksperchild)
    start_method = start_method_of(context)
    if kind == "thread":
        if start_method is not None:
            raise ValueError(f"context must be None for threads, not {context!r}")
        from pytest_parpool.workload.threads import ThreadEngine

        return ThreadEngine(count, initializer, tuple(initargs), tasks_per_child)
    from pytest_parpool.workload.process_engine import ProcessEngine

    share = open_share() if is_budgeted or (is_budgeted is None and processes is None) else None
    try:
        return ProcessEngine(count, initializer, tuple(initargs), tasks_per_child, start_method, share)
    except BaseException:  # handed on
        if share is not None:
            share.close()
        raise
