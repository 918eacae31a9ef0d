"""The dispatcher takes back what lies behind an item that runs longer than was thought."""

from __future__ import annotations

from pytest_parpool.model.actions import Send, TakeBack
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import Asked, Drain, Run, Wait
from pytest_parpool.model.notices import Stalled, StopRequested, TakenBack
from pytest_parpool.policy.limits import Limits
from tests.dispatching import GW0, GW1, READY, Bench, finished, started


def hand(*items: int) -> Run:
    """Return the command that gives these items."""
    return Run(tuple(map(ItemIndex, items)))


def stalled_bench(*, limits: Limits | None = None) -> Bench:
    """Return a run of six short items: gw0 runs item 0 and holds 1 and 2, gw1 has had its share and waits."""
    bench = Bench(6, workers=2, dist="load", seconds=[0.02] * 6, limits=limits)
    bench.hear(GW0, READY)
    bench.hear(GW0, started(0))
    bench.hear(GW1, READY)
    for item in (3, 4, 5):
        bench.hear(GW1, started(item), finished(item))
    return bench


def test_who_finds_nothing_left_waits_for_what_others_hold() -> None:
    """Nobody leaves while somebody holds an item that may still come back."""
    assert stalled_bench().hear(GW1, Asked()) == [Send(GW1, Wait())]


def test_what_is_held_behind_a_long_item_is_run_by_another() -> None:
    """A stalled worker keeps what it has claimed; the rest goes to who waits."""
    bench = stalled_bench()
    bench.hear(GW1, Asked())
    assert bench.dispatcher.handle(Stalled(GW0)) == [TakeBack(GW0, begun=1)]
    assert bench.dispatcher.handle(TakenBack(GW0, kept=2)) == [Send(GW1, hand(2))]
    assert bench.hear(GW1, started(2)) == []
    assert bench.hear(GW0, finished(0), started(1)) == []
    assert not bench.dispatcher.holds_more(GW0)


def test_what_was_claimed_meanwhile_is_kept() -> None:
    """A worker that has claimed everything keeps everything."""
    bench = stalled_bench()
    bench.hear(GW1, Asked())
    assert bench.dispatcher.handle(TakenBack(GW0, kept=3)) == []
    assert bench.dispatcher.holds_more(GW0)


def test_items_taken_back_do_not_wear_a_worker_out() -> None:
    """A worker is recycled after the items that it ran, not after those it was once given."""
    bench = stalled_bench(limits=Limits(restarts=4, tasks_per_child=3))
    bench.hear(GW1, Asked())
    bench.dispatcher.handle(Stalled(GW0))
    bench.dispatcher.handle(TakenBack(GW0, kept=1))
    bench.hear(GW0, finished(0))
    answer = bench.hear(GW0, Asked())
    assert answer
    assert isinstance(answer[0], Send)
    assert answer[0].command != Drain()


def test_nothing_is_taken_back_from_who_holds_nothing() -> None:
    """A long item with nothing behind it disturbs nobody."""
    bench = Bench(2, workers=2, dist="load")
    bench.hear(GW0, READY, started(0))
    assert bench.dispatcher.handle(Stalled(GW0)) == []


def test_nothing_is_taken_back_where_nobody_else_could_run_it() -> None:
    """A worker that is alone keeps its hand."""
    bench = Bench(3, workers=1, dist="load", seconds=[0.001] * 3)
    bench.hear(GW0, READY, started(0))
    assert bench.dispatcher.holds_more(GW0)
    assert bench.dispatcher.handle(Stalled(GW0)) == []


def test_nothing_is_taken_back_when_the_run_stops() -> None:
    """What is held when the run stops is not run by anybody."""
    bench = stalled_bench()
    bench.dispatcher.handle(StopRequested())
    assert bench.dispatcher.handle(Stalled(GW0)) == []


def test_nothing_is_taken_back_from_who_begins_at_once() -> None:
    """A worker that stood still and was just given something has asked for nothing, and would not ask again."""
    bench = Bench(6, workers=2, dist="load", seconds=[0.02] * 6)
    bench.hear(GW0, READY)
    worker: WorkerId = GW0
    assert not bench.dispatcher.holds_more(worker)
    assert bench.dispatcher.handle(Stalled(worker)) == []
