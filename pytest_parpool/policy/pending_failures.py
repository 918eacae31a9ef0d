"""Failures that may yet stop the run (``-x``, ``--maxfail``): while there are any, nobody is told to begin something.

A failure may stop the run from ``Troubled``, when it is only suspected, to its report, and from there until it is
``Judged``. A suspicion may end without a report, too: with the item, or with the worker.
"""

from __future__ import annotations

from pytest_parpool.model.ids import WorkerId


class PendingFailures:
    """Who is suspected of a failure, and how many were reported and not judged yet.

    Args:
        is_stop_watched: Whether a failure may stop the run at all.
    """

    def __init__(self, *, is_stop_watched: bool) -> None:
        self._is_stop_watched = is_stop_watched
        self.suspects: set[WorkerId] = set()
        self.unjudged = 0

    @property
    def is_any(self) -> bool:
        """Whether anything may yet stop the run."""
        return self.unjudged > 0 or bool(self.suspects)

    def is_held_back(self, worker: WorkerId) -> bool:
        """Whether a worker that asks must wait for a failure to be looked at.

        A worker that is itself suspected is answered: plugins that rerun tests let an item's teardown, which asks, come
        before its reports. What it is given it cannot begin before those are out.
        """
        return self.unjudged > 0 or (bool(self.suspects) and worker not in self.suspects)

    def suspect(self, worker: WorkerId) -> None:
        """Note that a worker may be about to report a failure."""
        self.suspects.add(worker)

    def clear(self, worker: WorkerId) -> bool:
        """Note that what a worker was suspected of is no failure to be judged; return whether it was suspected."""
        if worker not in self.suspects:
            return False
        self.suspects.discard(worker)
        return True

    def report(self, worker: WorkerId) -> None:
        """Note that a worker has reported a failure that is to be judged."""
        self.suspects.discard(worker)
        self.unjudged += 1

    def crash(self) -> None:
        """Note that a worker has died running an item."""
        if self._is_stop_watched:
            self.unjudged += 1

    def judge(self) -> None:
        """Note that one failure was judged, and the run goes on."""
        # A crash is judged, too, where nobody counts; and a stop has forgotten the count.
        self.unjudged = max(0, self.unjudged - 1)

    def worker_gone(self, worker: WorkerId) -> None:
        """Note that a worker will report nothing any more."""
        self.suspects.discard(worker)

    def forget(self) -> None:
        """Forget them all: the run stops."""
        self.suspects.clear()
        self.unjudged = 0
