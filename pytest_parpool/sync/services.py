"""Which way to a run's broker this system has."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from pytest_parpool.sync.windows.service import LoopbackService as SystemService
else:
    from pytest_parpool.sync.unix_service import UnixService as SystemService

__all__ = ["SystemService"]
