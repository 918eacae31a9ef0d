"""What a fresh interpreter does first, on Windows: take what it was told by its launcher, and go to work."""

from __future__ import annotations

import os
from typing import Any

from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.launched import become_launched, work
from pytest_parpool.runtime.ledger import Page
from pytest_parpool.runtime.link import WorkerLink
from pytest_parpool.runtime.link_ends import SocketEnd
from pytest_parpool.runtime.memory import map_named
from pytest_parpool.runtime.sockets import RawSocket

# Where a virtual environment's interpreter is, for the one that it is made of.
LAUNCHER_VARIABLE = "__PYVENV_LAUNCHER__"


def live(launch: dict[str, Any], own: dict[str, Any]) -> None:
    """Be a worker, to its end.

    Args:
        launch: What the launcher has written for all workers.
        own: What it says of this one; see ``launcher``.
    """
    os.environ.pop(LAUNCHER_VARIABLE, None)
    # Nothing more comes from where all this came.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    become_launched(launch)
    memory = map_named(own["ledger"], own["ledger_bytes"])
    link = WorkerLink(SocketEnd(RawSocket(0, 0, 0, own["channel"])), Page.mapped(memory, own["place"]))
    work(launch, link, WorkerId(own["worker"]))
