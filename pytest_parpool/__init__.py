"""pytest-parpool: runs tests on a pool of worker processes.

The package map, from the top floor down; imports go down only (``tox -e imports``):

* ``plugin``: the entry point that pytest loads. No logic.
* ``controller``, ``worker``: pytest on either side of the process border.
* ``fixtures``, ``leftovers``: what tests ask for, and what is done behind those that use shared objects.
* ``compat``: what other plugins, and pytest's own private parts, expect of us.
* ``wire``: pytest's reports and warnings, to bytes and back.
* ``budget``: the CPUs that tests, and what they start, share.
* ``settings``, ``options``, ``hookspecs`` ...: what the user can say.
* ``workload``: the pool for calls; knows no pytest.
* ``sync``: the objects that tests share; knows no pytest.
* ``runtime``: processes and pipes.  ``policy``: decisions, pure.
* ``model``: the vocabulary.  ``errors``: whose fault it is.  ``runs``: which runs this process is part of.

What tests may want to name, in annotations and ``except`` clauses, can be imported from here. It is loaded when it is
first asked for: most runs need nothing of it.

PYTEST_DONT_REWRITE: pytest would look at our modules for assertions, or warn that it came too late to.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_parpool.leftovers import LeftoverWarning
    from pytest_parpool.sync.array import Array
    from pytest_parpool.sync.barrier import Barrier
    from pytest_parpool.sync.condition import Condition
    from pytest_parpool.sync.dictionary import Dict
    from pytest_parpool.sync.errors import (
        AbandonedLockWarning,
        BrokenBarrierError,
        BrokenConditionError,
        BrokenObjectError,
        BrokerLostError,
        DeadlockError,
        LockTimeoutError,
        MismatchError,
        NotHeldError,
        NumpyMissingError,
        UnfitError,
        UnpicklableError,
    )
    from pytest_parpool.sync.event import Event
    from pytest_parpool.sync.lock import Lock
    from pytest_parpool.sync.objects import SharedObjects
    from pytest_parpool.sync.queue import Queue
    from pytest_parpool.sync.rlock import RLock
    from pytest_parpool.sync.rwlock import RWLock
    from pytest_parpool.sync.semaphore import Semaphore
    from pytest_parpool.sync.value import Counter, Value
    from pytest_parpool.workload.errors import (
        PoolTerminatedError,
        PoolUsageError,
        TaskTimeoutError,
        UnpicklableTaskError,
        WorkerCrashed,
        WorkerStartError,
    )
    from pytest_parpool.workload.executor import PoolExecutor
    from pytest_parpool.workload.iterators import CompletedIterator, ResultIterator
    from pytest_parpool.workload.joblib_registration import register_joblib
    from pytest_parpool.workload.pool import Pool
    from pytest_parpool.workload.results import AsyncResult
    from pytest_parpool.workload.stdlib_errors import ResultTimeoutError, UnpicklableResultError

__version__ = "0.1.0"

__all__ = [
    "AbandonedLockWarning",
    "Array",
    "AsyncResult",
    "Barrier",
    "BrokenBarrierError",
    "BrokenConditionError",
    "BrokenObjectError",
    "BrokerLostError",
    "CompletedIterator",
    "Condition",
    "Counter",
    "DeadlockError",
    "Dict",
    "Event",
    "LeftoverWarning",
    "Lock",
    "LockTimeoutError",
    "MismatchError",
    "NotHeldError",
    "NumpyMissingError",
    "Pool",
    "PoolExecutor",
    "PoolTerminatedError",
    "PoolUsageError",
    "Queue",
    "RLock",
    "RWLock",
    "ResultIterator",
    "ResultTimeoutError",
    "Semaphore",
    "SharedObjects",
    "TaskTimeoutError",
    "UnfitError",
    "UnpicklableError",
    "UnpicklableResultError",
    "UnpicklableTaskError",
    "Value",
    "WorkerCrashed",
    "WorkerStartError",
    "__version__",
    "register_joblib",
]

_ERRORS = "sync.errors"
_POOL_ERRORS = "workload.errors"
_MODULES = {
    "AbandonedLockWarning": _ERRORS,
    "Array": "sync.array",
    "AsyncResult": "workload.results",
    "Barrier": "sync.barrier",
    "BrokenBarrierError": _ERRORS,
    "BrokenConditionError": _ERRORS,
    "BrokenObjectError": _ERRORS,
    "BrokerLostError": _ERRORS,
    "CompletedIterator": "workload.iterators",
    "Condition": "sync.condition",
    "Counter": "sync.value",
    "DeadlockError": _ERRORS,
    "Dict": "sync.dictionary",
    "Event": "sync.event",
    "LeftoverWarning": "leftovers",
    "Lock": "sync.lock",
    "LockTimeoutError": _ERRORS,
    "MismatchError": _ERRORS,
    "NotHeldError": _ERRORS,
    "NumpyMissingError": _ERRORS,
    "Pool": "workload.pool",
    "PoolExecutor": "workload.executor",
    "PoolTerminatedError": _POOL_ERRORS,
    "PoolUsageError": _POOL_ERRORS,
    "Queue": "sync.queue",
    "RLock": "sync.rlock",
    "RWLock": "sync.rwlock",
    "ResultIterator": "workload.iterators",
    "ResultTimeoutError": "workload.stdlib_errors",
    "Semaphore": "sync.semaphore",
    "SharedObjects": "sync.objects",
    "TaskTimeoutError": _POOL_ERRORS,
    "UnfitError": _ERRORS,
    "UnpicklableError": _ERRORS,
    "UnpicklableResultError": "workload.stdlib_errors",
    "UnpicklableTaskError": _POOL_ERRORS,
    "Value": "sync.value",
    "WorkerCrashed": _POOL_ERRORS,
    "WorkerStartError": _POOL_ERRORS,
    "register_joblib": "workload.joblib_registration",
}


def __getattr__(name: str) -> Any:
    """Load what was asked for."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
