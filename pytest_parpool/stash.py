"""What we keep on pytest's config, by key."""

from __future__ import annotations

import pytest

from pytest_parpool.settings import Settings

SETTINGS = pytest.StashKey[Settings]()
"""What the user asked for; there once the command line was checked."""

TESTRUNUID = pytest.StashKey[str]()
"""The run's id."""
