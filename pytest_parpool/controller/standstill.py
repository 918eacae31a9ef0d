"""Tells the broker of shared objects when the workers are silent, so that it sees whether they wait for each other.

The broker knows who waits for what, but not which processes run tests: that is known here.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.policy.lifecycle import ALIVE
from pytest_parpool.runtime.running_pool import RunningPool
from pytest_parpool.sharing import SHARING

# Long enough that it costs nothing, short enough that nobody thinks that the run hangs.
STANDSTILL_SECONDS = 0.1


class Silence:
    """Looks at the workers now and then while nothing is heard from them.

    Args:
        config: Of the run.
        pool: The workers' processes.
        dispatcher: Knows who is alive.
        workers: The slots.
    """

    def __init__(
        self, config: pytest.Config, pool: RunningPool, dispatcher: Dispatcher, workers: Iterable[WorkerId]
    ) -> None:
        self._sharing = config.stash[SHARING]
        self._pool = pool
        self._dispatcher = dispatcher
        self._workers = tuple(workers)
        self._next_look = 0.0

    def limit(self, seconds: float | None) -> float:
        """Return how long to wait for what happens; ``seconds`` is for how long others could do without us."""
        return STANDSTILL_SECONDS if seconds is None else min(seconds, STANDSTILL_SECONDS)

    def look(self, now: float) -> None:
        """Tell the broker who runs tests, if that is its business; to be called when nothing was heard."""
        if now < self._next_look:
            return
        self._next_look = now + STANDSTILL_SECONDS
        if not self._sharing.used[0]:
            return
        runners = self._runners()
        if runners:
            from pytest_parpool.sync.services import SystemService

            SystemService(self._sharing.token, self._sharing.owner_pid).tell_silence(runners, now)

    def _runners(self) -> tuple[int, ...]:
        """Return the process ids of all workers that are alive; empty if one of them is just being born."""
        pids = [self._pool.pid(worker) for worker in self._workers if self._dispatcher.state(worker) in ALIVE]
        known = tuple(pid for pid in pids if pid is not None)
        return known if len(known) == len(pids) else ()
