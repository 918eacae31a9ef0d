"""Memory for large pickles, which is not fetched from the system anew for each of them.

``pickle.dumps`` makes room for half as much again as a large object needs, and gives the rest back. Memory of that size
comes from the system, page by page, each time: that takes longer than to fill it. A file in memory grows to what is
needed, but takes a microsecond more.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Final

PROTOCOL: Final = 5
_LARGE_BYTES: Final = 128 * 1024
# Memory beyond that is not kept for the next one.
_MOST_KEPT_BYTES: Final = 1 << 24


class PickleMemory:
    """Pickles one object after another, of which the next is often about as large as the last.

    Args:
        is_kept: Whether the memory of a pickle that nobody has any more is used for the next. Only for one thread.
    """

    def __init__(self, *, is_kept: bool) -> None:
        self._is_kept = is_kept
        self._is_large = False
        self._file = io.BytesIO()

    def dump(self, value: object, buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None) -> bytes:
        """Return an object's pickle. Arguments and errors are those of ``pickle.dumps``."""
        if self._is_large:
            file = self._file if self._is_kept else io.BytesIO()
            file.seek(0)
            pickle.Pickler(file, PROTOCOL, buffer_callback=buffer_callback).dump(value)
            file.truncate()
            # Not a view of the file's buffer: if that is garbage in a cycle, the file cannot be closed (BufferError).
            # This is no copy. The file makes one when it is written to while somebody has what it has given out.
            data = file.getvalue()
            if len(data) > _MOST_KEPT_BYTES:
                self._file = io.BytesIO()
        else:
            data = pickle.dumps(value, PROTOCOL, buffer_callback=buffer_callback)
        self._is_large = len(data) >= _LARGE_BYTES
        return data
