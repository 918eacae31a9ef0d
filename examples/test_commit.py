"""A barrier, a value and a queue: a protocol of three processes, each of them real.

Three members prepare and vote; only if all vote yes does any of them commit. The members are child processes of a test:
they are there at the same time however many workers there are.
"""

from __future__ import annotations

import multiprocessing

import pytest

from pytest_parpool import Barrier, Queue, SharedObjects, Value

MEMBERS = 3


def take_part(vote: bool, all_voted: Barrier, refusals: Value, outcomes: Queue) -> None:  # noqa: FBT001  -- a vote
    """Be one member: vote, wait until all have voted, and tell what came of it."""
    if not vote:
        refusals.add(1)
    all_voted.wait(timeout=60)
    outcomes.put("committed" if refusals.get() == 0 else "rolled back")


@pytest.mark.parametrize(
    ("votes", "outcome"),
    [([True, True, True], "committed"), ([True, False, True], "rolled back"), ([False] * 3, "rolled back")],
    ids=["all", "not all", "none"],
)
def test_all_members_come_to_the_same(
    parpool: SharedObjects, request: pytest.FixtureRequest, votes: list[bool], outcome: str
) -> None:
    """No member commits what another one rolls back."""
    name = request.node.name  # Other tests use these objects at the same time; each by its own name.
    shared = parpool.barrier(name, MEMBERS), parpool.value(name), parpool.queue(name)
    spawn = multiprocessing.get_context("spawn")
    members = [spawn.Process(target=take_part, args=(vote, *shared)) for vote in votes]
    for member in members:
        member.start()
    found = [parpool.queue(name).get(timeout=60) for _ in members]
    for member in members:
        member.join()
    assert found == [outcome] * MEMBERS
