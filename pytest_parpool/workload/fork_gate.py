"""Has the service threads of this process's pools stand still while another pool is forked from it.

Theory of operation: a fork copies one thread, and every lock as it is. A service thread runs callbacks, which may hold
any lock of the user's, and imports modules. So it says when it rests, which is while it waits for its workers, with no
lock in its hand; and it does not go on while the gate is closed. Who forks closes the gate, and waits for all to rest.
A callback may take as long as it likes, or wait for whoever forks: so there is an end to that patience.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator


class ForkGate:
    """The gate of a process; a forked copy begins with one that is open, and has no service threads."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget threads that are not here any more, and whatever they held."""
        self._forking = threading.Lock()
        self._changed = threading.Condition()
        self._busy: set[int] = set()
        self._is_closed = False

    def go_on(self) -> None:
        """Note that this thread does something from now on. Waits while somebody forks."""
        with self._changed:
            while self._is_closed:
                self._changed.wait()
            self._busy.add(threading.get_ident())

    def rest(self) -> None:
        """Note that this thread holds nothing, until it asks to go on."""
        with self._changed:
            self._busy.discard(threading.get_ident())
            if self._is_closed:  # Else nobody waits for it.
                self._changed.notify_all()

    @contextlib.contextmanager
    def closed(self, patience_seconds: float) -> Iterator[bool]:
        """Close the gate for a block, which is given whether all threads rest but this one.

        Args:
            patience_seconds: How long to wait for that.
        """
        this = {threading.get_ident()}
        with self._forking:
            try:
                with self._changed:
                    self._is_closed = True
                    is_quiet = self._changed.wait_for(lambda: self._busy <= this, patience_seconds)
                yield is_quiet
            finally:
                with self._changed:
                    self._is_closed = False
                    self._changed.notify_all()


fork_gate = ForkGate()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=fork_gate.begin_anew)
