"""What ``pytest_handlecrashitem`` gets as pytest-xdist's scheduler, as far as plugins look."""

from __future__ import annotations

from typing import NoReturn

import pytest


class CrashScheduler:
    """Knows the run, and that a crashed test cannot be queued again.

    Attributes:
        config: Pytest's, in the controller.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def mark_test_pending(self, item: str) -> NoReturn:
        """Refuse, as pytest-xdist's schedulers of whole scopes do; plugins then leave the test failed.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(f"parpool: {item!r} cannot be run again after a crash")
