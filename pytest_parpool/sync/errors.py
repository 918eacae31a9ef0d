"""What goes wrong with shared objects. Each is also what ``threading``, ``multiprocessing`` or ``queue`` raise for it.

All carry their message in ``args``, and so survive pickling.
"""

from __future__ import annotations

import threading

from pytest_parpool.errors import ParpoolError


class AbandonedLockWarning(UserWarning):
    """Whoever held a lock died with it: what it protects may be half done. The text says who, and in which test."""


class DeadlockError(ParpoolError, RuntimeError):
    """All that is waited for is held by those who wait themselves. The text shows the whole cycle."""


class NotHeldError(ParpoolError, RuntimeError, ValueError):
    """Something was released that is not held. ``threading`` raises RuntimeError, ``multiprocessing`` ValueError."""


class LockTimeoutError(ParpoolError, TimeoutError):
    """The time was over. The text says who held what was waited for."""


class BrokenObjectError(ParpoolError, RuntimeError):
    """A queue or condition that waits for somebody who died."""


class BrokenConditionError(BrokenObjectError):
    """Somebody died with a condition's lock, perhaps about to notify those who wait. The text says who."""


class BrokenBarrierError(ParpoolError, threading.BrokenBarrierError):
    """A barrier at which somebody gave up, or died. The text says who."""


class MismatchError(ParpoolError, ValueError):
    """An object was opened before with other arguments."""


class UnfitError(ParpoolError, TypeError):
    """The value cannot do that."""


class NumpyMissingError(ParpoolError, ImportError):
    """An array was asked for what only numpy can do, and it is not installed."""


class UnpicklableError(ParpoolError, TypeError):
    """A value cannot be sent to other processes."""


class BrokerLostError(ParpoolError):
    """The broker has ended before the run has; what it kept is lost."""
