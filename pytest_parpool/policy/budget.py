"""The CPU budget of a run: how many tasks the pools in each of its processes may run, beside the tests.

Theory of operation. A run has some CPU slots. A test that computes takes one; a test that waits for its own pools takes
none; each task that such a pool runs takes one. Tests are never held up: whoever goes on takes its slot at once, and
pools make room at the next border between two tasks. What the tests leave is shared among the processes whose pools
have something to do, as equally as can be, the rest in the order of the workers. So all who see the same sheet agree,
and nobody has to be asked.

What holds, whatever comes in whatever order:

* A task is begun only if it is the only one of its pool, or if tests and tasks together stay within the slots.
* So each pool always goes on, and no test can wait for ever for a slot. Its first task takes the slot of the test, if
  that waits for it; only beside a test that computes it is one more than there are slots.
* As soon as every pool has come to a border between tasks, tests and tasks are within the slots, or no pool runs more
  than one task. Several pools of one test may be above that by one for each but the first.
* No slot stays free while a pool could use it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_parpool.model.records import Record, record


@record
class Entry(Record):
    """What one of the run's processes does.

    Attributes:
        is_testing: Whether it computes for a test: it has one, which does not wait for its own pools.
        running: How many tasks its pools run.
        wanted: How many they would run at once if they could; at least ``running``, but for a moment.
    """

    is_testing: bool
    running: int
    wanted: int


def fair_shares(slots: int, wants: Sequence[int]) -> list[int]:
    """Return who gets how many slots.

    Whoever wants any gets one, also if there are fewer; nobody gets more than it wants. What is left over when all have
    the same goes to the first.

    Args:
        slots: How many there are; may be negative.
        wants: How many each one wants.
    """
    shares = [min(want, 1) for want in wants]
    left = slots - sum(shares)
    hungry = [place for place, want in enumerate(wants) if want > 1]
    while left > 0 and hungry:
        each = left // len(hungry)
        for place in hungry if each else hungry[:left]:
            more = min(each or 1, wants[place] - shares[place])
            shares[place] += more
            left -= more
        hungry = [place for place in hungry if shares[place] < wants[place]]
    return shares


def allowance(entries: Sequence[Entry], place: int, slots: int) -> int:
    """Return how many tasks the pools of one process may run, at least 1.

    The same rule shares what a process may run among its own pools.

    Args:
        entries: Of all the run's processes, or pools of a process.
        place: Where its own one is.
        slots: How many CPU slots the run has, or how many tasks the process may run.
    """
    free = slots - sum(entry.is_testing for entry in entries)
    share = fair_shares(free, [entry.wanted for entry in entries])[place]
    # Others may still run more than their share, until they come to a border between tasks.
    running = sum(entry.running for entry in entries) - entries[place].running
    return max(1, min(share, free - running))
