"""CPython's own tests of ``multiprocessing.Pool``, as this interpreter has them, run against ``pytest_parpool.Pool``.

Those that do not hold are listed with a reason, here and in ``docs/reference/pool.md``. A test of ``DIFFERENT`` has to
fail: if it does not any more, the difference is gone. Those of ``NOT_OURS`` say nothing about a pool that is given.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
import sys
import unittest
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_parpool import Pool

theirs: Any = pytest.importorskip("test._test_multiprocessing", reason="this Python comes without its own tests")

DIFFERENT = {
    "test_map_unplicklable": "The error is `UnpicklableTaskError`, which says which value it was; what the value's own "
    "`__reduce__` has raised is its `__cause__`.",
    "test_pool_worker_lifetime": "It looks at the processes in the private `_pool`, and calls `_repopulate_pool`.",
    "test_resource_warning": "It sets the private `_state` to get the warning; a forgotten pool gives it without that.",
}
NOT_OURS = {
    "test_worker_finalization_via_atexit_handler_of_multiprocessing": "It runs a script with `multiprocessing.Pool` in "
    "another interpreter; ours are run by our own tests.",
}


class _ProcessPool(Pool):
    """Shows how many workers there are where a test looks for it."""

    @property
    def _pool(self) -> list[int]:
        return list(range(self.processes))


class _ThreadPool(_ProcessPool):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, kind="thread")


def _adopt(own_name: str, base: type[Any], kind: str, pool_class: type[Pool]) -> type[unittest.TestCase]:
    """Return a class of tests, with a name of its own, whose ``Pool`` is ours, by either name that they have for it."""

    class Adopted(base, unittest.TestCase):  # type: ignore[misc]
        TYPE = kind
        Pool = pool_class

        @classmethod
        def setUpClass(cls) -> None:
            patch = unittest.mock.patch.object(multiprocessing, "Pool", pool_class)
            patch.start()
            cls.addClassCleanup(patch.stop)
            if kind == "threads":
                # Before Python 3.13 a task of ``test_terminate`` sleeps for so long, and a thread cannot be killed.
                shorter = unittest.mock.patch.object(theirs.support, "LONG_TIMEOUT", 1.0)
                shorter.start()
                cls.addClassCleanup(shorter.stop)
            super().setUpClass()

    for name in NOT_OURS:
        if hasattr(base, name):
            setattr(Adopted, name, None)
    for name, reason in DIFFERENT.items():
        # What this test calls different is skipped for threads by itself.
        if hasattr(base, name) and not (name == "test_map_unplicklable" and kind == "threads"):
            setattr(Adopted, name, pytest.mark.xfail(reason=reason, strict=True)(_own(getattr(base, name))))
    Adopted.__name__ = Adopted.__qualname__ = own_name  # Some tests hand methods of theirs to workers.
    return Adopted


def _own(method: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return a function that can be marked without marking theirs."""

    def own(self: Any) -> None:
        method(self)

    return own


TestPoolOfProcesses = _adopt("TestPoolOfProcesses", theirs._TestPool, "processes", _ProcessPool)
TestPoolOfThreads = _adopt("TestPoolOfThreads", theirs._TestPool, "threads", _ThreadPool)
TestPoolWorkerErrors = _adopt("TestPoolWorkerErrors", theirs._TestPoolWorkerErrors, "processes", _ProcessPool)
TestPoolWorkerLifetime = _adopt("TestPoolWorkerLifetime", theirs._TestPoolWorkerLifetime, "processes", _ProcessPool)


class TestInitializers(_adopt("TestInitializers", theirs.TestInitializers, "processes", _ProcessPool)):  # type: ignore[misc]
    """Of these, only the pool's."""

    test_manager_initializer = None


@pytest.fixture(autouse=True)
def _fork_without_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    # They expect of some values that they cannot be pickled.
    monkeypatch.setitem(sys.modules, "cloudpickle", None)


def test_every_difference_is_on_the_page() -> None:
    """The page names the same tests, with the same reasons."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "pool.md").read_text(encoding="utf-8")
    for name, reason in {**DIFFERENT, **NOT_OURS}.items():
        assert f"| `{name}` | {reason} |" in page
