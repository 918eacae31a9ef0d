"""One simulated run per scheduler and seed: everything that can be different is."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pytest_parpool.model.ids import ItemIndex, WorkerId, worker_ids
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.dispatcher import Dispatcher
from pytest_parpool.policy.limits import Limits
from pytest_parpool.policy.schedulers.protocol import Scheduler
from pytest_parpool.policy.schedulers.registry import SCHEDULERS
from pytest_parpool.policy.schedulers.slots import SlotScheduler
from pytest_parpool.policy.slot import DispatchError
from tests.plans import random_plan
from tests.simulation.promises import BrokenPromiseError
from tests.simulation.simulator import DispatcherFactory, Simulator, World
from tests.simulation.worker import Habits

if TYPE_CHECKING:
    from pytest_parpool.policy.schedulers.registry import SchedulerFactory


class PatientScheduler(SlotScheduler):
    """Gives the first slot most, and has a slot that is through wait: now and then it may take from another's share.

    None of ours is like this, but the dispatcher has an answer for it. A share whose worker is neither alive nor
    replaced would be waited for, for ever, so it is used where that does not happen.
    """

    def __init__(self, plan: Plan, workers: Sequence[WorkerId]) -> None:
        """Deal the items out in turn."""
        super().__init__(len(plan), workers)
        half = len(plan) // 2
        first, *_ = workers
        self._dealt = {worker: deque(map(ItemIndex, range(n, half, len(workers)))) for n, worker in enumerate(workers)}
        self._dealt[first].extend(map(ItemIndex, range(half, len(plan))))

    def is_exhausted(self, worker: WorkerId) -> bool:
        """See `Scheduler.is_exhausted`."""
        return not self.remaining()

    def _source_for(self, worker: WorkerId) -> deque[ItemIndex]:
        own = self._dealt[worker]
        return own if own or len(self.remaining()) % 2 else max(self._dealt.values(), key=len)

    def _peek_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        return list(self._source_for(worker))[:1]

    def _begin_unit(self, worker: WorkerId) -> Sequence[ItemIndex]:
        return [self._source_for(worker).popleft()]


def make_patient(plan: Plan, workers: Sequence[WorkerId], *, reorder: bool) -> Scheduler:
    """Return a scheduler that makes workers wait."""
    return PatientScheduler(plan, workers)


FACTORIES: dict[str, SchedulerFactory] = {**SCHEDULERS, "patient": make_patient}


def simulate(
    mode: str,
    seed: int,
    *,
    make_dispatcher: DispatcherFactory = Dispatcher,
    change_scheduler: Callable[[Scheduler], Scheduler] = lambda scheduler: scheduler,
) -> Simulator:
    """Play one run and return what was seen of it.

    Args:
        mode: The name of a scheduler.
        seed: Names the run.
        make_dispatcher: Another dispatcher than the real one.
        change_scheduler: Puts another scheduler in the place of the real one.

    Raises:
        BrokenPromiseError: If something happened that must not, or the dispatcher or the scheduler refused something.
    """
    source = random.Random(seed)
    count = source.randint(1, 4)
    collected = random_plan(source, max_size=4 if mode == "each" else 12)
    plan = collected.repeated(count) if mode == "each" else collected
    scheduler = FACTORIES[mode](plan, worker_ids(count), reorder=source.random() < 0.5)
    world = random_world(source, plan, is_patient=mode == "patient")
    simulator = Simulator(change_scheduler(scheduler), count, world, source, make_dispatcher)
    try:
        simulator.run()
    except (BrokenPromiseError, DispatchError, ValueError) as error:
        raise BrokenPromiseError(f"simulate({mode!r}, {seed}): {error}") from error
    return simulator


def random_world(source: random.Random, plan: Plan, *, is_patient: bool) -> World:
    """Return a world in which many things are calm and some are not.

    The patient scheduler's world has no end of a share without a replacement, and enough failures that some happen to
    workers that wait.
    """

    def sometimes(most: float) -> float:
        return source.random() * most if source.random() < 0.3 else 0.0

    is_stop_watched = source.random() < (0.8 if is_patient else 0.5)
    return World(
        habits=Habits(
            is_stop_watched=is_stop_watched,
            is_reporting_late=source.random() < 0.2,
            fails=0.3 if is_patient else source.choice([0.0, 0.1, 0.4]),
            dies=sometimes(0.1),
            breaks=0.0 if is_patient else sometimes(0.3),
            hangs=sometimes(0.3),
        ),
        limits=Limits(
            restarts=source.choice([0, 1, 4, 50]),
            tasks_per_child=source.choice([None, None, 1, 2, 5]),
            hand=source.choice([None, None, 0, 1, 3]),
            is_stop_watched=is_stop_watched,
        ),
        expected=plan.durations,
        stops=source.choice([0.0, 0.2] if is_patient else [0.0, 0.3, 1.0]),
        shows=source.choice([1.0, 0.3, 0.02]),
        disturbances=(sometimes(0.01), sometimes(0.01), 0.0 if is_patient else sometimes(0.01), sometimes(0.05)),
    )
