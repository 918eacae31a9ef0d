"""Keeps ``concurrency = multiprocessing`` away from our own processes.

Coverage then replaces the method that every process of ``multiprocessing`` begins with, to measure the new process with
a ``Coverage`` object of its own, made from the configuration file. The template needs none, and a worker goes on with
the controller's, which knows more (pytest-cov's options). Processes that tests start are measured as in a plain run.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

_OURS = "pytest_parpool."


@contextlib.contextmanager
def left_alone() -> Iterator[None]:
    """Have processes that run our own functions begin as multiprocessing would have them; inherited by a fork."""
    coverages: Any = sys.modules.get("coverage.multiproc")
    if coverages is None or "multiprocessing.process" not in sys.modules:
        yield
        return
    import multiprocessing.process

    process_type: Any = multiprocessing.process.BaseProcess
    measured = process_type._bootstrap
    plain = coverages.original_bootstrap

    def begin(self: Any, *args: Any, **kwargs: Any) -> Any:
        return (plain if _is_ours(self) else measured)(self, *args, **kwargs)

    process_type._bootstrap = begin
    try:
        yield
    finally:
        process_type._bootstrap = measured


def _is_ours(process: Any) -> bool:
    target = getattr(process, "_target", None)
    return str(getattr(getattr(target, "func", target), "__module__", "")).startswith(_OURS)
