"""What all tests share."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator

import pytest

pytest_plugins = ("pytester",)

FORBIDDEN = "PYTHONDONTWRITEBYTECODE"

# What is about one system only is not there on others.
collect_ignore = [] if sys.platform == "win32" else ["windows"]


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Have inner runs share what they compile: where nothing may be written beside the sources, in a place of its own.

    The suite starts thousands of interpreters, and each would compile all modules of ours.
    """
    if not os.environ.get(FORBIDDEN) or "PYTHONPYCACHEPREFIX" in os.environ:
        return (yield)
    # Brokers and the like may still be there at the end, and write.
    directory = tempfile.TemporaryDirectory(prefix="parpool-tests-", ignore_cleanup_errors=True)
    with pytest.MonkeyPatch.context() as patch, directory as place:
        patch.delenv(FORBIDDEN)
        patch.setenv("PYTHONPYCACHEPREFIX", place)
        return (yield)
