"""What the controller tells all spawned workers before it can talk to them."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Sequence

from pytest_parpool.model.records import Record, record


@record
class LaunchOrder(Record):
    """How to become a worker of this run.

    Attributes:
        arguments: Of the command line, as pytest was called in the controller.
        digest: Of the node ids that were collected there.
        nodeids: Those, marshalled: only who has found something else looks at them.
        is_stop_watched: Whether a failure may stop the run.
        sharing_token: The run's shared objects are found by it.
        sharing_owner: The process that they end with.
        sharing_lent: Where a worker says that it has used one; see ``sharing.lend``.
        budget: How it takes part in the CPU budget, in the words of ``budget.membership``.
        main: What the main module is there, in the words of ``compat.main_module``.
        capture: How pytest captures output there (``--capture``).
        measurement: How to measure with coverage, in the words of ``coverage.spawned``; empty if it does not measure.
    """

    arguments: tuple[str, ...]
    digest: bytes
    nodeids: bytes
    is_stop_watched: bool
    sharing_token: str
    sharing_owner: int
    sharing_lent: str
    budget: bytes
    main: tuple[str, str]
    capture: str
    measurement: bytes

    def dumps(self) -> bytes:
        """Return it as bytes."""
        return marshal.dumps(self._values())

    @classmethod
    def loads(cls, data: bytes) -> LaunchOrder:
        """Return what was dumped."""
        return cls(*marshal.loads(data))


def digest(nodeids: Sequence[str]) -> bytes:
    """Return what is the same for the same node ids in the same order, and for nothing else."""
    return hashlib.blake2b("\0".join(nodeids).encode("utf-8", "surrogatepass"), digest_size=16).digest()
