"""A world of processes with tests and pools that share CPU slots. Their accounts and the sheet are the real ones.

What really runs is counted here, apart from what they say of themselves. A process can be interrupted wherever it looks
at the sheet: meanwhile pools of others look, begin and end tasks.
"""

from __future__ import annotations

import contextlib
import os
import random

from pytest_parpool.budget.account import Account, PoolShare
from pytest_parpool.budget.sheet import Sheet, size_bytes
from tests.simulation.promises import promise

MOST_AT_ONCE = 3


class SharedSheet(Sheet):
    """A sheet that others may use before and behind every look at it."""

    world: World

    def read(self) -> list[tuple[bool, int, int]]:
        """Let others do something, read, and let others do something while that is thought about."""
        self.world.interrupt()
        found = super().read()
        self.world.interrupt()
        return found


class Pool:
    """A pool, as its service thread sees it.

    Args:
        share: Its part.
        processes: How many tasks it can run.
    """

    def __init__(self, share: PoolShare, processes: int) -> None:
        self.share = share
        self.processes = processes
        self.waiting = self.running = 0

    @property
    def wanted(self) -> int:
        """How many tasks it would run at once."""
        return min(self.processes, self.running + self.waiting)

    @property
    def is_hungry(self) -> bool:
        """Whether it would run more than it does."""
        return self.wanted > self.running

    def note(self) -> None:
        """Say what is."""
        self.share.note(self.running, self.wanted)

    def submit(self, count: int) -> None:
        """Take tasks."""
        self.waiting += count
        self.note()


class Process:
    """A worker, its test and its pools."""

    def __init__(self, sheet: Sheet, place: int) -> None:
        self._row = sheet.row(place)
        self._row.clear()
        self._row.go_on()
        self.account = Account(sheet, place, {}, pid=os.getpid())
        self.pools: list[Pool] = []
        self.is_busy = True
        self._lending = contextlib.ExitStack()
        self.lendings = 0

    @property
    def is_testing(self) -> bool:
        """Whether it computes for a test, or waits for nothing, and so will at once."""
        return self.is_busy and not (self.lendings and any(pool.wanted for pool in self.pools))

    def lend(self) -> None:
        """Wait for a pool; perhaps in a wait, as a handler of a signal may."""
        self._lending.enter_context(self.account.lending())
        self.lendings += 1

    def go_on(self) -> None:
        """Wait no more, and run the test or the next one."""
        self._lending.close()
        self.lendings = 0
        self.is_busy = True
        self._row.go_on()

    def rest(self) -> None:
        """Find no test to run."""
        self.go_on()
        self.is_busy = False
        self._row.rest()


class World:
    """A run.

    Args:
        seed: Makes everything else.
    """

    def __init__(self, seed: int) -> None:
        self._chance = chance = random.Random(seed)
        workers = chance.randint(1, 5)
        self.slots = chance.choice((workers, 2 * workers + 3, chance.randint(1, 12)))
        self._sheet = SharedSheet.make(bytearray(size_bytes(workers)), self.slots, workers)
        assert isinstance(self._sheet, SharedSheet)
        self._sheet.world = self
        self._processes = [Process(self._sheet, place) for place in range(workers)]
        self._active: list[Pool] = []
        self._firsts = 0
        self._may_submit = True
        self._has_interruptions = chance.random() < 0.7

    @property
    def _pools(self) -> list[Pool]:
        return [pool for process in self._processes for pool in process.pools]

    @property
    def tests(self) -> int:
        """How many tests compute."""
        return sum(process.is_testing for process in self._processes)

    @property
    def used(self) -> int:
        """How many slots are really taken."""
        return self.tests + sum(pool.running for pool in self._pools)

    def run(self, steps: int) -> None:
        """Live."""
        for _ in range(steps):
            self._step()
            if self._chance.random() < 0.05:
                self._settle()
        for pool in self._pools:
            pool.waiting = 0
        self._settle()
        self._has_interruptions = False
        for process in self._processes:
            process.rest()
        for pool in self._pools:
            while pool.running:
                self._finish(pool)
        promise(self._sheet.read() == [(False, 0, 0)] * len(self._processes), "something is noted that is not")

    def interrupt(self) -> None:
        """Let pools do something whose processes are not in the midst of it: there, one waits for the other."""
        while self._has_interruptions and len(self._active) < MOST_AT_ONCE and self._chance.random() < 0.5:
            others = [process for process in self._processes if not any(pool in self._active for pool in process.pools)]
            pools = [pool for process in others for pool in process.pools]
            if not pools:
                return
            pool = self._chance.choice(pools)
            if pool.running and self._chance.random() < 0.5:
                self._finish(pool)
            elif self._may_submit and self._chance.random() < 0.5:
                pool.submit(self._chance.randint(1, 6))
            else:
                self._look(pool)

    def _step(self) -> None:
        chance = self._chance
        process = chance.choice(self._processes)
        pool = chance.choice(process.pools) if process.pools else None
        match chance.randrange(9):
            case 0:
                process.rest()
            case 1:
                process.go_on()
            case 2 if process.is_busy and pool is not None:
                process.lend()
            case 3 if len(process.pools) < 3:
                process.pools.append(Pool(process.account.open_share(), chance.randint(1, self.slots)))
            case 4 if pool is not None and chance.random() < 0.2:
                process.pools.remove(pool)
                pool.share.close()
            case 5 if chance.random() < 0.05:
                process.go_on()  # Nothing of it may act when it is collected.
                place = self._processes.index(process)
                self._sheet.row(place).clear()
                self._processes[place] = Process(self._sheet, place)
            case 6 if pool is not None:
                pool.submit(chance.randint(1, 6))
            case _:
                if pool is not None and pool.running:
                    self._finish(pool)
                if pool is not None:
                    self._look(pool)

    def _finish(self, pool: Pool) -> None:
        pool.running -= 1
        pool.note()

    def _look(self, pool: Pool) -> None:
        """Do what the service thread does when something has happened, or after a while."""
        self._active.append(pool)
        firsts = self._firsts
        allowed = pool.share.claim(pool.wanted)
        promise(allowed >= 1, "a pool may run nothing")
        while pool.waiting and pool.running < min(allowed, pool.processes):
            pool.waiting -= 1
            pool.running += 1
            if pool.running == 1:
                self._firsts += 1
                firsts += 1
                continue
            # Nobody can have known of first tasks that others have begun meanwhile, which they may at any time.
            promise(self.used <= self.slots + self._firsts - firsts, f"{self.used} of {self.slots} slots are taken")
        promise(pool.running > 0 or not pool.waiting, "tasks wait, and none runs")
        pool.note()
        self._active.remove(pool)

    def _settle(self) -> None:
        """Let every task that runs come to its end while nothing else changes, and see that all is as it should be."""
        self._may_submit = False
        for pool in self._pools:
            for _ in range(pool.running):
                if pool.running:  # An interruption may have ended it.
                    self._finish(pool)
                self._look(pool)
        # In any order, and one after another.
        has_interruptions, self._has_interruptions = self._has_interruptions, False
        for pool in self._chance.sample(self._pools, len(self._pools)):
            self._look(pool)
        self._has_interruptions = has_interruptions
        is_modest = all(pool.running <= 1 for pool in self._pools)
        # Pools of a process beside its first are not known to others, but have a task each, too.
        further = sum(max(0, sum(pool.running > 0 for pool in process.pools) - 1) for process in self._processes)
        promise(is_modest or self.used <= self.slots + further, f"{self.used} of {self.slots} slots stay taken")
        if any(pool.is_hungry for pool in self._pools):
            promise(self.used >= self.slots, f"{self.slots - self.used} slots stay free")
        hungry = [process for process in self._processes if all(pool.is_hungry for pool in process.pools)]
        counts = [sum(pool.running for pool in process.pools) for process in hungry if len(process.pools) == 1]
        self._may_submit = True
        promise(bool(further) or not counts or max(counts) - min(counts) <= 1, f"the shares are {counts}")
