"""What workers have collected by themselves, against what the controller has: which tests all of them know.

Every process that collects anew may find something else: a parametrisation over a set, a file that has just changed, a
``skipif`` on the worker's id. What all know is run; what is not known everywhere is an error with an explanation, in
whichever worker it would have been run, so that the outcome does not depend on who was given it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import Collected, Matched

USUAL_CAUSES = (
    "usual causes: a parametrisation over a set, or over what a directory or a clock says; random numbers without a "
    "seed; a test that is made only in some processes"
)


def places(expected: Sequence[str], found: Sequence[str]) -> list[int | None]:
    """Return for each expected node id where it is among those found, or None; of equal ids the n-th is the n-th."""
    where: dict[str, list[int]] = {}
    for place in range(len(found) - 1, -1, -1):
        where.setdefault(found[place], []).append(place)
    return [where[nodeid].pop() if where.get(nodeid) else None for nodeid in expected]


class Matching:
    """Compares the collections of all first workers before any of them runs a test; later ones with the result.

    Args:
        nodeids: What the controller has collected.
    """

    def __init__(self, nodeids: Sequence[str]) -> None:
        self._nodeids = nodeids
        self._awaited: set[WorkerId] = set()
        self._are_first_answered = False
        self._waiting: list[WorkerId] = []
        self._lacking: dict[ItemIndex, list[WorkerId]] = {}
        self._with_errors: set[WorkerId] = set()

    def asked_for(self, worker: WorkerId) -> None:
        """Take note that a worker is to be born."""
        if not self._are_first_answered:
            self._awaited.add(worker)

    def heard(self, worker: WorkerId, collected: Collected) -> list[tuple[WorkerId, Matched]]:
        """Take note of what a worker has found; return the answers that can be given now."""
        for item in collected.missing:
            self._lacking.setdefault(item, []).append(worker)
        if collected.errors:
            self._with_errors.add(worker)
        self._awaited.discard(worker)
        self._waiting.append(worker)
        return self._answers()

    def gone(self, worker: WorkerId) -> list[tuple[WorkerId, Matched]]:
        """Wait no more for a worker that will not say anything; return the answers that can be given now."""
        self._awaited.discard(worker)
        if worker in self._waiting:
            self._waiting.remove(worker)
        return self._answers()

    def explain(self, worker: WorkerId, collected: Collected) -> str | None:
        """Return what is different about a worker's collection, in one line; None if nothing is."""
        missing, (surplus, first_surplus) = collected.missing, collected.surplus
        if not missing and not surplus:
            return None
        parts = []
        if missing:
            parts.append(f"{len(missing)} missing, the first {self._nodeids[missing[0]]!r}")
        if surplus:
            parts.append(f"{surplus} of its own, the first {first_surplus!r}")
        causes = "there were errors" if collected.errors else USUAL_CAUSES
        return f"{worker} collected other tests than the controller: {'; '.join(parts)} ({causes})"

    def _answers(self) -> list[tuple[WorkerId, Matched]]:
        if self._awaited:
            return []
        self._are_first_answered = self._are_first_answered or bool(self._waiting)
        answer = Matched(tuple((item, self._refusal(item)) for item in sorted(self._lacking)))
        answers = [(worker, answer) for worker in self._waiting]
        self._waiting = []
        return answers

    def _refusal(self, item: ItemIndex) -> str:
        workers = dict.fromkeys(self._lacking[item])
        with_errors = [worker for worker in workers if worker in self._with_errors]
        causes = f"there were errors in the collection of {', '.join(with_errors)}" if with_errors else USUAL_CAUSES
        return (
            f"{self._nodeids[item]} was collected by the controller, but not by {', '.join(workers)}, "
            f"so it is not run\n({causes})"
        )


def difference(found: Sequence[str], at: Sequence[int | None]) -> tuple[tuple[ItemIndex, ...], tuple[int, str]]:
    """Return what ``Collected`` says: the items that are missing, and how much else was found.

    Args:
        found: Node ids, as they were found.
        at: What ``places`` returned for them.
    """
    missing = tuple(ItemIndex(index) for index, place in enumerate(at) if place is None)
    known = {place for place in at if place is not None}
    surplus = [nodeid for place, nodeid in enumerate(found) if place not in known]
    return missing, (len(surplus), surplus[0] if surplus else "")
