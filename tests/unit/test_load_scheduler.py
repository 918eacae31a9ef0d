"""Where ``load``, ``worksteal`` and ``loadgroup`` cut, and what they steal."""

from __future__ import annotations

import itertools

import pytest

from pytest_parpool.model.ids import ItemIndex, WorkerId, worker_ids
from pytest_parpool.model.plan import Plan
from pytest_parpool.policy.schedulers.load import make_load
from pytest_parpool.policy.schedulers.loadgroup import make_loadgroup
from pytest_parpool.policy.schedulers.protocol import Scheduler
from pytest_parpool.policy.schedulers.registry import SCHEDULERS
from pytest_parpool.policy.schedulers.worksteal import make_worksteal
from tests.plans import make_plan, plan_of

W0, W1, W2, W3 = worker_ids(4)


def shares(mode: str, plan: Plan, count: int) -> list[int]:
    """Return the lengths of the initial shares."""
    workers = worker_ids(count)
    scheduler = SCHEDULERS[mode](plan, workers, reorder=True)
    begins = [scheduler.peek(worker) for worker in workers]
    assert None not in begins
    bounds = [*(begin for begin in begins if begin is not None), len(plan)]
    return [high - low for low, high in itertools.pairwise(bounds)]


def take(scheduler: Scheduler, worker: WorkerId, count: int) -> list[int]:
    """Let a worker take this many items."""
    return [scheduler.take(worker) for _ in range(count)]


def items(*indices: int) -> tuple[ItemIndex, ...]:
    """Return item indices from plain numbers."""
    return tuple(ItemIndex(index) for index in indices)


class TestInitialShares:
    """The first cuts."""

    @pytest.mark.parametrize(
        ("sizes", "count", "expected"),
        [
            ((4, 4, 4, 4), 2, [8, 8]),
            ((3, 5), 2, [3, 5]),
            ((1, 9), 2, [1, 9]),
            ((9, 1), 2, [9, 1]),
            ((10,), 2, [5, 5]),
            ((10,), 3, [3, 4, 3]),
            ((500, 500), 4, [250, 250, 250, 250]),
            ((5, 5), 3, [5, 2, 3]),
            ((2, 16, 2), 3, [2, 16, 2]),
            ((1, 1, 1, 7), 3, [3, 4, 3]),
        ],
    )
    def test_load_cuts_at_modules(self, sizes: tuple[int, ...], count: int, expected: list[int]) -> None:
        """A cut lies at the border nearest to its ideal place, but inside a module if all borders are too far off."""
        assert shares("load", plan_of(*sizes), count) == expected

    def test_load_balances_durations(self) -> None:
        """Shares are equal in seconds, not in items."""
        plan = make_plan(["m"] * 6, durations=[3.0, 1.0, 1.0, 1.0, 1.0, 1.0])
        assert shares("load", plan, 2) == [2, 4]

    def test_unknown_items_weigh_the_mean(self) -> None:
        """An item without a duration counts like the mean of the known ones."""
        plan = make_plan(["m"] * 6, durations=[1.0, 3.0, None, None, None, None])
        assert shares("load", plan, 2) == [3, 3]

    def test_one_heavy_item(self) -> None:
        """An item that outweighs all others leaves something for every share."""
        for heavy in range(5):
            durations = [1000.0 if index == heavy else 0.1 for index in range(5)]
            assert min(shares("load", make_plan(["m"] * 5, durations=durations), 4)) == 1

    def test_durations_of_zero(self) -> None:
        """Items that took no measurable time are shared by number."""
        assert shares("load", make_plan(["m"] * 8, durations=[0.0] * 8), 4) == [2, 2, 2, 2]

    def test_inexact_sums_keep_equal_modules_apart(self) -> None:
        """Rounding errors in sums of durations do not move a cut to a neighbour's place."""
        modules = [f"m{index // 50}" for index in range(100)]
        assert shares("load", make_plan(modules, durations=[0.1] * 100), 4) == [25, 25, 25, 25]

    def test_worksteal_cuts_by_number(self) -> None:
        """``worksteal`` gives equal counts, whatever the modules and durations."""
        plan = make_plan(["a", "a", "a", "b", "b", "b", "b", "b"], durations=[9.0, *[1.0] * 7])
        assert shares("worksteal", plan, 2) == [4, 4]

    def test_modules_run_on_one_worker_in_lockstep(self) -> None:
        """Two equally fast workers share four equal modules without setting up any of them twice."""
        plan = plan_of(5, 5, 5, 5)
        scheduler = make_load(plan, (W0, W1), reorder=True)
        seen: dict[str, set[WorkerId]] = {}
        for _ in range(10):
            for worker in (W0, W1):
                seen.setdefault(plan.modules[scheduler.take(worker)], set()).add(worker)
        assert seen == {"m0": {W0}, "m1": {W0}, "m2": {W1}, "m3": {W1}}


class TestStealing:
    """What a worker without a share takes over."""

    def test_second_half_at_a_module_border(self) -> None:
        """A thief takes whole modules from the end while there is a border inside the rest."""
        scheduler = make_load(plan_of(2, 3, 3, 3), (W0, W1), reorder=True)
        # The shares are m0 and m1, and m2 and m3; the first worker finishes its own before the other begins.
        assert take(scheduler, W0, 5) == [0, 1, 2, 3, 4]
        assert take(scheduler, W0, 3) == [8, 9, 10]

    def test_inside_a_module_when_no_border_is_left(self) -> None:
        """A thief takes half of the last module; the border at the end of the rest is none."""
        scheduler = make_load(plan_of(2, 4), (W0, W1), reorder=True)
        assert take(scheduler, W0, 4) == [0, 1, 4, 5]
        assert take(scheduler, W1, 2) == [2, 3]

    def test_worksteal_halves_by_number(self) -> None:
        """Under ``worksteal`` a thief takes half of the rest, modules disregarded."""
        scheduler = make_worksteal(plan_of(8, 7, 1), (W0, W1), reorder=True)
        assert take(scheduler, W0, 9)[8:] == [12]

    def test_from_the_longest_rest(self) -> None:
        """The victim is the worker with most seconds left, not with most items."""
        durations = [4.0, *[1.0] * 4, *[2.0, 2.0]]
        scheduler = make_load(make_plan(list("abbbbcc"), durations=durations), (W0, W1, W2), reorder=True)
        assert take(scheduler, W0, 1) == [0]
        take(scheduler, W1, 2)
        assert scheduler.peek(W0) == 6

    def test_an_odd_rest_gives_the_thief_more(self) -> None:
        """The thief has nothing and the victim is busy, so of three items the thief gets two."""
        scheduler = make_worksteal(plan_of(6), (W0, W1), reorder=True)
        assert take(scheduler, W0, 5) == [0, 1, 2, 4, 5]

    def test_a_single_item_is_taken_whole(self) -> None:
        """The last item behind a running one does not wait for it."""
        scheduler = make_load(plan_of(4), (W0, W1), reorder=True)
        assert take(scheduler, W1, 1) == [2]
        assert take(scheduler, W0, 3) == [0, 1, 3]
        assert scheduler.is_exhausted(W1)

    def test_peeking_takes_nothing_for_good(self) -> None:
        """What a thief only looked at can be stolen back."""
        scheduler = make_load(plan_of(2), (W0, W1), reorder=True)
        scheduler.take(W0)
        assert scheduler.peek(W0) == 1
        assert scheduler.peek(W1) == 1
        assert scheduler.take(W1) == 1

    def test_requeued_items_are_stolen_last(self) -> None:
        """Items of a lost worker wait for its replacement while others have shares, and are halved after that."""
        scheduler = make_worksteal(plan_of(8), (W0, W1), reorder=True)
        handed = take(scheduler, W0, 4)
        scheduler.requeue(items(*handed[1:]), W0)
        assert take(scheduler, W1, 4) == [4, 5, 6, 7]
        assert take(scheduler, W1, 2) == [2, 3]
        assert take(scheduler, W0, 1) == [1]
        assert scheduler.is_exhausted(W0)

    def test_requeued_items_are_stolen_from_who_has_most(self) -> None:
        """Among lost workers' items a thief takes from the longer queue."""
        scheduler = make_worksteal(plan_of(9), (W0, W1, W2), reorder=True)
        held = {worker: take(scheduler, worker, 3) for worker in (W0, W1, W2)}
        scheduler.requeue(items(*held[W0][2:]), W0)
        scheduler.requeue(items(*held[W1][1:]), W1)
        assert scheduler.take(W2) == 5

    def test_many_items_and_workers_stay_quick(self) -> None:
        """Stealing copies nothing: 20,000 items on 64 workers need few steps per item, whoever pulls."""
        plan = plan_of(*[500] * 40)
        workers = worker_ids(64)
        scheduler = make_load(plan, workers, reorder=True)
        handed = []
        while scheduler.remaining():
            for number, worker in enumerate(workers):
                handed += [scheduler.take(worker) for _ in range(number * 2) if scheduler.peek(worker) is not None]
        assert sorted(handed) == list(plan.indices())


class TestGroups:
    """Groups among loose items."""

    def plan(self) -> Plan:
        """Return eight items of one module, of which 1, 4 and 6 are group ``g`` and 5 is group ``h``."""
        return make_plan(["m"] * 8, groups=[None, "g", None, None, "g", "h", "g", None])

    def test_a_group_runs_where_its_first_item_stands(self) -> None:
        """One worker runs a group's items one behind the other, and the others around them in plan order."""
        scheduler = make_loadgroup(self.plan(), (W0,), reorder=True)
        assert take(scheduler, W0, 8) == [0, 1, 4, 6, 2, 3, 5, 7]

    def test_a_group_weighs_as_much_as_its_items(self) -> None:
        """The share that holds the group is as long as the other one, counted in items."""
        scheduler = make_loadgroup(self.plan(), (W0, W1), reorder=True)
        assert take(scheduler, W1, 4) == [2, 3, 5, 7]

    def test_a_group_that_was_only_looked_at_is_stolen_whole(self) -> None:
        """A worker that is busy does not keep a group that it has not begun."""
        scheduler = make_loadgroup(self.plan(), (W0, W1), reorder=True)
        scheduler.take(W0)
        assert scheduler.peek(W0) == 1
        take(scheduler, W1, 4)
        assert take(scheduler, W1, 3) == [1, 4, 6]
        assert scheduler.is_exhausted(W0)

    def test_a_begun_group_is_never_stolen(self) -> None:
        """The rest of a begun group waits for its slot, also when it was requeued."""
        scheduler = make_loadgroup(self.plan(), (W0, W1), reorder=True)
        handed = take(scheduler, W0, 3)
        scheduler.requeue(items(*handed[1:]), W0)
        assert take(scheduler, W1, 4) == [2, 3, 5, 7]
        assert scheduler.peek(W1) is None
        assert scheduler.is_exhausted(W1)
        assert not scheduler.is_exhausted(W0)
        assert take(scheduler, W0, 3) == [1, 4, 6]

    def test_requeued_loose_items_are_stolen_from_between_a_group(self) -> None:
        """A thief picks the items without a group out of what was requeued, and leaves the group."""
        scheduler = make_loadgroup(self.plan(), (W0, W1), reorder=True)
        scheduler.requeue(items(*take(scheduler, W0, 4)), W0)
        take(scheduler, W1, 4)
        assert scheduler.take(W1) == 0
        assert take(scheduler, W0, 3) == [1, 4, 6]
