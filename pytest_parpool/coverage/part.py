"""The data that a worker records, and how it is saved.

It is recorded in a database that only the worker touches, because coverage writes without a journal: whoever is killed
while it writes leaves a broken file. To save it means to copy it while nothing is written, and to give the copy its
name when it is whole (rename(2) is atomic).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from coverage import CoverageData

from pytest_parpool.coverage.internals import set_filename

# Tests replace what is in these modules.
_getpid = os.getpid
_replace = os.replace
_copy = shutil.copyfile
_stat = os.stat


class PartData(CoverageData):
    """What one worker records.

    ``write`` saves it, whoever calls that: we between tests, or coverage itself, before a test leaves by ``os._exit``
    (``patch = _exit``) or ``os.execv``. In a child that a test forks it is what it would be in a plain run: the data of
    a process that has its own file beside the run's.

    Args:
        base: The run's data file.
        work: Where it is recorded. If it exists, a process that had our number was killed.
    """

    def __init__(self, base: str, work: Path) -> None:
        super().__init__(basename=base, suffix=True)
        set_filename(self, str(work))
        self._owner = _getpid()
        self._work = str(work)
        work.unlink(missing_ok=True)
        self._saved_state: tuple[int, int] | None = None
        self.target: Path | None = None

    def go_on(self, earlier: Path) -> None:
        """Begin with what another has saved. Nothing must have been recorded yet."""
        _copy(earlier, self._work)
        self.read()

    @property
    def is_begun(self) -> bool:
        """Whether anything was recorded."""
        return self._state() is not None

    @property
    def size_bytes(self) -> int:
        """What there is of it."""
        state = self._state()
        return state[0] if state is not None else 0

    def write(self) -> None:
        """Save what was recorded as ``target``, if that is known and there is anything new."""
        if _getpid() != self._owner:
            super().write()
            return
        state = self._state()
        if self.target is None or state is None or state == self._saved_state:
            return
        draft = self._work + ".draft"
        _copy(self._work, draft)
        _replace(draft, self.target)
        self._saved_state = state

    def retire(self) -> None:
        """Save no more, and remove what is no longer needed for that."""
        self.target = None
        Path(self._work).unlink(missing_ok=True)

    def _state(self) -> tuple[int, int] | None:
        try:
            found = _stat(self._work)
        except FileNotFoundError:
            return None
        return found.st_size, found.st_mtime_ns
