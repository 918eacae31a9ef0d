"""pytest-parpool: runs tests on a pool of worker processes.

The package map, from the top floor down; imports go down only (``tox -e imports``):

* ``plugin``: the entry point that pytest loads. No logic.
* ``controller``, ``worker``: pytest on either side of the process border.
* ``fixtures``, ``leftovers``: what tests ask for, and what is done behind those that use shared objects.
* ``compat``: what other plugins, and pytest's own private parts, expect of us.
* ``wire``: pytest's reports and warnings, to bytes and back.
* ``settings``, ``options``, ``hookspecs`` ...: what the user can say.
* ``sync``: the objects that tests share; knows no pytest.
* ``runtime``: processes and pipes.  ``policy``: decisions, pure.
* ``model``: the vocabulary.  ``errors``: whose fault it is.

What tests may want to name, in annotations and ``except`` clauses, can be imported from here. It is loaded when it is
first asked for: most runs need nothing of it.
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

__version__ = "0.1.0"

__all__ = [
    "AbandonedLockWarning",
    "Array",
    "Barrier",
    "BrokenBarrierError",
    "BrokenConditionError",
    "BrokenObjectError",
    "BrokerLostError",
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
    "Queue",
    "RLock",
    "RWLock",
    "Semaphore",
    "SharedObjects",
    "UnfitError",
    "UnpicklableError",
    "Value",
    "__version__",
]

_ERRORS = "sync.errors"
_MODULES = {
    "AbandonedLockWarning": _ERRORS,
    "Array": "sync.array",
    "Barrier": "sync.barrier",
    "BrokenBarrierError": _ERRORS,
    "BrokenConditionError": _ERRORS,
    "BrokenObjectError": _ERRORS,
    "BrokerLostError": _ERRORS,
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
    "Queue": "sync.queue",
    "RLock": "sync.rlock",
    "RWLock": "sync.rwlock",
    "Semaphore": "sync.semaphore",
    "SharedObjects": "sync.objects",
    "UnfitError": _ERRORS,
    "UnpicklableError": _ERRORS,
    "Value": "sync.value",
}


def __getattr__(name: str) -> Any:
    """Load what was asked for."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
