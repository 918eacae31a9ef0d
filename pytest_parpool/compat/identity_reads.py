"""Notes who read the variables with a worker's identity before workers exist, and says which reads make a fork wrong.

That one is read is seen by ``identity_watch``; this module is loaded when it is.

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
from types import CodeType, FrameType

import pytest

from pytest_parpool.compat.code_places import OWN_PACKAGE, CodePlaces, is_standard_library
from pytest_parpool.model.records import Record, record

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


class Notes:
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
