"""What every scheduler promises. Runs on the whole registry, so that a new one is covered on arrival."""

from __future__ import annotations

import collections
import dataclasses
import random
from collections.abc import Callable

import pytest

from pytest_parpool.model.ids import ItemIndex, WorkerId, worker_ids
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.schedulers.protocol import Scheduler
from pytest_parpool.policy.schedulers.registry import SCHEDULERS
from tests.plans import make_plan, plan_of, random_plan

RANDOM_RUNS = 100  # Per mode; the whole file takes about a second.

MODES_THAT_KEEP_GROUPS: dict[str, Callable[[Plan, ItemIndex], str | None]] = {
    "loadscope": lambda plan, item: plan.scopes[item],
    "loadfile": lambda plan, item: plan.files[item],
    "loadgroup": lambda plan, item: plan.groups[item],
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One scheduler on one plan."""

    mode: str
    plan: Plan
    workers: tuple[WorkerId, ...]
    scheduler: Scheduler


def make_case(mode: str, collected: Plan, count: int, *, reorder: bool = True) -> Case:
    """Return a scheduler as a run of ``count`` workers would have it."""
    plan = collected.repeated(count) if mode == "each" else collected
    workers = worker_ids(count)
    return Case(mode, plan, workers, SCHEDULERS[mode](plan, workers, reorder=reorder))


def pull_in_turn(case: Case) -> dict[WorkerId, list[int]]:
    """Let all workers take one item each in turn until nothing is left."""
    handed: dict[WorkerId, list[int]] = {worker: [] for worker in case.workers}
    while case.scheduler.remaining():
        before = case.scheduler.remaining()
        for worker in case.workers:
            if case.scheduler.peek(worker) is not None:
                handed[worker].append(case.scheduler.take(worker))
        assert case.scheduler.remaining() != before, "nobody is offered what remains"
    return handed


class RandomRun:
    """Workers that take, run, die and are replaced in random order, with every promise checked at every step."""

    def __init__(self, case: Case, source: random.Random) -> None:
        """Begin with nothing handed out."""
        self.case = case
        self.source = source
        self.held: dict[WorkerId, collections.deque[ItemIndex]] = {w: collections.deque() for w in case.workers}
        self.ended: list[ItemIndex] = []
        self.ended_on: dict[ItemIndex, WorkerId] = {}
        self.exhausted: set[WorkerId] = set()

    def play(self) -> None:
        """Go on until every item has ended."""
        while len(self.ended) < len(self.case.plan):
            worker = self.source.choice(self.case.workers)
            move = self.source.choices([self.take, self.end_one, self.die], [6, 5, 1])[0]
            move(worker)
            self.check()
        assert sorted(self.ended) == list(self.case.plan.indices())
        assert all(self.case.scheduler.is_exhausted(worker) for worker in self.case.workers)

    def take(self, worker: WorkerId) -> None:
        """Take what is offered; an exhausted worker is offered nothing, and everybody is told the same twice."""
        scheduler = self.case.scheduler
        offered = scheduler.peek(worker)
        assert scheduler.peek(worker) == offered
        if offered is None:
            with pytest.raises(LookupError):
                scheduler.take(worker)
            return
        assert worker not in self.exhausted
        assert not scheduler.is_exhausted(worker)
        assert scheduler.take(worker) == offered
        self.held[worker].append(offered)

    def end_one(self, worker: WorkerId) -> None:
        """End the item that the worker is running."""
        if self.held[worker]:
            item = self.held[worker].popleft()
            self.ended.append(item)
            self.ended_on[item] = worker

    def die(self, worker: WorkerId) -> None:
        """Lose the running item, if one was begun, and put back the others; the replacement is the same slot."""
        if self.source.random() < 0.5:
            self.end_one(worker)
        items = tuple(self.held[worker])
        self.held[worker].clear()
        self.case.scheduler.requeue(items, worker)
        if items:
            self.exhausted.clear()
            assert self.case.scheduler.peek(worker) == items[0]

    def check(self) -> None:
        """Compare what remains and who is exhausted with what was handed out."""
        gone = {*self.ended, *(item for items in self.held.values() for item in items)}
        assert self.case.scheduler.remaining() == tuple(i for i in self.case.plan.indices() if i not in gone)
        now = {worker for worker in self.case.workers if self.case.scheduler.is_exhausted(worker)}
        assert now >= self.exhausted, "an exhausted worker stays so until something is requeued"
        self.exhausted = now
        if len(gone) < len(self.case.plan):
            assert now < set(self.case.workers), "somebody must be left for what remains"


@pytest.fixture(params=sorted(SCHEDULERS))
def mode(request: pytest.FixtureRequest) -> str:
    """Return the name of each scheduler in turn."""
    assert isinstance(request.param, str)
    return request.param


def test_random_runs(mode: str) -> None:
    """Every item ends once, whoever pulls and dies when, and a group never ends on two slots."""
    for seed in range(RANDOM_RUNS):
        source = random.Random(seed)
        collected = random_plan(source, max_size=12 if mode == "each" else 40)
        case = make_case(mode, collected, source.randint(1, 6), reorder=source.random() < 0.5)
        run = RandomRun(case, source)
        run.play()
        if key_of := MODES_THAT_KEEP_GROUPS.get(mode):
            slots: dict[str, set[WorkerId]] = {}
            for item, worker in run.ended_on.items():
                if (key := key_of(case.plan, item)) is not None:
                    slots.setdefault(key, set()).add(worker)
            assert all(len(workers) == 1 for workers in slots.values()), f"seed {seed}: {slots}"


def test_is_a_scheduler(mode: str) -> None:
    """The registry's factories make schedulers."""
    assert isinstance(make_case(mode, plan_of(1), 1).scheduler, Scheduler)


def test_looking_changes_nothing(mode: str) -> None:
    """Peeking, by anybody, leaves everything to be handed out."""
    case = make_case(mode, plan_of(2, 3), 3)
    for worker in (*case.workers, *case.workers):
        case.scheduler.peek(worker)
    assert case.scheduler.remaining() == tuple(case.plan.indices())


def test_more_workers_than_items(mode: str) -> None:
    """Every item is handed out once though some workers get nothing."""
    case = make_case(mode, plan_of(1, 1, 1), 8)
    handed = pull_in_turn(case)
    assert sorted(item for items in handed.values() for item in items) == list(case.plan.indices())


@pytest.mark.parametrize("count", [1, 3])
def test_empty_plan(mode: str, count: int) -> None:
    """With nothing to run everybody is exhausted at once."""
    case = make_case(mode, plan_of(), count)
    for worker in case.workers:
        assert case.scheduler.is_exhausted(worker)
        assert case.scheduler.peek(worker) is None
        with pytest.raises(LookupError, match=worker):
            case.scheduler.take(worker)
    assert case.scheduler.remaining() == ()


def test_one_worker_keeps_plan_order(mode: str) -> None:
    """A single worker runs the plan as plain pytest would, as long as nothing asks for another order."""
    case = make_case(mode, plan_of(3, 1, 4), 1, reorder=False)
    assert pull_in_turn(case) == {case.workers[0]: list(case.plan.indices())}


def test_shares_keep_plan_order(mode: str) -> None:
    """Workers that are equally fast steal nothing, and each runs its items in plan order."""
    handed = pull_in_turn(make_case(mode, plan_of(*[2] * 6), 3, reorder=False))
    assert all(items == sorted(items) for items in handed.values())
    assert len({len(items) for items in handed.values()}) == 1


def test_requeued_items_come_first(mode: str) -> None:
    """What a lost worker did not begin is what its replacement gets first, in the same order."""
    groups = [None, "g", "g", None, None, "g"]
    case = make_case(mode, make_plan(["m"] * 6, groups=groups), 1)
    worker = case.workers[0]
    handed = tuple(case.scheduler.take(worker) for _ in range(5))
    case.scheduler.requeue(handed[1:], worker)
    assert tuple(case.scheduler.take(worker) for _ in range(4)) == handed[1:]


def test_requeueing_nothing(mode: str) -> None:
    """A worker that held nothing gives nothing back, and stays exhausted."""
    case = make_case(mode, plan_of(1), 1)
    case.scheduler.take(case.workers[0])
    case.scheduler.requeue((), case.workers[0])
    assert case.scheduler.is_exhausted(case.workers[0])


@pytest.mark.parametrize("returned", [(1,), (0, 1), (0, 0), (99,), (-1,)])
def test_requeueing_what_was_not_handed_out(mode: str, returned: tuple[int, ...]) -> None:
    """An item that would run twice is refused, and the refusal leaves everything as it was."""
    case = make_case(mode, plan_of(3), 1)
    worker = case.workers[0]
    assert case.scheduler.take(worker) == 0
    with pytest.raises(ValueError, match="run twice"):
        case.scheduler.requeue(tuple(ItemIndex(item) for item in returned), worker)
    assert case.scheduler.remaining() == (1, 2)
    assert case.scheduler.peek(worker) == 1


def test_requeueing_twice(mode: str) -> None:
    """An item that was put back is queued, and cannot be put back again."""
    case = make_case(mode, plan_of(2), 1)
    worker = case.workers[0]
    item = case.scheduler.take(worker)
    case.scheduler.requeue((item,), worker)
    with pytest.raises(ValueError, match=worker):
        case.scheduler.requeue((item,), worker)
