"""What starts fresh interpreters on this system."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if sys.platform == "win32":
    from pytest_parpool.runtime.windows.launcher import JobLauncher
else:
    from pytest_parpool.runtime.launcher import Launcher

if TYPE_CHECKING:
    from pytest_parpool.runtime.launch import Launch
    from pytest_parpool.runtime.ledger import Ledger
    from pytest_parpool.runtime.lifeline import Lifeline
    from pytest_parpool.runtime.spawner import Spawner


def start_launcher(launch: Launch, lifeline: Lifeline, ledger: Ledger) -> Spawner:
    """Return the spawner of fresh interpreters. Arguments as ``Launcher``'s.

    Raises:
        OSError: If the system has no descriptors left.
    """
    if sys.platform == "win32":
        return JobLauncher(launch, ledger)  # A job is a lifeline, too.
    return Launcher(launch, lifeline, ledger)
