"""A worker's life as the controller sees it: the states, and which may follow which."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class WorkerState(enum.Enum):
    """What a slot's process is doing."""

    VACANT = "no process; one is to be born when there is work"
    STARTING = "asked for, not ready yet"
    BUSY = "runs items, or is about to"
    ASKING = "stands still and was not answered yet"
    WAITING = "stands still, told to wait"
    AWAITING = "stands still with a failed report until the run goes on, then is what it was, or stops"
    DRAINING = "told to finish what it runs, tear down and leave"
    LEFT = "has torn everything down; its process is ending"
    RETIRED = "no process, and none is needed any more"

    # There is one object for each state. ``Enum``'s own, made of the name, is run for every ``in`` a set, and for each
    # test that takes a tenth of what the dispatcher takes.
    __hash__ = object.__hash__


_S = WorkerState

MOVES: Mapping[WorkerState, frozenset[WorkerState]] = {
    _S.VACANT: frozenset({_S.STARTING, _S.RETIRED}),
    _S.STARTING: frozenset({_S.ASKING, _S.BUSY, _S.DRAINING, _S.LEFT, _S.VACANT, _S.RETIRED}),
    _S.BUSY: frozenset({_S.ASKING, _S.AWAITING, _S.DRAINING, _S.LEFT, _S.VACANT, _S.RETIRED}),
    _S.ASKING: frozenset({_S.BUSY, _S.WAITING, _S.AWAITING, _S.DRAINING, _S.LEFT, _S.VACANT, _S.RETIRED}),
    _S.WAITING: frozenset({_S.BUSY, _S.AWAITING, _S.DRAINING, _S.LEFT, _S.VACANT, _S.RETIRED}),
    _S.AWAITING: frozenset({_S.BUSY, _S.ASKING, _S.WAITING, _S.DRAINING, _S.LEFT, _S.VACANT, _S.RETIRED}),
    _S.DRAINING: frozenset({_S.LEFT, _S.VACANT, _S.RETIRED}),
    _S.LEFT: frozenset({_S.VACANT, _S.RETIRED}),
    _S.RETIRED: frozenset(),
}

ALIVE = frozenset(WorkerState) - {_S.VACANT, _S.RETIRED}
"""The states in which the slot has a process."""

STANDING = frozenset({_S.ASKING, _S.WAITING})
"""The states in which a worker can be given items, because it waits for them."""

RESUMED = frozenset({_S.BUSY, _S.ASKING, _S.WAITING})
"""The states in which a failed report can come, and to which a worker goes back when the run goes on."""

LEAVING = frozenset({_S.DRAINING, _S.LEFT})
"""The states in which a worker has only to leave, and may be late."""
