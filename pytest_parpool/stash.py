"""What we keep on pytest's config, by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_parpool.settings import Settings

if TYPE_CHECKING:
    from pytest_parpool.coverage.measurement import Measurement

SETTINGS = pytest.StashKey[Settings]()
"""What the user asked for; there once the command line was checked."""

TESTRUNUID = pytest.StashKey[str]()
"""The run's id."""

MEASUREMENT: pytest.StashKey[Measurement] = pytest.StashKey()
"""What coverage measures workers with; there only while it measures a run that has some."""
