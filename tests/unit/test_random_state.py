"""Whether ``random`` was seeded between plugin load and fork, decided on its states."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from pytest_parpool.compat import random_state
from pytest_parpool.compat.random_state import RandomState, was_seeded


def drawn(state: RandomState, words: int) -> RandomState:
    """Return the state after so many 32-bit words were drawn."""
    generator = random.Random()
    generator.setstate(state)
    for _ in range(words):
        generator.getrandbits(32)
    return generator.getstate()


@pytest.fixture
def at_load() -> RandomState:
    """The state of a generator that has already been drawn from, somewhere inside its vector."""
    return drawn(random.Random("a seed that no test uses").getstate(), 1000)


@pytest.mark.parametrize("words", [0, 1, 247, 248, 249, 623, 624, 625, 10 * 624, 10 * 624 + 5])
def test_drawing_is_not_seeding(at_load: RandomState, words: int) -> None:
    """However many words are drawn, at and around the borders of the vector, the state counts as unseeded."""
    assert not was_seeded(at_load, drawn(at_load, words))


def test_a_fresh_generator_drawn_from_is_unseeded() -> None:
    """At interpreter start the position is behind the vector, so that the first draw twists it."""
    fresh = random.Random().getstate()
    assert not was_seeded(fresh, fresh)
    assert not was_seeded(fresh, drawn(fresh, 1))


def test_methods_of_all_kinds_count_as_drawing(at_load: RandomState) -> None:
    """``gauss()`` keeps a number for its next call and ``shuffle()`` draws an unforeseeable number of words."""
    generator = random.Random()
    generator.setstate(at_load)
    generator.gauss(0, 1)
    generator.shuffle(list(range(1000)))
    generator.random()
    assert not was_seeded(at_load, generator.getstate())


@pytest.mark.parametrize("words", [0, 1, 624, 5000])
@pytest.mark.parametrize("seed", [0, 1, "text", None])
def test_a_seed_is_found_whatever_was_drawn_after_it(at_load: RandomState, seed: int | str | None, words: int) -> None:
    """No number of twists leads to the state that a seed makes."""
    assert was_seeded(at_load, drawn(random.Random(seed).getstate(), words))


def test_more_drawing_than_max_twists_is_taken_as_seeded(at_load: RandomState) -> None:
    """Where the search ends is a parameter; beyond it, the state counts as seeded."""
    four_twists = drawn(at_load, 4 * 624)
    assert not was_seeded(at_load, four_twists, max_twists=4)
    assert was_seeded(at_load, four_twists, max_twists=3)


def test_states_are_compared_without_touching_the_global_generator(at_load: RandomState) -> None:
    """The decision draws from a generator of its own."""
    before = random.getstate()
    was_seeded(at_load, before, max_twists=1)
    assert random.getstate() == before


@pytest.fixture
def keep_random() -> Iterator[None]:
    """Leave the global generator as it was found."""
    state = random.getstate()
    yield
    random.setstate(state)


@pytest.mark.usefixtures("keep_random")
def test_workers_of_an_unseeded_suite_keep_their_own_state() -> None:
    """There is nothing to restore, and restoring nothing changes nothing."""
    snapshot = random_state.remember()
    random.random()
    assert random_state.for_workers(snapshot) is None
    before = random.getstate()
    random_state.restore(None)
    assert random.getstate() == before


@pytest.mark.usefixtures("keep_random")
def test_workers_of_a_seeded_suite_draw_what_a_plain_run_would() -> None:
    """The state at the fork, not the one behind the seed, is what a worker goes on from."""
    snapshot = random_state.remember()
    random.seed(0)
    random.random()
    state = random_state.for_workers(snapshot)
    expected = random.random()
    random.seed()
    random_state.restore(state)
    assert random.random() == expected
