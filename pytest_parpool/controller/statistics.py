"""How busy the workers were."""

from __future__ import annotations

from pytest_parpool.model.ids import WorkerId


class RunStatistics:
    """Sums up a run. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._began = self._ended = 0.0
        self._workers = 0
        self._busy: dict[WorkerId, float] = {}
        self.measured: list[tuple[str, float]] = []

    def begin(self, now: float, workers: int) -> None:
        """Note the start."""
        self._began = self._ended = now
        self._workers = workers

    def add(self, worker: WorkerId, nodeid: str, seconds: float) -> None:
        """Note that a worker finished an item."""
        self._busy[worker] = self._busy.get(worker, 0.0) + seconds
        self.measured.append((nodeid, seconds))

    def end(self, now: float) -> None:
        """Note the end."""
        self._ended = now

    def closing_line(self) -> str | None:
        """Return e.g. ``2 workers, 96 % busy, 1.9x``, or None if nothing ran.

        Busy is the workers' time inside of tests over their time in the run; the factor is the sum of all tests' times
        over the time the run took.
        """
        seconds = self._ended - self._began
        if not self.measured or seconds <= 0:
            return None
        speed_up = sum(self._busy.values()) / seconds
        workers = f"{self._workers} worker{'s' if self._workers != 1 else ''}"
        return f"{workers}, {100 * speed_up / self._workers:.0f} % busy, {speed_up:.1f}x"
