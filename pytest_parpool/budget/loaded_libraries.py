"""Limits the threads of libraries that were loaded before the environment said so: by a plugin, or the program itself.

Imported only if there is such a library. BLAS and OpenMP are reached through threadpoolctl, if that is installed;
torch has a word of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Collection
from typing import Any

# threadpoolctl's names for the runtimes, and the variable by which a user would have decided about each.
_VARIABLES = {"openmp": "OMP_NUM_THREADS", "openblas": "OPENBLAS_NUM_THREADS", "mkl": "MKL_NUM_THREADS"}


def limit(threads: int, names: Collection[str], late: tuple[str, ...]) -> tuple[tuple[str, ...], Callable[[], None]]:
    """Have loaded libraries compute on so many threads, but none on more than it does.

    Args:
        threads: The number.
        names: The variables that the user left to us; what was decided by others is left alone.
        late: The modules, by name, that have loaded libraries.

    Returns:
        Those of ``late`` whose libraries are as they were, because nothing is there to limit them by; and what undoes
        it all.
    """
    undo = contextlib.ExitStack()
    is_limited = _limit_by_threadpoolctl(threads, names, undo)
    if "OMP_NUM_THREADS" in names:
        _limit_torch(threads, undo)
    # Torch counts its threads by itself, whichever OpenMP it brings.
    unlimited = () if is_limited else tuple(name for name in late if name != "torch")
    return unlimited, undo.close


def _limit_by_threadpoolctl(threads: int, names: Collection[str], undo: contextlib.ExitStack) -> bool:
    """Return whether threadpoolctl is there, in a version that can choose libraries (3.0, 2022)."""
    try:
        # By name, because it is not ours to require and type checkers may not find it.
        threadpoolctl: Any = importlib.import_module("threadpoolctl")
        controller = threadpoolctl.ThreadpoolController()
    except (ImportError, AttributeError):
        return False
    paths = [
        library["filepath"]
        for library in controller.info()
        if _VARIABLES.get(library["internal_api"]) in names and (library["num_threads"] or 0) > threads
    ]
    if paths:
        undo.enter_context(controller.select(filepath=paths).limit(limits=threads))
    return True


def _limit_torch(threads: int, undo: contextlib.ExitStack) -> None:
    torch: Any = sys.modules.get("torch")
    # While it is being imported, or if somebody has put a stand-in there, it cannot be asked.
    if not hasattr(torch, "get_num_threads") or not hasattr(torch, "set_num_threads"):
        return
    before = torch.get_num_threads()
    if before > threads:
        torch.set_num_threads(threads)
        undo.callback(torch.set_num_threads, before)
