"""What workers have collected, against what the controller has: as data."""

from __future__ import annotations

import pytest

from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import Collected, Matched
from pytest_parpool.policy.matching import USUAL_CAUSES, Matching, difference, places

GW0, GW1, GW2 = WorkerId("gw0"), WorkerId("gw1"), WorkerId("gw2")
IDS = ("t.py::a", "t.py::b", "t.py::c")
SAME = Collected((), (0, ""), ())


def found(*nodeids: str, expected: tuple[str, ...] = IDS) -> Collected:
    """Return what a worker says that has collected these."""
    return Collected(*difference(nodeids, places(expected, nodeids)), ())


def refused(*items: tuple[int, str]) -> Matched:
    """Return the answer that refuses these items, each lacked by the workers named beside it."""
    end = f"so it is not run\n({USUAL_CAUSES})"
    return Matched(
        tuple(
            (ItemIndex(item), f"{IDS[item]} was collected by the controller, but not by {workers}, {end}")
            for item, workers in items
        )
    )


# --- One worker's collection ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodeids", "expected", "at"),
    [
        pytest.param("abc", "abc", [0, 1, 2], id="the same"),
        pytest.param("cab", "abc", [1, 2, 0], id="in another order"),
        pytest.param("ac", "abc", [0, None, 1], id="one missing"),
        pytest.param("axbcy", "abc", [0, 2, 3], id="more than expected"),
        pytest.param("aba", "aab", [0, 2, 1], id="the same twice, in another order"),
        pytest.param("ab", "aba", [0, 1, None], id="twice, and found once"),
        pytest.param("aab", "ab", [0, 2], id="once, and found twice"),
        pytest.param("", "ab", [None, None], id="nothing found"),
        pytest.param("ab", "", [], id="nothing expected"),
        pytest.param("", "", [], id="nothing at all"),
    ],
)
def test_places(nodeids: str, expected: str, at: list[int | None]) -> None:
    """Each expected id has its place among those found, the n-th of equal ones the n-th; None if there is none."""
    assert places(expected, nodeids) == at


@pytest.mark.parametrize(
    ("nodeids", "expected", "missing", "surplus"),
    [
        pytest.param("cab", "abc", (), (0, ""), id="nothing"),
        pytest.param("a", "abc", (1, 2), (0, ""), id="missing"),
        pytest.param("xaby", "ab", (), (2, "x"), id="surplus"),
        pytest.param("xby", "ab", (0,), (2, "x"), id="both"),
        pytest.param("aab", "ab", (), (1, "a"), id="found twice"),
        pytest.param("ab", "aab", (1,), (0, ""), id="found once"),
        pytest.param("", "ab", (0, 1), (0, ""), id="nothing found"),
    ],
)
def test_difference(nodeids: str, expected: str, missing: tuple[int, ...], surplus: tuple[int, str]) -> None:
    """Missing items are told by their numbers, surplus ones by how many there are and by the first."""
    assert difference(nodeids, places(expected, nodeids)) == (missing, surplus)


def test_a_large_collection_is_matched_in_one_pass() -> None:
    """A hundred thousand ids in reverse order, a third of them the same, are matched each with one of its own."""
    expected = [f"t.py::{number % 3 and number}" for number in range(100_000)]
    found_ids = expected[::-1]
    at = [place for place in places(expected, found_ids) if place is not None]
    assert sorted(at) == list(range(100_000))
    assert [found_ids[place] for place in at] == expected


# --- The first workers ------------------------------------------------------------------------------------------------


def test_nobody_is_answered_before_all_first_workers_have_collected() -> None:
    """The last one's word releases all, in the order in which they came."""
    matching = Matching(IDS)
    for worker in (GW0, GW1, GW2):
        matching.asked_for(worker)
    assert matching.heard(GW1, SAME) == []
    assert matching.heard(GW0, SAME) == []
    assert matching.heard(GW2, SAME) == [(GW1, Matched(())), (GW0, Matched(())), (GW2, Matched(()))]


def test_all_are_told_of_what_one_lacks() -> None:
    """Also who has it refuses it, so that it does not matter who is given it."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    matching.asked_for(GW1)
    assert matching.heard(GW0, found("t.py::a", "t.py::c")) == []
    answer = refused((1, "gw0"))
    assert matching.heard(GW1, SAME) == [(GW0, answer), (GW1, answer)]


def test_who_lacks_an_item_is_named() -> None:
    """Several who lack the same are named together, and items come in their order, whoever told of them first."""
    matching = Matching(IDS)
    for worker in (GW0, GW1, GW2):
        matching.asked_for(worker)
    matching.heard(GW2, found("t.py::a", "t.py::b"))
    matching.heard(GW0, found("t.py::b"))
    ((_, answer), *others) = matching.heard(GW1, SAME)
    assert answer == refused((0, "gw0"), (2, "gw2, gw0"))
    assert [worker for worker, same in others if same == answer] == [GW0, GW1]


def test_surplus_is_refused_to_nobody() -> None:
    """What only a worker has is not run, and nothing else is touched by it."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    assert matching.heard(GW0, found(*IDS, "t.py::d")) == [(GW0, Matched(()))]


def test_a_worker_that_has_collected_nothing_refuses_everything() -> None:
    """With one such worker all tests are refused: none of them is known everywhere."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    matching.asked_for(GW1)
    matching.heard(GW0, found())
    answer = refused((0, "gw0"), (1, "gw0"), (2, "gw0"))
    assert matching.heard(GW1, SAME) == [(GW0, answer), (GW1, answer)]


# --- Deaths -----------------------------------------------------------------------------------------------------------


def test_a_worker_that_died_is_not_waited_for() -> None:
    """Its end releases the others."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    matching.asked_for(GW1)
    assert matching.heard(GW0, SAME) == []
    assert matching.gone(GW1) == [(GW0, Matched(()))]


def test_a_worker_that_died_waiting_is_not_answered() -> None:
    """Nobody is there to hear it; what it lacked stays refused, for its successor may lack it again."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    matching.asked_for(GW1)
    assert matching.heard(GW0, found("t.py::a", "t.py::b")) == []
    assert matching.gone(GW0) == []
    assert matching.heard(GW1, SAME) == [(GW1, refused((2, "gw0")))]


def test_first_workers_that_all_die_are_followed_by_first_workers() -> None:
    """As long as nobody was answered, replacements are compared with one another like the first ones."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    matching.asked_for(GW1)
    assert matching.gone(GW0) == []
    assert matching.gone(GW1) == []
    matching.asked_for(GW0)
    matching.asked_for(GW1)
    assert matching.heard(GW1, SAME) == []
    assert matching.heard(GW0, SAME) == [(GW1, Matched(())), (GW0, Matched(()))]


def test_a_replacement_that_is_asked_for_while_others_collect_is_waited_for() -> None:
    """It is one of the first to run anything, so it has a word in what is refused."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    matching.asked_for(GW1)
    matching.gone(GW1)
    matching.asked_for(GW1)
    assert matching.heard(GW0, SAME) == []
    answer = refused((0, "gw1"))
    assert matching.heard(GW1, found("t.py::b", "t.py::c")) == [(GW0, answer), (GW1, answer)]


# --- Replacements -----------------------------------------------------------------------------------------------------


def test_a_replacement_is_answered_at_once() -> None:
    """It does not wait for others that are being born, and hears what was refused before."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    matching.heard(GW0, found("t.py::a", "t.py::b"))
    matching.gone(GW0)
    matching.asked_for(GW0)
    matching.asked_for(GW1)
    assert matching.heard(GW1, SAME) == [(GW1, refused((2, "gw0")))]


def test_what_a_replacement_lacks_is_refused_from_then_on() -> None:
    """Who was answered before goes on; who comes later refuses it too."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    assert matching.heard(GW0, SAME) == [(GW0, Matched(()))]
    assert matching.heard(GW1, found("t.py::a", "t.py::b")) == [(GW1, refused((2, "gw1")))]
    assert matching.heard(GW0, SAME) == [(GW0, refused((2, "gw1")))]


def test_a_worker_that_lacks_the_same_again_is_named_once() -> None:
    """A slot whose processes all lack an item stands there once."""
    matching = Matching(IDS)
    for _ in range(3):
        assert matching.heard(GW0, found("t.py::a", "t.py::b")) == [(GW0, refused((2, "gw0")))]


def test_errors_are_named_as_the_cause() -> None:
    """A worker that could not import something needs no list of usual causes; who had none is not named for it."""
    matching = Matching(IDS)
    matching.asked_for(GW0)
    matching.asked_for(GW1)
    with_errors = found(*IDS[:2]).replace(errors=("ImportError",))
    assert matching.explain(GW0, with_errors) == (
        "gw0 collected other tests than the controller: 1 missing, the first 't.py::c' (there were errors)"
    )
    matching.heard(GW0, with_errors)
    ((_, answer), _) = matching.heard(GW1, found(*IDS[1:]))
    (first, first_reason), (second, second_reason) = answer.refused
    assert (first, second) == (0, 2)
    assert first_reason.endswith(f"not by gw1, so it is not run\n({USUAL_CAUSES})")
    assert second_reason.endswith("not by gw0, so it is not run\n(there were errors in the collection of gw0)")


# --- What is said of it -----------------------------------------------------------------------------------------------


def test_nothing_is_said_if_nothing_is_different() -> None:
    """Another order is no difference."""
    assert Matching(IDS).explain(GW0, SAME) is None
    assert Matching(IDS).explain(GW0, found(*IDS[::-1])) is None


@pytest.mark.parametrize(
    ("nodeids", "said"),
    [
        pytest.param(IDS[:1], "2 missing, the first 't.py::b'", id="missing"),
        pytest.param((*IDS, "t.py::d", "t.py::e"), "2 of its own, the first 't.py::d'", id="surplus"),
        pytest.param(
            ("t.py::a", "t.py::d", "t.py::c"),
            "1 missing, the first 't.py::b'; 1 of its own, the first 't.py::d'",
            id="both",
        ),
    ],
)
def test_a_difference_is_one_line(nodeids: tuple[str, ...], said: str) -> None:
    """It says who, how many of each kind, the first of each, and what usually causes it."""
    line = Matching(IDS).explain(GW1, found(*nodeids))
    assert line == f"gw1 collected other tests than the controller: {said} ({USUAL_CAUSES})"
