"""Sees that somebody reads the variables with a worker's identity, from before conftests are loaded.

A module that reads ``PYTEST_XDIST_WORKER`` when it is imported keeps the controller's answer in a forked worker, and so
do tests that were collected by it. Nothing can repair that, but a spawned worker imports and collects for itself.

``os.environ`` encodes each name that it is asked for by its attribute ``encodekey``: ``[]``, ``get``, ``in``, ``pop``,
``setdefault`` and ``os.getenv`` all come there. Wrapping this one function sees them, leaves the object and its class
as they are, and costs other reads the time of one call. Names that are found by walking over the environment are not
seen, unless their values are asked for.

Loaded in every run with workers, so it is as small as can be: what is noted of a read, and what becomes of it, is in
``identity_reads``.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_parpool.compat.code_places import CodePlaces
    from pytest_parpool.compat.identity_reads import IdentityRead, Noted, Notes

# The run's id is another one: a module gets it in a worker of pytest-xdist, and nothing in the controller.
VARIABLES = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID")
"""How names begin that are watched."""


class Watch:
    """Notes reads from when it is made until it is stopped."""

    def __init__(self) -> None:
        self._noted: list[Noted] = []
        self._environ = os.environ
        self._original = original = os.environ.encodekey

        # A function, since who copies ``os.environ`` deeply copies other callables.
        def encodekey(name: str) -> str:
            encoded = original(name)
            if name.startswith(VARIABLES):
                asking = sys._getframe(1)  # noqa: SLF001 - the one way to know who asks.
                # Setting and deleting come here too.
                if asking.f_code.co_name == "__getitem__":
                    self._notes.note(name, asking.f_back)
            return encoded

        self._encodekey: Callable[[str], str] = encodekey
        self._environ.encodekey = encodekey

    @functools.cached_property
    def _notes(self) -> Notes:
        from pytest_parpool.compat.identity_reads import Notes

        return Notes(self._noted)

    def stop(self) -> None:
        """Put back what was there, unless somebody else has replaced it meanwhile."""
        if self._environ.encodekey is self._encodekey:
            self._environ.encodekey = self._original

    def has_noted(self) -> bool:
        """Return whether there is anything to judge."""
        return bool(self._noted)

    def reads(self, places: CodePlaces) -> tuple[IdentityRead, ...]:
        """Return the reads so far that make a fork wrong, each place once, the first read first."""
        from pytest_parpool.compat.identity_reads import judge

        judged = (judge(noted, places) for noted in self._noted)
        return tuple(dict.fromkeys(read for read in judged if read is not None))
