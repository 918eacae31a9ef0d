"""The account of a process: what its pools take of the run's CPU slots, and whether its test lends its own one."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping

from pytest_parpool.budget.sheet import Sheet
from pytest_parpool.policy.budget import Entry, allowance


class Account:
    """A process that runs tests, and its row of the sheet, which nobody else writes.

    Any thread may call. Nothing here waits, but for another thread that is in the midst of it.

    Args:
        sheet: The run's.
        place: Of its row.
        environment: Variables of processes that run tasks.
        pid: The process.
    """

    def __init__(self, sheet: Sheet, place: int, environment: Mapping[str, str], *, pid: int) -> None:
        self.slots = sheet.slots
        self.environment = environment
        self._sheet = sheet
        self._place = place
        self._row = sheet.row(place)
        self._pid = pid
        # It can be taken twice by one thread: the garbage collector may end a forgotten pool at any line.
        self._lock = threading.RLock()
        self._shares: tuple[PoolShare, ...] = ()

    @property
    def is_own_process(self) -> bool:
        """Whether this is the process that the row is about, not a forked copy of it."""
        return os.getpid() == self._pid

    @property
    def fixed_slots(self) -> int:
        """How many slots there are for a process that cannot take part: as many as each worker would have."""
        return max(1, self.slots // self._sheet.rows)

    def open_share(self) -> PoolShare:
        """Return the part of a new pool; to be closed when the pool has ended."""
        share = PoolShare(self)
        with self._lock:
            self._shares = (*self._shares, share)
        return share

    @contextlib.contextmanager
    def lending(self) -> Iterator[None]:
        """Lend the slot of the test to its own pools meanwhile, because it waits for them.

        What another thread waits for is not what the test waits for: that may compute.
        """
        if threading.current_thread() is not threading.main_thread() or not self.is_own_process:
            yield
            return
        self._row.lend()
        try:
            yield
        finally:
            self._row.take_back()

    # --- For its shares ----------------------------------------------------------------------------------------------

    def claim(self, share: PoolShare, wanted: int) -> int:
        """See ``PoolShare.claim``."""
        with self._lock:
            before = share.running
            allowed = self._allowed(share, before, wanted)
            # Who claims at the same time has either written before we look again, or sees what we have written: there
            # are thousands of instructions between the two, and a write is in the memory that all see long before.
            allowed = min(allowed, self._allowed(share, max(before, min(allowed, wanted)), wanted))
            self.note(share, max(before, min(allowed, wanted)), wanted)
            return allowed

    def note(self, share: PoolShare, running: int, wanted: int) -> None:
        """See ``PoolShare.note``."""
        with self._lock:
            share.running, share.wanted = running, wanted
            shares = self._shares
            self._row.note(sum([each.running for each in shares]), sum([each.wanted for each in shares]))

    def close(self, share: PoolShare) -> None:
        """See ``PoolShare.close``."""
        with self._lock:
            self._shares = tuple(other for other in self._shares if other is not share)
            if share.running or share.wanted:
                self.note(share, 0, 0)

    def _allowed(self, share: PoolShare, running: int, wanted: int) -> int:
        """Note what a pool runs and wants, then look at what all do, and return how many tasks it may run."""
        self.note(share, running, wanted)
        entries = [Entry(*numbers) for numbers in self._sheet.read()]
        pools = [Entry(False, other.running, other.wanted) for other in self._shares]
        return allowance(pools, self._shares.index(share), allowance(entries, self._place, self.slots))


class PoolShare:
    """The part of one pool. See ``workload.shares.Share``.

    Args:
        account: Of its process.

    Attributes:
        environment: Variables of the pool's processes.
        running: How many tasks it runs, as far as others have to know.
        wanted: How many it would run at once if it could.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self.environment = account.environment
        self.running = self.wanted = 0

    def claim(self, wanted: int) -> int:
        """Return how many tasks the pool may run; until ``note`` it counts as if it ran that many of those wanted."""
        return self._account.claim(self, wanted)

    def note(self, running: int, wanted: int) -> None:
        """Note how many tasks it runs, and how many it would."""
        self._account.note(self, running, wanted)

    def lending(self) -> contextlib.AbstractContextManager[None]:
        """Lend the test's slot while it waits for the pool."""
        return self._account.lending()

    def close(self) -> None:
        """Give up what it has."""
        self._account.close(self)
