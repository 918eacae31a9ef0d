"""Decides whether workers start with the controller's state of ``random``.

CPython reseeds ``random`` in every forked child. For a suite that nobody seeded this is right: workers that draw port
numbers or names must not draw the same ones. For one that was seeded while it was collected (``random.seed(0)`` in a
test module, a plugin such as pytest-randomly) it is wrong: its tests expect the numbers that plain pytest gives them.

The two are told apart by what seeding does to the generator. Its state, a vector of 624 words, is renewed (a twist)
each time its words are used up. Without a seed, the state at the fork is a few twists behind the one at plugin load;
a seed puts it where drawing does not lead in any time.

Not covered, because nothing can tell: a seed set before this plugin was loaded (by a program that calls
``pytest.main()``), and ``numpy.random``'s global state. NumPy does not reseed it in a forked child, so every worker
starts with the controller's, seeded or not, as a plain run's tests would.
"""

from __future__ import annotations

import random
from typing import TypeAlias

from pytest_parpool.model.records import Record, record

# As ``random.getstate()`` returns it: version, the vector and the position in it, ``gauss_next``.
RandomState: TypeAlias = tuple[int, tuple[int, ...], float | None]

VECTOR_WORDS = 624
VECTOR_BITS = 32 * VECTOR_WORDS

# 640,000 words, drawn by 320,000 calls of random.random(). Four milliseconds, which only a seeded suite pays in full.
MAX_TWISTS = 1024


@record
class Snapshot(Record):
    """The state of ``random`` when the plugin was loaded."""

    state: RandomState


def remember() -> Snapshot:
    """Return the present state; called as early as possible, before anything of the suite can seed."""
    return Snapshot(random.getstate())


def for_workers(snapshot: Snapshot) -> RandomState | None:
    """Return the state that every worker has to restore, or None to leave workers as CPython reseeded them.

    Called in the controller, just before the fork.
    """
    state: RandomState = random.getstate()
    return state if was_seeded(snapshot.state, state) else None


def restore(state: RandomState | None) -> None:
    """Give this worker the state that ``for_workers()`` returned; None does nothing."""
    if state is not None:
        random.setstate(state)


def was_seeded(at_load: RandomState, at_fork: RandomState, max_twists: int = MAX_TWISTS) -> bool:
    """Return whether drawing alone does not explain how the state changed.

    A suite that draws more than ``max_twists`` allow is taken as seeded: a seeded state is not found in any number of
    twists, so giving up cannot mean anything else. The error is the smaller one, too: the workers of such a suite draw
    the same numbers, while a seeded suite with lost seed would fail tests that pass in a plain run.

    Args:
        at_load: ``random.getstate()`` at plugin load.
        at_fork: The same at the fork. Position and ``gauss_next`` of both are ignored.
        max_twists: How many times the vector may have been renewed by drawing.
    """
    generator = random.Random()
    generator.setstate(_at_start_of_vector(at_fork))
    wanted = generator.getrandbits(VECTOR_BITS)
    generator.setstate(_at_start_of_vector(at_load))
    # One draw of 624 words stands for one vector, as each word of the output is a bijection of a word of the vector.
    return all(generator.getrandbits(VECTOR_BITS) != wanted for _ in range(max_twists + 1))


def _at_start_of_vector(state: RandomState) -> RandomState:
    version, vector_and_position, _ = state
    return version, (*vector_and_position[:VECTOR_WORDS], 0), None
