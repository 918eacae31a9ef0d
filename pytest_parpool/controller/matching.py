"""Answers spawned workers, which have collected by themselves, and says on the terminal what they found different."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Collected, Matched
from pytest_parpool.policy.matching import Matching
from pytest_parpool.runtime.running_pool import RunningPool


class CollectionMatch:
    """Holds the first workers back until all have collected, and knows who is still collecting.

    Args:
        nodeids: What the controller has collected.
        pool: Where the answers go.
        say: Writes a line on the terminal.
    """

    def __init__(self, nodeids: Sequence[str], pool: RunningPool, say: Callable[[str], None]) -> None:
        self._matching = Matching(nodeids)
        self._pool = pool
        self._say = say
        self._collecting: set[WorkerId] = set()
        self._shown_errors: set[str] = set()

    def is_collecting(self, worker: WorkerId) -> bool:
        """Whether a worker was asked for, and has neither collected nor ended."""
        return worker in self._collecting

    def asked_for(self, worker: WorkerId) -> None:
        """Take note that a worker is to be born."""
        self._collecting.add(worker)
        self._matching.asked_for(worker)

    def heard(self, worker: WorkerId, collected: Collected) -> None:
        """Take note of what a worker has found."""
        self._collecting.discard(worker)
        line = self._matching.explain(worker, collected)
        if line is not None:
            self._say(line)
            self._show_error(worker, collected.errors)
        self._answer(self._matching.heard(worker, collected))

    def gone(self, worker: WorkerId) -> None:
        """Take note that a worker is not there any more, or will never be."""
        self._collecting.discard(worker)
        self._answer(self._matching.gone(worker))

    def _show_error(self, worker: WorkerId, errors: Sequence[str]) -> None:
        """Show the first error of a worker's collection, if not another worker had the same."""
        if errors and errors[0] not in self._shown_errors:
            self._shown_errors.add(errors[0])
            self._say(f"the first error in the collection of {worker}:\n{errors[0]}")

    def _answer(self, answers: Iterable[tuple[WorkerId, Matched]]) -> None:
        for worker, answer in answers:
            self._pool.send(worker, answer)
