"""A counter: no two tests of a run get the same number, in whatever workers they run."""

from __future__ import annotations

import pytest

from pytest_parpool import SharedObjects


@pytest.fixture
def ticket(parpool: SharedObjects) -> int:
    """A number that no other test of this run has."""
    return next(parpool.counter("tickets"))


@pytest.mark.parametrize("_attempt", range(10))
def test_a_ticket_is_nobody_elses(parpool: SharedObjects, ticket: int, _attempt: int) -> None:
    """Whoever comes with a ticket is the first with it."""
    with parpool.lock("tickets seen"):
        seen = parpool.value("tickets seen", frozenset())
        assert ticket not in seen.value
        seen.value |= {ticket}
