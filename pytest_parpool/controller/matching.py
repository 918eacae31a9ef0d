"""Answers spawned workers, which have collected by themselves, and says on the terminal what they found different."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Collected, Matched
from pytest_parpool.policy.matching import Matching
from pytest_parpool.runtime.running_pool import RunningPool


class CollectionMatch:
    """Holds the first workers back until all have collected.

    Args:
        nodeids: What the controller has collected.
        pool: Where the answers go.
        say: Writes a line on the terminal.
    """

    def __init__(self, nodeids: Sequence[str], pool: RunningPool, say: Callable[[str], None]) -> None:
        self._matching = Matching(nodeids)
        self._pool = pool
        self._say = say

    def asked_for(self, worker: WorkerId) -> None:
        """Take note that a worker is to be born."""
        self._matching.asked_for(worker)

    def heard(self, worker: WorkerId, collected: Collected) -> None:
        """Take note of what a worker has found."""
        line = self._matching.explain(worker, collected)
        if line is not None:
            self._say(line)
        if line is not None and collected.errors:
            self._say(f"{worker} had errors in its collection, the first:\n{collected.errors[0]}")
        self._answer(self._matching.heard(worker, collected))

    def gone(self, worker: WorkerId) -> None:
        """Take note that a worker is not there any more, or will never be."""
        self._answer(self._matching.gone(worker))

    def _answer(self, answers: Iterable[tuple[WorkerId, Matched]]) -> None:
        for worker, answer in answers:
            self._pool.send(worker, answer)
