"""When a worker gives back memory that its tests do not use any more."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from pytest_parpool.runtime import process_memory
from pytest_parpool.worker.unused_memory import UnusedMemory

MIB = 2**20


class Memory:
    """A process' memory, as a test says that it is."""

    def __init__(self) -> None:
        self.touched = 100 * MIB
        self.held = 50 * MIB
        self.unused = 0
        self.seconds = 0.0
        self.seconds_to_give_back = 0.01
        self.given_back: list[float] = []

    def touched_bytes(self) -> int:
        """Return it."""
        return self.touched

    def held_bytes(self) -> int:
        """Return it."""
        return self.held

    def give_back(self) -> None:
        """Take note of it."""
        self.given_back.append(self.seconds)
        self.held -= self.unused
        self.unused = 0
        self.seconds += self.seconds_to_give_back

    def clock(self) -> float:
        """Return the time."""
        return self.seconds

    def run_test(self, touched: int, kept: int, unused: int) -> None:
        """Use memory as a test would that takes a second."""
        self.touched += touched
        self.held += kept + unused
        self.unused += unused
        self.seconds += 1.0


@pytest.fixture
def memory() -> Memory:
    """The memory."""
    return Memory()


@pytest.fixture
def plugin(memory: Memory) -> UnusedMemory:
    """What looks after it."""
    return UnusedMemory(memory, memory.clock)


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector as it was."""
    was_enabled = gc.isenabled()
    gc.enable()
    yield
    if not was_enabled:
        gc.disable()


def test_what_a_test_leaves_is_given_back(memory: Memory, plugin: UnusedMemory) -> None:
    """At once, and after the next such test again."""
    for _ in range(2):
        memory.run_test(touched=9 * MIB, kept=0, unused=8 * MIB)
        plugin.look()
    assert memory.given_back == [1.0, 2.01]
    assert memory.held == 50 * MIB


@pytest.mark.parametrize(
    ("touched", "unused"),
    [
        pytest.param(MIB, MIB, id="little-was-needed"),
        pytest.param(64 * MIB, 0, id="all-is-given-back-already"),
        pytest.param(0, 8 * MIB, id="nothing-was-touched"),
    ],
)
def test_nothing_is_done_if_it_is_not_worth_while(
    memory: Memory, plugin: UnusedMemory, touched: int, unused: int
) -> None:
    """A collection takes time, too."""
    memory.run_test(touched, kept=0, unused=unused)
    plugin.look()
    assert not memory.given_back


def test_little_by_little_is_much(memory: Memory, plugin: UnusedMemory) -> None:
    """What many tests leave counts together."""
    for _ in range(10):
        memory.run_test(touched=MIB // 2, kept=0, unused=MIB // 2)
        plugin.look()
    assert len(memory.given_back) == 2
    assert memory.unused < 2 * MIB


def test_what_is_kept_is_not_asked_for_again(memory: Memory, plugin: UnusedMemory) -> None:
    """A fixture's data are no reason for a collection after each test that has them."""
    memory.run_test(touched=80 * MIB, kept=80 * MIB, unused=0)
    plugin.look()
    for _ in range(5):
        memory.run_test(touched=4 * MIB, kept=0, unused=0)
        plugin.look()
    assert memory.given_back == [1.0]
    memory.held -= 80 * MIB  # Torn down; what grows now grows from there.
    memory.run_test(touched=4 * MIB, kept=0, unused=0)
    plugin.look()
    memory.run_test(touched=4 * MIB, kept=0, unused=4 * MIB)
    plugin.look()
    assert len(memory.given_back) == 2


def test_no_more_than_a_fiftieth_of_the_time_is_spent(memory: Memory, plugin: UnusedMemory) -> None:
    """However many objects there are to look through."""
    memory.seconds_to_give_back = 0.5
    for _ in range(200):
        memory.run_test(touched=9 * MIB, kept=MIB, unused=8 * MIB)
        plugin.look()
    assert len(memory.given_back) >= 2
    assert len(memory.given_back) * 0.5 <= 0.02 * memory.seconds + 0.5
    gaps = [later - earlier for earlier, later in zip(memory.given_back, memory.given_back[1:], strict=False)]
    assert all(25 <= gap <= 27 for gap in gaps)


def test_who_has_switched_the_collector_off_is_left_alone(memory: Memory, plugin: UnusedMemory) -> None:
    """It was done for a reason."""
    memory.run_test(touched=9 * MIB, kept=0, unused=8 * MIB)
    gc.disable()
    plugin.look()
    assert not memory.given_back
    gc.enable()
    plugin.look()
    assert memory.given_back


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_the_systems_figures_follow_what_is_used() -> None:
    """Memory that is written to is touched and held, and what is freed is held no more."""
    memory = process_memory.own_memory()
    assert memory is not None
    touched, held = memory.touched_bytes(), memory.held_bytes()
    data = bytearray(b"x") * (64 * MIB)
    assert memory.touched_bytes() > touched  # By how much depends on the size of pages.
    assert 60 * MIB <= memory.held_bytes() - held <= 200 * MIB
    del data
    memory.give_back()
    assert memory.held_bytes() - held <= 30 * MIB
