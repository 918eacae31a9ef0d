"""Groups: tests that share something costly can be kept together in one worker.

With ``--dist loadgroup`` all tests of one ``xdist_group`` run in one worker, so that each index below is built in one
process only. Without it the marks mean nothing, the tests pass just the same, and an index may be built twice.
"""

from __future__ import annotations

import functools
import itertools

import pytest

LETTERS = {"vowels": "aeiou", "consonants": "bcdfg"}


@functools.lru_cache
def index_of(name: str) -> dict[str, int]:
    """Return the place of every word of six letters; costly, therefore kept for the life of the process."""
    return {"".join(word): place for place, word in enumerate(itertools.product(LETTERS[name], repeat=6))}


@pytest.mark.xdist_group("vowels")
@pytest.mark.parametrize(("word", "place"), [("aaaaaa", 0), ("aaaaae", 1), ("aaaaea", 5), ("uuuuuu", 5**6 - 1)])
def test_place_of_a_word_of_vowels(word: str, place: int) -> None:
    """Words are in the order of their letters."""
    assert index_of("vowels")[word] == place


@pytest.mark.xdist_group("consonants")
@pytest.mark.parametrize(("word", "place"), [("bbbbbb", 0), ("bbbbbc", 1), ("bbbbcb", 5), ("gggggg", 5**6 - 1)])
def test_place_of_a_word_of_consonants(word: str, place: int) -> None:
    """Words are in the order of their letters."""
    assert index_of("consonants")[word] == place
