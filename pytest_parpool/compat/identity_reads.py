"""Notes who reads the variables with a worker's identity before workers exist, and says which reads make a fork wrong.

A module that reads ``PYTEST_XDIST_WORKER`` when it is imported keeps the controller's answer in a forked worker, and so
do tests that were collected by it. Nothing can repair that, but a spawned worker imports and collects for itself.

``os.environ`` encodes each name that it is asked for by its attribute ``encodekey``: ``[]``, ``get``, ``in``, ``pop``,
``setdefault`` and ``os.getenv`` all come there. Wrapping this one function sees them, leaves the object and its class
as they are, and costs other reads the time of one call. Names that are found by walking over the environment are not
seen, unless their values are asked for.

Noting and judging are separate. What is noted is who called whom, since the project's root is not known yet; it happens
only for the few names, at most some times in a run. What is judged is that list:

1. The reader is the first who called that is not the standard library. If a library's import or a hook of an installed
   plugin comes before any file of the project, it is the plugin's own affair: see ``rerun_plan``.
2. ``pytest_configure`` and ``pytest_sessionstart`` run again in workers if they look at the identity.
3. A project's module on the way is an import, and pytest's collection on the way is a collection.
4. Behind pytest's entry point are those who started it, who do not matter.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType

import pytest

from pytest_parpool.compat.code_places import OWN_PACKAGE, CodePlaces, is_standard_library
from pytest_parpool.model.records import Record, record

# The run's id is another one: a module gets it in a worker of pytest-xdist, and nothing in the controller.
VARIABLES = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID")
"""How names begin that are watched."""

# A helper may be called by hooks that run again in workers first, and by a module later. After that many reads it is
# always the same.
MOST_OF_ONE_PLACE = 20

IMPORT = "at import"
COLLECTION = "during collection"
OPTIONS = "in pytest_addoption"

_RUN_AGAIN = ("pytest_configure", "pytest_sessionstart")
_IN_PROJECT = {"<module>": IMPORT, "pytest_addoption": OPTIONS, "pytest_collection": COLLECTION}
_HOOK_CALLERS = f"{os.sep}pluggy{os.sep}"


@record
class Caller(Record):
    """One of those who called each other.

    Attributes:
        filename: As in its code.
        line: Where it is.
        function: Its name; ``<module>`` for a module's own code.
    """

    filename: str
    line: int
    function: str


_MAIN = (pytest.main.__code__.co_filename, pytest.main.__code__.co_name)
_COLLECT = (pytest.Session.perform_collect.__code__.co_filename, pytest.Session.perform_collect.__code__.co_name)


@record
class Noted(Record):
    """A read as it is noted.

    Attributes:
        variable: What was read.
        callers: From the reader, the first outside of the standard library, outwards.
    """

    variable: str
    callers: tuple[Caller, ...]


@record
class IdentityRead(Record):
    """A read whose answer is wrong in a forked worker.

    Attributes:
        variable: What was read.
        place: Who read it, as ``file:line``.
        moment: When: ``IMPORT``, ``COLLECTION`` or ``OPTIONS``.
    """

    variable: str
    place: str
    moment: str


class Watch:
    """Notes reads from when it is made until it is stopped."""

    def __init__(self) -> None:
        self._noted: list[Noted] = []
        self._environ = os.environ
        self._original = original = os.environ.encodekey
        note = _Notes(self._noted).note

        # A function, since who copies ``os.environ`` deeply copies other callables.
        def encodekey(name: str) -> str:
            encoded = original(name)
            if name.startswith(VARIABLES):
                asking = sys._getframe(1)  # noqa: SLF001 - the one way to know who asks.
                # Setting and deleting come here too.
                if asking.f_code.co_name == "__getitem__":
                    note(name, asking.f_back)
            return encoded

        self._encodekey: Callable[[str], str] = encodekey
        self._environ.encodekey = encodekey

    def stop(self) -> None:
        """Put back what was there, unless somebody else has replaced it meanwhile."""
        if self._environ.encodekey is self._encodekey:
            self._environ.encodekey = self._original

    def has_noted(self) -> bool:
        """Return whether there is anything to judge."""
        return bool(self._noted)

    def reads(self, places: CodePlaces) -> tuple[IdentityRead, ...]:
        """Return the reads so far that make a fork wrong, each place once, the first read first."""
        judged = (judge(noted, places) for noted in self._noted)
        return tuple(dict.fromkeys(read for read in judged if read is not None))


def judge(noted: Noted, places: CodePlaces) -> IdentityRead | None:
    """Return what is wrong with a read in forked workers, if anything is."""
    place: str | None = None
    for caller in noted.callers:
        is_project = places.is_project(caller.filename)
        if place is None:
            if is_project:
                place = places.show(caller.filename, caller.line)
            elif _is_libraries_affair(caller):
                return None
        named = (caller.filename, caller.function)
        if named == _MAIN or (is_project and caller.function in _RUN_AGAIN):
            return None
        moment = COLLECTION if named == _COLLECT else _IN_PROJECT.get(caller.function) if is_project else None
        if moment is not None:
            return None if place is None else IdentityRead(noted.variable, place, moment)
    return None


def _is_libraries_affair(caller: Caller) -> bool:
    if caller.filename.startswith("<"):  # What ``exec`` runs is the affair of who called that.
        return False
    return caller.function == "<module>" or _HOOK_CALLERS in caller.filename or caller.filename.startswith(OWN_PACKAGE)


class _Notes:
    """Writes down who asks, but not without end: a hook may ask for each of many thousand tests.

    Args:
        noted: Is added to.
    """

    def __init__(self, noted: list[Noted]) -> None:
        self._noted = noted
        self._counts: dict[tuple[CodeType, int], int] = {}

    def note(self, variable: str, frame: FrameType | None) -> None:
        """Note a read, with its callers from here on."""
        while frame is not None and is_standard_library(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is None:
            return
        place = (frame.f_code, frame.f_lineno)
        count = self._counts[place] = self._counts.get(place, 0) + 1
        if count > MOST_OF_ONE_PLACE:
            return
        callers: list[Caller] = []
        while frame is not None:
            callers.append(Caller(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back
        self._noted.append(Noted(variable, tuple(callers)))
