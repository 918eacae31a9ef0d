"""allure-pytest in a worker: the process that its results name is the worker."""

from __future__ import annotations

import sys
from typing import Any

import pytest


def adapt(config: pytest.Config) -> None:
    """Renew the label by which its reports show what ran in parallel; it was made in the controller.

    Nothing else of it is renewed: it would empty the directory of results again.
    """
    listener: Any = config.pluginmanager.get_plugin("allure_listener")
    utils: Any = sys.modules.get("allure_commons.utils")
    if hasattr(listener, "_thread") and hasattr(utils, "thread_tag"):
        listener._thread = utils.thread_tag()  # noqa: SLF001  -- there is no other way to it
