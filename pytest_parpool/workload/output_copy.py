"""Keeps a copy of what a task writes, so that the error about a worker's death can show it.

What is written goes where it always went, at once. Only ``sys.stdout`` and ``sys.stderr`` are seen: what C code or a
child writes to the descriptors appears, but is not kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

_write = os.write
_truncate = os.ftruncate
_seek = os.lseek

# Of a flood its end is enough; so much is kept at least, and at most twice as much.
MOST_BYTES: Final = 1 << 16


class OutputCopy:
    """What the present task has written, in a file that the owner opens before the first task.

    Args:
        fd: Of an empty file; -1 for nothing to be kept.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._size = 0
        self._end = b""

    def install(self) -> None:
        """Have everything kept that this process prints from now on."""
        if self._fd >= 0:
            sys.stdout = _KeptStream(sys.stdout, self._keep)
            sys.stderr = _KeptStream(sys.stderr, self._keep)

    def begin(self) -> None:
        """Forget what was kept: it is another task's."""
        if self._size:
            self._clear()

    def _keep(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")[-MOST_BYTES:]
        try:
            if self._size + len(data) > 2 * MOST_BYTES:
                data = (self._end + data)[-MOST_BYTES:]
                self._clear()
            self._size += _write(self._fd, data)
        except OSError:  # The task has closed it, or there is no memory: printing goes on.
            return
        self._end = (self._end + data)[-MOST_BYTES:]

    def _clear(self) -> None:
        try:
            _truncate(self._fd, 0)
            _seek(self._fd, 0, os.SEEK_SET)  # Else it would begin with a hole.
        except OSError:
            pass
        self._size = 0
        self._end = b""


class _KeptStream:
    """A text stream that is written to as before; who asks for anything else gets the stream's own."""

    def __init__(self, stream: Any, keep: Callable[[str], None]) -> None:
        self._stream = stream
        self._keep = keep

    def write(self, text: str) -> int:
        self._keep(text)
        written: int = self._stream.write(text)
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream)
