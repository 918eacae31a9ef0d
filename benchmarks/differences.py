"""What differs between two records of outcomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

Outcomes = Mapping[str, Mapping[str, Sequence[str]]]  # By node id, by phase: the outcomes in the order of the reports.


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Difference:
    """A node id that did not end alike.

    Attributes:
        nodeid: As pytest reports it.
        expected: What the first record says, in words.
        actual: What the second one says.
    """

    nodeid: str
    expected: str
    actual: str


def find_differences(expected: Outcomes, actual: Outcomes) -> tuple[Difference, ...]:
    """Return every node id whose outcomes differ, or that only one of the records has, sorted."""
    found = (
        Difference(nodeid, describe(expected.get(nodeid, {})), describe(actual.get(nodeid, {})))
        for nodeid in expected.keys() | actual.keys()
        if expected.get(nodeid) != actual.get(nodeid)
    )
    return tuple(sorted(found))


def describe(phases: Mapping[str, Sequence[str]]) -> str:
    """Return a node's outcomes in words, such as ``setup passed, call failed, teardown passed``."""
    said = [f"{phase} {outcome}" for phase, outcomes in phases.items() for outcome in outcomes]
    return ", ".join(said) or "not reported"
