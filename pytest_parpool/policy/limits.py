"""The limits that a run keeps: what the dispatcher is told of the user's settings."""

from __future__ import annotations

from pytest_parpool.model.records import Record, record


@record(kw_only=True)
class Limits(Record):
    """The rules of a run.

    Attributes:
        restarts: How many dead workers may be replaced.
        tasks_per_child: Items after which a worker is replaced, or None.
        hand: Most items a worker holds behind the one it runs, or None.
        is_stop_watched: Whether a failure may stop the run, so that nobody may run ahead.
    """

    restarts: int
    tasks_per_child: int | None = None
    hand: int | None = None
    is_stop_watched: bool = False
