"""Takes and releases locks: alone, through the shared memory, or through the broker.

Theory of operation: see ``docs/explanation/shared-objects.md``. What is particular to this end:

* The kernel gives a process a lock that it has already. So ``taken`` says what was taken: a thread enters itself with
  ``dict.setdefault``, which is atomic, before it tries, and leaves only after the byte was unlocked.
* A signal handler may raise between any two steps of taking. Then the byte is given back, if it is this process's.
* Taking looks at the mark before it tries, releasing after it has unlocked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pytest_parpool.model.sync_moves import Holder
from pytest_parpool.model.sync_requests import AcquireLock, LockLetGo, OpenLock, ReleaseLock
from pytest_parpool.runtime.slots import PartySlots
from pytest_parpool.sync.acquiring import warn_of_dead
from pytest_parpool.sync.caller import find_line
from pytest_parpool.sync.connection import telling
from pytest_parpool.sync.connections import Connections
from pytest_parpool.sync.errors import BrokerLostError
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.lanes import running_task
from pytest_parpool.sync.system import System

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

# Of so many locks it is kept what is said when they are let go: always the same, and somebody waits for it.
_MOST_KEPT: Final = 256


class Locks:
    """All locks that this process holds.

    Args:
        connections: The way to the broker.

    Attributes:
        taken: What was taken alone, by slot; and what a thread tries to take just now, though the broker may have it.
        managed: What the broker gave, by the lock's name.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._slot_of: dict[str, int] = {}
        self._name_of: dict[int, str] = {}
        self.taken: dict[int, Hold] = {}
        self.managed: dict[str, Hold] = {}

    def forget_holds(self) -> None:
        """Begin anew in a forked child. The slots' numbers stay as they are."""
        self.taken.clear()
        self.managed.clear()

    def acquire(self, name: str, shown: str, timeout: float | None, *, asks: bool = True) -> bool:
        """Take a lock. If this is left by any exception, a signal handler's for example, it was not taken.

        Args:
            name: The lock's name, among all kinds of locks.
            shown: What it is, for messages.
            timeout: Seconds; None to wait as long as it takes, 0 for not at all.
            asks: Whether to ask the broker for it if it cannot be taken alone.

        Returns:
            True, so that the caller can return that with no line between; False if it would have to ask and must not.

        Raises:
            LockTimeoutError: If it was not free in time.
            DeadlockError: If it never would be.
        """
        connections, taken = self._connections, self.taken
        if System.getpid() != connections.pid:
            connections.begin_anew()
        slot = self._slot_of.get(name)
        if slot is None:
            slot = self._open(name)
        lane, where, test = connections.lane(), find_line(), connections.test
        slots = connections.slots  # They came with the connection on which the slot's number came.
        if slot >= 0 and slots is not None and not slots.is_marked(slot):
            if not slots.is_connected():
                slots = connections.need_slots()
            hold = Hold(taken, slot, shown, lane, test, where)
            try:
                if taken.setdefault(slot, hold) is hold:
                    if slots.try_take(slot):
                        text = _who_died(slots.read_note(slot), shown) if slots.has_note(slot) else ""
                        slots.write_note(slot, connections.name, connections.pid, lane, test, where, System.monotonic())
                        # In one line: a bare `return True` would stand outside of the `try` in the bytecode.
                        return not text or warn_of_dead(text)
                    del taken[slot]
            except BaseException:
                self._give_back(slots, slot, name, hold)
                raise
        if not asks:
            return False
        hold = Hold(self.managed, name, shown, lane, test, where)
        # Not in a function of its own: before 3.11 a handler may raise between its return and ours.
        try:
            text = connections.ask(AcquireLock(name, timeout), hold)
            return not text or warn_of_dead(text)
        except BaseException:
            self._undo_grant(hold)
            raise

    async def acquire_async(self, name: str, shown: str, timeout: float | None) -> bool:
        """Take a lock, and let the loop's other tasks go on while it waits; otherwise as ``acquire``."""
        connections = self._connections
        if name not in self._slot_of:
            self._enter_slot(name, await connections.ask_async(OpenLock(name)))
        if self.acquire(name, shown, timeout, asks=False):
            return True
        lane, where = connections.lane(), find_line()
        hold = Hold(self.managed, name, shown, lane, connections.test, where)
        try:
            text = await connections.ask_async(AcquireLock(name, timeout), hold)
            return not text or warn_of_dead(text)
        except BaseException:
            self._undo_grant(hold)
            raise

    async def release_async(self, name: str) -> None:
        """Let a lock go; if the task is cancelled meanwhile, it is done nevertheless.

        Raises:
            NotHeldError: If nobody holds it.
        """
        if self.managed.pop(name, None) is not None:
            await self._connections.ask_async(ReleaseLock(name))
        else:
            self.release(name)

    def release(self, name: str) -> None:
        """Let a lock go. Any thread may do it, and also another process if the broker has given the lock.

        If this is left by a signal handler's exception, it is done nevertheless.

        Raises:
            NotHeldError: If nobody holds it.
        """
        connections = self._connections
        slot = self._slot_of.get(name, -1)
        # If the broker gave it, what ``taken`` has is a thread's that tries just now, in vain.
        hold = None if name in self.managed else self.taken.get(slot)
        if hold is not None:
            slots = connections.slots
            assert slots is not None
            try:
                slots.wipe(slot)
                slots.let_go(slot)
                self.taken.pop(slot, None)
                self._tell_if_marked(slots, slot, name)
            except BaseException as error:
                self._give_back(slots, slot, name, hold)
                # If a test has closed the descriptor, the kernel has let it go at that.
                if not isinstance(error, OSError) or slots.is_connected():
                    raise
        elif name in self.managed:
            self._hand_back(name)
            if running_task() is not None:
                # What a task says next may go another way, and must not overtake this: see ``ask_async``.
                connections.ask(OpenLock(name))
        else:
            connections.ask(ReleaseLock(name))

    def release_hold(self, hold: Hold) -> None:
        """Let go what ``taken`` or ``managed`` has.

        Raises:
            NotHeldError: If nobody holds it any more.
        """
        self.release(self._name_of[hold.key] if hold.table is self.taken else hold.key)

    def forget_name(self, name: str) -> None:
        """Forget a lock that nobody will ask for again, in any process; if this one holds it, it is let go."""
        if self.find(name) is not None:
            self.release(name)
        self._name_of.pop(self._slot_of.pop(name, -1), None)

    def find(self, name: str) -> Hold | None:
        """Return this process's hold of a lock, if it has one."""
        return self.managed.get(name) or self.taken.get(self._slot_of.get(name, -1))

    def _open(self, name: str) -> int:
        """Return the lock's slot, the same in all processes, or -1 if it has none."""
        return self._enter_slot(name, self._connections.ask(OpenLock(name)))

    def _enter_slot(self, name: str, slot: int) -> int:
        if slot >= 0:
            self._name_of[slot] = name
        self._slot_of[name] = slot
        return slot

    def _hand_back(self, name: str) -> None:
        """Give the broker back what it gave, once, also if this is interrupted."""
        sent: list[int] = []
        try:
            # Before it is sent: then another thread of this process may get it.
            del self.managed[name]
            self._connections.send(_released(name), sent)
        except BaseException:
            if not sent:
                self.managed.pop(name, None)
                self._connections.send(_released(name))
            raise

    def _undo_grant(self, hold: Hold) -> None:
        """Release what the broker gave for an acquire that is interrupted, unless asking has undone it."""
        if self.managed.get(hold.key) is hold:
            self.release(hold.key)

    def _give_back(self, slots: PartySlots, slot: int, name: str, hold: Hold) -> None:
        """Undo a taking that was interrupted, or finish a releasing, however far it came."""
        if self.taken.get(slot) is hold:
            # It is this process's still, or nobody's, or already somebody else's.
            if slots.is_connected() and slots.try_take(slot):
                note = slots.read_note(slot)
                if note is not None and note.pid == self._connections.pid:
                    slots.wipe(slot)
                slots.let_go(slot)
            self.taken.pop(slot, None)
        self._tell_if_marked(slots, slot, name)

    def _tell_if_marked(self, slots: PartySlots, slot: int, name: str) -> None:
        """Tell the broker that a lock was let go, if somebody waits."""
        if slots.is_marked(slot):
            try:
                self._connections.send(_let_go(name))
            except BrokerLostError:  # Then nobody waits any more.
                pass


@lru_cache(_MOST_KEPT)
def _released(name: str) -> bytes:
    return telling(ReleaseLock(name))


@lru_cache(_MOST_KEPT)
def _let_go(name: str) -> bytes:
    return telling(LockLetGo(name))


def _who_died(dead: Holder | None, shown: str) -> str:
    """Say who died with a lock, in the words of the broker, which knows also how; empty if that cannot be read."""
    if dead is None:
        return ""
    origin = dead.origin
    test = f" in {origin.test}" if origin.test else ""
    return (
        f"{dead.party_name} died while it held {shown}, taken{test} at {origin.where}; "
        "what the lock protects may be half done"
    )
