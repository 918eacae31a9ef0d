"""The next item, decided late.

``pytest_runtest_protocol(item, nextitem)`` asks for the next item before the test starts, but uses it only at the
teardown, to decide what to tear down (``SetupState.teardown_exact`` calls ``nextitem.listchain()``). Who answers early
must hold a second test back behind every running one. This stand-in is asked at the teardown, and finds out then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class LateNextItem:
    """Stands for the item that will run next, as long as nobody asks which it is.

    Args:
        item: The one that runs now.
        resolve: Returns the item that will run next, the session for "nothing now", or None for "the run is over for
            this worker". Called at most once; may wait for the controller.
        is_own_process: Whether this is the worker, not a child that the test forked: a child must not talk for it.
    """

    def __init__(
        self,
        item: pytest.Item,
        resolve: Callable[[], pytest.Item | pytest.Session | None],
        is_own_process: Callable[[], bool],
    ) -> None:
        self._parpool_item = item
        self._parpool_resolve = resolve
        self._parpool_is_own_process = is_own_process
        self._parpool_next: tuple[pytest.Item | pytest.Session | None] | None = None

    def _parpool_find(self) -> pytest.Item | pytest.Session | None:
        if self._parpool_next is None:
            self._parpool_next = (self._parpool_resolve(),)
        return self._parpool_next[0]

    def listchain(self) -> list[Any]:
        """Return the collectors that are still needed; see ``_pytest.nodes.Node.listchain``."""
        if not self._parpool_is_own_process():
            # The child's end is not the worker's: it tears down what belongs to its test.
            return self._parpool_item.listchain()[:-1]
        found = self._parpool_find()
        return found.listchain() if found is not None else []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_parpool"):
            raise AttributeError(name)
        found = self._parpool_find() if self._parpool_is_own_process() else None
        return getattr(found if found is not None else self._parpool_item.session, name)
