"""A file to whose end several processes write: ``O_APPEND`` is two steps on Windows, between which others may write."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

from pytest_parpool.runtime.windows import kernel

if TYPE_CHECKING:
    from typing_extensions import Buffer


class SharedFile(io.FileIO):
    """A file that is opened to be appended to; each ``write`` is in one piece, behind all that others have written.

    Args:
        path: The same text in all processes.

    Raises:
        OSError: If it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, "a")
        place = os.path.normcase(os.path.abspath(path)).encode("utf-8", "surrogatepass")
        self._mutex = kernel.make_mutex(
            f"Local\\pytest-parpool-file-{hashlib.blake2b(place, digest_size=16).hexdigest()}"
        )

    def write(self, data: Buffer, /) -> int:
        """Append, while nobody else does."""
        kernel.enter(self._mutex)
        try:
            return super().write(data)
        finally:
            kernel.leave(self._mutex)

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            kernel.close_handle(self._mutex)
        super().close()
