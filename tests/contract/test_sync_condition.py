"""Conditions: what real processes see of them."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import warnings

import pytest

from pytest_parpool.model.sync_requests import EnlistCondition, NotifyCondition
from pytest_parpool.sync.condition import Condition
from pytest_parpool.sync.errors import (
    AbandonedLockWarning,
    BrokenConditionError,
    BrokenObjectError,
    DeadlockError,
    NotHeldError,
)
from pytest_parpool.sync.objects import SharedObjects
from tests.sharing import DEADLINE_SECONDS, Child, Interrupter, is_marked, until


@pytest.fixture
def condition(objects: SharedObjects) -> Condition:
    """A condition."""
    return objects.condition("ready")


def waiting_child(objects: SharedObjects, condition: Condition, timeout: float | None = DEADLINE_SECONDS) -> Child:
    """Return a child that waits by the time that anybody else has the lock."""
    begun = objects.event("begun")
    begun.clear()

    def wait() -> object:
        with condition:
            begun.set()
            is_notified = condition.wait(timeout)
            return is_notified, len(condition._party.held)

    child = Child(wait)
    assert begun.wait(DEADLINE_SECONDS)
    with condition:  # Only now it has let go.
        return child


def is_free(condition: Condition) -> bool:
    """Whether another process can take the lock in time."""
    return bool(Child(lambda: condition.acquire(timeout=DEADLINE_SECONDS / 4)).result())


def test_the_first_who_waits_is_notified(objects: SharedObjects, condition: Condition) -> None:
    """A notification is for so many, in the order in which they came; each has the lock again afterwards."""
    children = [waiting_child(objects, condition) for _ in range(4)]
    done = objects.queue("done")
    with condition:
        condition.notify()
    assert children[0].result() == (True, 1)
    with condition:
        condition.notify(0)
        condition.notify(-5)
        condition.notify(2)
    assert [child.result() for child in children[1:3]] == [(True, 1)] * 2
    with condition:
        condition.notify_all()
        condition.notify_all()
    assert children[3].result() == (True, 1)
    assert done.empty()
    assert is_free(condition)


def test_producers_and_consumers(objects: SharedObjects, condition: Condition) -> None:
    """What is waited for with a predicate, and is changed under the lock, is neither lost nor had twice."""
    jobs = objects.value("jobs", [])

    def consume() -> list[int]:
        taken: list[int] = []
        while True:
            with condition:
                assert condition.wait_for(lambda: jobs.value, DEADLINE_SECONDS)
                first, *rest = jobs.value
                jobs.value = rest if first >= 0 else [first]
            if first < 0:
                return taken
            taken.append(first)

    children = [Child(consume) for _ in range(3)]
    for number in range(30):
        with condition:
            jobs.value += [number]
            condition.notify()
    with condition:
        jobs.value += [-1]
        condition.notify_all()
    taken = [child.result() for child in children]
    assert sorted(number for own in taken for number in own) == list(range(30))
    assert all(own == sorted(own) for own in taken)


def test_times_out(objects: SharedObjects, condition: Condition) -> None:
    """Not early, with the lock held, and with a text for the report."""
    with condition:
        began = time.monotonic()
        assert condition.wait(0.03) is False
        assert condition.wait(-1) is False
        assert condition.wait_for(lambda: 0, 0.03) == 0
        assert time.monotonic() - began >= 0.06
        assert condition.wait_for(lambda: "at once", 0) == "at once"
        assert len(objects.party.held) == 1
        assert not Child(lambda: condition.acquire(block=False)).result()
    assert "condition 'ready' was not notified" in objects.party.timed_out_waits[0]
    assert is_free(condition)
    assert objects.party.ask(NotifyCondition("ready", -1)) == 0


def test_the_lock_is_reentrant(objects: SharedObjects, condition: Condition) -> None:
    """Waiting lets it go however often it was taken, and takes it as often again."""
    begun = objects.event("begun")

    def wait() -> list[int]:
        with condition, condition:
            begun.set()
            condition.wait(DEADLINE_SECONDS)
            depths = [hold.depth for hold in condition._party.held]
        return [*depths, len(condition._party.held)]

    child = Child(wait)
    assert begun.wait(DEADLINE_SECONDS)
    with condition:
        assert condition.locked()
        condition.notify()
    assert child.result() == [2, 0]
    assert not condition.locked()
    with objects.lock("ready"):  # It is another one.
        assert is_free(condition)


def test_who_does_not_hold_it(condition: Condition) -> None:
    """Whoever has not taken the lock may neither wait nor notify, as in ``threading``; also not if a thread has."""
    for error in (RuntimeError, NotHeldError):
        for use in (condition.wait, condition.notify, condition.notify_all, condition.release):
            with pytest.raises(error, match="not held"):
                use()
    seen: list[object] = []

    def notify() -> None:
        try:
            condition.notify()
        except NotHeldError as error:
            seen.append(error)

    with condition:
        thread = threading.Thread(target=notify)
        thread.start()
        thread.join()
    assert len(seen) == 1


def test_whoever_dies_with_the_lock_breaks_the_wait(objects: SharedObjects, condition: Condition) -> None:
    """It might have notified. The others are told who it was, and have the lock again when they are."""
    may_begin, holds = objects.event("may begin"), objects.event("holds")

    def hold() -> None:
        objects.party.rename("gw7")
        assert may_begin.wait(DEADLINE_SECONDS)
        with condition:  # as soon as the other one waits
            holds.set()
            signal.pause()

    holder = Child(hold)

    def kill() -> None:
        assert holds.wait(DEADLINE_SECONDS)
        holder.kill()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedLockWarning)
        with condition:
            may_begin.set()
            thread = threading.Thread(target=kill)
            thread.start()
            with pytest.raises(BrokenConditionError, match=r"gw7 died .*lock of condition 'ready'"):
                condition.wait(DEADLINE_SECONDS)
            assert len(objects.party.held) == 1
        thread.join()
    assert issubclass(BrokenConditionError, (BrokenObjectError, RuntimeError))
    assert is_free(condition)


def test_whoever_dies_waiting_takes_no_notification(objects: SharedObjects, condition: Condition) -> None:
    """It goes to the next one."""
    alive = objects.rwlock("alive")
    begun = objects.event("first has begun")

    def wait() -> None:
        with alive.reading(), condition:
            begun.set()
            condition.wait()

    first = Child(wait)
    assert begun.wait(DEADLINE_SECONDS)
    second = waiting_child(objects, condition)
    first.kill()
    alive.acquire_write()  # Now the broker knows.
    with condition:
        condition.notify()
    assert second.result() == (True, 1)


def test_an_interrupted_wait_has_the_lock(objects: SharedObjects, condition: Condition) -> None:
    """As in ``threading``; and its place is not notified any more."""

    class InterruptionError(Exception):
        pass

    def interrupt(_number: int, _frame: object) -> None:
        raise InterruptionError

    begun = objects.event("begun")

    def wait() -> int:
        signal.signal(signal.SIGUSR1, interrupt)
        with condition:
            begun.set()
            try:
                condition.wait()
            except InterruptionError:
                return len(objects.party.held)
        return -1

    child = Child(wait)
    assert begun.wait(DEADLINE_SECONDS)
    with condition:
        pass
    os.kill(child.pid, signal.SIGUSR1)
    assert child.result() == 1
    assert is_free(condition)
    second = waiting_child(objects, condition)
    with condition:
        condition.notify()
    assert second.result() == (True, 1)


def test_an_interrupt_at_any_line_leaves_nothing_behind(objects: SharedObjects, condition: Condition) -> None:
    """Wherever a handler raises, the lock is free after the ``with``, and no ticket is left to be notified."""
    party, line, has_raised = objects.party, 0, True
    while has_raised:
        interrupter = Interrupter(line)
        try:
            with condition, interrupter:
                condition.wait(0)
        except KeyboardInterrupt:
            pass
        has_raised = interrupter.has_raised
        assert party.ask(NotifyCondition("ready", -1)) == 0, line
        assert party.held == (), line
        line += 1
    assert line > 50
    assert is_free(condition)


def test_a_ticket_that_was_notified_is_passed_on(objects: SharedObjects, condition: Condition) -> None:
    """Who gives up after it was notified lets the next one go on."""
    party = objects.party
    party.ask(EnlistCondition("ready"))
    second = waiting_child(objects, condition)
    assert party.ask(NotifyCondition("ready", 1)) == 1
    condition._give_up()
    assert second.result() == (True, 1)


def test_a_lock_that_can_never_be_had_again(objects: SharedObjects, condition: Condition) -> None:
    """The error comes out of the ``with``, though its lock is not held any more."""
    other, waits = objects.lock("other"), objects.event("waits")
    other.acquire()

    def cross() -> bool:
        assert waits.wait(DEADLINE_SECONDS)
        with condition:
            return other.acquire()

    def notify() -> None:
        until(lambda: is_marked(other), "the child does not wait")
        objects.party.ask(NotifyCondition("ready", 1))

    def wait() -> None:
        with condition:
            waits.set()
            condition.wait(DEADLINE_SECONDS)

    child = Child(cross)
    thread = threading.Thread(target=notify)
    thread.start()
    with pytest.raises(DeadlockError, match="lock of condition 'ready'"):
        wait()
    thread.join()
    other.release()
    assert child.result() is True
    assert objects.party.held == ()


def test_it_is_handed_to_others(condition: Condition) -> None:
    """Pickled it is the same condition."""
    again = pickle.loads(pickle.dumps(condition))
    assert again == condition
    with again:
        condition.notify_all()
    assert repr(condition) == "<Condition 'ready'>"
