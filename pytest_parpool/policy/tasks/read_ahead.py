"""How far a stream's inputs are read ahead of its results: as far as is done in a moment, within bounds.

Each time that somebody stops and waits costs what many tiny tasks cost, so a stream of these has many on their way. The
pace is that of what was done, in windows of as many chunks as are on their way at most: so a window takes at least as
long as one of them, whatever comes in bursts, and who takes results slowly has little read.
"""

from __future__ import annotations

AHEAD_SECONDS = 0.01  # of work; some turns of all who take part, and nothing to wait for at the end
MOST_AHEAD = 1000  # inputs; more of them make no task cheaper
MOST_BYTES = 1 << 20  # of what was read and is not taken, as far as it is more than the least number of chunks


class ReadAhead:
    """Says how many chunks may be read and not taken.

    Args:
        least: That many always.
        most: Never more. The same number for a fixed one.
        now: When the stream begins, in seconds; only differences count.
    """

    def __init__(self, least: int, most: int, now: float) -> None:
        self._least = least
        self._most = max(least, most)
        self._chunks = least
        self._most_by_size = self._most
        self._window_began_at = now
        self._done_in_window = 0

    @classmethod
    def by_pace(cls, least: int, chunksize: int, now: float) -> ReadAhead:
        """Return one that follows the pace.

        Args:
            least: As above.
            chunksize: How many inputs a chunk has.
            now: As above.
        """
        return cls(least, MOST_AHEAD // chunksize, now)

    @property
    def chunks(self) -> int:
        """How many chunks may be read and not taken."""
        return max(self._least, min(self._chunks, self._most_by_size))

    def is_reading_due(self, ahead: int) -> bool:
        """Whether to read on: at once if few may be on their way, else some together.

        Args:
            ahead: How many chunks are read and not taken.
        """
        chunks = self.chunks
        return ahead < chunks - (chunks - self._least) // 4

    def note_size(self, size_bytes: int) -> None:
        """Note how large a chunk is, as it is sent. One that is large counts for all that come."""
        if size_bytes * self._most_by_size > MOST_BYTES:
            self._most_by_size = MOST_BYTES // size_bytes

    def is_window_over(self) -> bool:
        """Note that a chunk is done, and return whether it is time for ``end_window``."""
        self._done_in_window += 1
        return self._done_in_window >= self.chunks

    def end_window(self, now: float) -> None:
        """Look at the pace of the window that ends here, and begin another one."""
        seconds = max(now - self._window_began_at, 1e-9)
        self._chunks = min(self._most, int(self._done_in_window * AHEAD_SECONDS / seconds))
        self._window_began_at = now
        self._done_in_window = 0
