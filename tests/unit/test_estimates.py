"""Expected durations come from the nearest thing that was measured."""

from __future__ import annotations

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.policy.estimates import Estimates
from tests.plans import make_plan


def estimates() -> Estimates:
    """Return estimates for two cases of one function, a neighbour, another module, and an item with a duration."""
    return Estimates(
        make_plan(
            ["a", "a", "a", "b", "a"],
            functions=["a::f", "a::f", "a::g", "b::f", "a::f"],
            durations=[None, None, None, None, 7.0],
        )
    )


def test_unknown_at_first() -> None:
    """Nothing is expected of an item without a duration before anything was measured."""
    assert estimates().expected(ItemIndex(0)) is None


def test_own_duration_wins() -> None:
    """An item's duration in the last run counts, whatever its neighbours just took."""
    known = estimates()
    known.observe(ItemIndex(0), 1.0)
    assert known.expected(ItemIndex(4)) == 7.0


def test_same_function_before_same_module() -> None:
    """A case is expected to take what the last case of its function took, not what the module's last item took."""
    known = estimates()
    known.observe(ItemIndex(0), 1.0)
    known.observe(ItemIndex(2), 2.0)
    assert known.expected(ItemIndex(1)) == 1.0


def test_same_module_when_the_function_is_new() -> None:
    """An item of a function not run yet is expected to take what its module's last item took."""
    known = estimates()
    known.observe(ItemIndex(0), 1.0)
    known.observe(ItemIndex(3), 2.0)
    assert known.expected(ItemIndex(2)) == 1.0


def test_any_item_when_the_module_is_new() -> None:
    """An item of a module not run yet is expected to take what the run's last item took."""
    known = estimates()
    known.observe(ItemIndex(0), 1.0)
    assert known.expected(ItemIndex(3)) == 1.0


def test_the_last_observation_counts() -> None:
    """A later measurement replaces an earlier one; one of zero seconds is a measurement too."""
    known = estimates()
    known.observe(ItemIndex(0), 1.0)
    known.observe(ItemIndex(0), 0.0)
    assert known.expected(ItemIndex(1)) == 0.0
    assert known.expected(ItemIndex(2)) == 0.0
