"""How workers are started: forked, where that is safe, or spawned; decided once, after everything is collected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from pytest_parpool.compat import fork_safety, unrepeated_hooks
from pytest_parpool.runtime.thread_counts import may_have_native_threads
from pytest_parpool.settings import Settings


def decide(config: pytest.Config, settings: Settings, say: Callable[[str], None]) -> Literal["fork", "spawn"]:
    """Return how workers are to be started, and say what there is to know about it.

    Args:
        config: Pytest's, after the collection.
        settings: What the user asked for.
        say: Writes a line on the terminal.
    """
    reasons: list[str] = []
    if settings.start_method == "auto":
        reasons += fork_safety.reasons(config, settings.native_threads_safe)
        reasons += unrepeated_hooks.reasons(config, settings)
    fork_safety.stop_watching()
    if settings.start_method == "fork":
        if may_have_native_threads():
            _warn_of_native_threads(config, settings, say)
        return "fork"
    if reasons:
        say(f"workers are spawned, not forked, because {reasons[0]}")
    return "spawn" if reasons or settings.start_method == "spawn" else "fork"


def _warn_of_native_threads(config: pytest.Config, settings: Settings, say: Callable[[str], None]) -> None:
    from pytest_parpool.budget.limiting import environ_at_load
    from pytest_parpool.runtime import native_threads

    unsafe = native_threads.scan(settings.native_threads_safe, environ=environ_at_load(config))
    if unsafe:
        say(native_threads.warning_line(unsafe))
