"""Who may run how many tasks beside the tests: what the run's processes do in, a number out."""

from __future__ import annotations

import pytest

from pytest_parpool.policy.budget import Entry, allowance, fair_shares

TESTING = Entry(True, 0, 0)
WAITING = Entry(False, 0, 0)


@pytest.mark.parametrize(
    ("slots", "wants", "shares"),
    [
        pytest.param(4, [], [], id="nobody"),
        pytest.param(4, [0, 0], [0, 0], id="nothing is wanted"),
        pytest.param(4, [9], [4], id="one takes all"),
        pytest.param(4, [3], [3], id="nobody gets more than it wants"),
        pytest.param(4, [9, 9], [2, 2], id="halves"),
        pytest.param(5, [9, 9], [3, 2], id="the first gets what is left"),
        pytest.param(4, [9, 9, 9], [2, 1, 1], id="thirds"),
        pytest.param(8, [1, 9, 9], [1, 4, 3], id="what one does not want others share"),
        pytest.param(9, [1, 2, 9], [1, 2, 6], id="twice"),
        pytest.param(9, [0, 2, 0, 9], [0, 2, 0, 7], id="those between want nothing"),
        pytest.param(100, [9, 9], [9, 9], id="enough for all"),
        pytest.param(1, [9, 9, 9], [1, 1, 1], id="one for each, if there are fewer"),
        pytest.param(0, [9, 0], [1, 0], id="one, if there is none"),
        pytest.param(-3, [9, 1], [1, 1], id="one, if there are less than none"),
    ],
)
def test_shares_are_fair(slots: int, wants: list[int], shares: list[int]) -> None:
    """Everybody gets one, then as much as others, as far as it is wanted."""
    assert fair_shares(slots, wants) == shares


@pytest.mark.parametrize(
    ("entries", "allowed"),
    [
        pytest.param([Entry(False, 0, 9)], 4, id="alone, and its test waits"),
        pytest.param([Entry(True, 0, 9)], 3, id="its test computes"),
        pytest.param([Entry(False, 0, 9), TESTING, TESTING], 2, id="tests of others compute"),
        pytest.param([Entry(False, 0, 9), TESTING, WAITING], 3, id="one of them waits, or there is none"),
        pytest.param([Entry(False, 0, 9), *[TESTING] * 4], 1, id="no slot is free"),
        pytest.param([Entry(True, 0, 9), *[TESTING] * 9], 1, id="tests are more than slots"),
        pytest.param([Entry(False, 0, 9), Entry(False, 0, 9)], 2, id="another one wants as much"),
        pytest.param([Entry(False, 0, 9), Entry(False, 0, 1)], 3, id="another one wants less"),
        pytest.param([Entry(False, 0, 9), Entry(False, 3, 9)], 1, id="another one has more than its share yet"),
        pytest.param([Entry(False, 3, 9), Entry(False, 1, 9)], 2, id="it has more than its share itself"),
        pytest.param([Entry(False, 0, 9), Entry(False, 9, 9)], 1, id="another one has all"),
        pytest.param([Entry(False, 0, 2), Entry(False, 0, 2)], 2, id="there is enough"),
    ],
)
def test_what_the_first_may_run(entries: list[Entry], allowed: int) -> None:
    """Of four slots, what tests and others leave, and at least one."""
    assert allowance(entries, 0, 4) == allowed


def test_all_see_the_same() -> None:
    """Who looks at the same sheet knows what all others may run, so that together they stay within the slots."""
    entries = [Entry(False, 0, 9), TESTING, Entry(False, 0, 9), Entry(True, 0, 9)]
    assert [allowance(entries, place, 9) for place in (0, 2, 3)] == [3, 2, 2]


def test_pools_of_a_process_share_by_the_same_rule() -> None:
    """Each of them has one at least, and none more than there are."""
    pools = [Entry(False, 1, 9), Entry(False, 0, 0), Entry(False, 1, 9)]
    assert [allowance(pools, place, 5) for place in range(3)] == [3, 1, 2]
    assert [allowance(pools, place, 1) for place in range(3)] == [1, 1, 1]
