"""Stands for a test that not every worker has collected: it fails, with the reason, wherever it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


class RefusedItem(pytest.Item):
    """An item of its session, with the node id of the test that it stands for.

    Args:
        reason: What the report says.
        location: Of the test, as ``pytest.Item.location``.
    """

    def __init__(self, *, reason: str, place: tuple[str, int | None, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reason = reason
        self._place = place

    @property
    def location(self) -> tuple[str, int | None, str]:
        """Where the test is."""
        return self._place

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return what pytest's heading is made of."""
        return self.path, self._place[1], self._place[2]

    def setup(self) -> None:
        """Fail with the reason alone: there is nothing to run, and no traceback that would say more."""
        pytest.fail(self._reason, pytrace=False)

    def runtest(self) -> None:
        """Do nothing; nobody comes here."""


def make_refused_item(session: pytest.Session, nodeid: str, reason: str, known: pytest.Item | None) -> RefusedItem:
    """Return what stands for a test.

    Args:
        session: Its parent.
        nodeid: Of the test.
        reason: What the report says.
        known: The test itself, if this worker has it.
    """
    file, _, name = nodeid.partition("::")
    item: RefusedItem = RefusedItem.from_parent(
        session,
        name=known.name if known is not None else name or file,
        nodeid=nodeid,
        reason=reason,
        place=known.location if known is not None else (file, None, name.replace("::", ".") or file),
    )
    return item
