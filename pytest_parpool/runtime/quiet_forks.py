"""Forks without the warning that CPython 3.12 and later give of threads: whoever forks has looked at them before."""

from __future__ import annotations

import sys
import warnings

from pytest_parpool.runtime.thread_counts import may_have_native_threads, python_thread_count


class QuietForks:
    """Silences the warning meanwhile. A context manager.

    For a child the block never ends: it, or the one of its own children that users see, calls ``lift``, and warns then
    of what this process always has.
    """

    def __init__(self) -> None:
        # To silence nothing costs nothing, neither here nor in the children.
        self._filters = warnings.catch_warnings() if _is_warning_due() else None

    def __enter__(self) -> None:
        if self._filters is not None:
            self._filters.__enter__()
            warnings.simplefilter("ignore", DeprecationWarning)

    def __exit__(self, *_: object) -> None:
        self.lift()

    def lift(self) -> None:
        """Have this process warn as before."""
        if self._filters is not None:
            self._filters.__exit__(None, None, None)


def _is_warning_due() -> bool:
    return sys.version_info >= (3, 12) and (python_thread_count() > 1 or may_have_native_threads())
