"""One simulated run per seed: everything that can be different is."""

from __future__ import annotations

import random
from collections.abc import Callable

from pytest_parpool.policy.broker.broker import Broker
from tests.simulation.broker.lanes import Habits
from tests.simulation.broker.simulator import Simulator, World
from tests.simulation.promises import BrokenPromiseError

MIXES: tuple[tuple[str, ...], ...] = (
    ("lock",),
    ("lock",),
    ("lock", "semaphore", "read_write", "once"),
    ("read_write",),
    ("semaphore",),
    ("lock", "event", "barrier", "queue", "condition"),
    ("queue", "condition", "barrier"),
)


def simulate(seed: int, make_broker: Callable[[int], Broker] = Broker, *, is_marking_first: bool = True) -> Simulator:
    """Play one run and return what was seen of it.

    Args:
        seed: Names the run.
        make_broker: Another broker than the real one.
        is_marking_first: See `Simulator`.

    Raises:
        BrokenPromiseError: If something happened that must not, or the broker raised something.
    """
    source = random.Random(seed)
    simulator = Simulator(random_world(source), source, make_broker, is_marking_first=is_marking_first)
    try:
        simulator.run()
    except Exception as error:
        raise BrokenPromiseError(f"simulate({seed}): {type(error).__name__}: {error}") from error
    return simulator


def random_world(source: random.Random) -> World:
    """Return a world in which many things are calm and some are not."""

    def sometimes(most: float) -> float:
        return source.random() * most if source.random() < 0.5 else 0.0

    waits_in_vain = sometimes(1.0)
    return World(
        habits=Habits(
            kinds=source.choice(MIXES),
            locks=("condition:c", "a", "b")[: source.randint(1, 3)],
            sections=source.randint(1, 6),
            waits_for_ever=source.choice([1.0, 0.9, 0.3]),
            waits_in_vain=waits_in_vain,
            crossed=source.choice([0.0, 0.3, 0.5]),
        ),
        lanes=tuple(source.randint(1, 2) for _ in range(source.randint(2, 4))),
        slots=source.choice([0, 1, 3, 3, 3]),
        dies=sometimes(0.02),
        interrupts=sometimes(0.05),
        hurries=sometimes(0.05),
        silences=0.05 if waits_in_vain else sometimes(0.05),
    )
