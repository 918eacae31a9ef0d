"""Which locks there are, and which slots of the shared memory they have."""

from __future__ import annotations

import enum
from typing import Final

from pytest_parpool.policy.broker.calls import Hold
from pytest_parpool.policy.broker.deadlines import Deadline
from pytest_parpool.policy.broker.waiting import WaitingList

NO_SLOT: Final = -1
CONDITION_PREFIX: Final = "condition:"  # In front of a condition's name: its lock.


class LockState(enum.Enum):
    """What the broker has to do with a lock."""

    FREE = "not marked: parties take it by themselves"
    SOUGHT = "marked, and a party has it by itself, or that is just being found out"
    MANAGED = "taken by the broker, which gives it away"


class Lock:
    """One lock.

    Attributes:
        slot: Its slot; ``NO_SLOT`` if it has none, and so is always given by the broker.
        waiting: Who wants it.
        hold: Who has it; while it is managed, through the broker.
        inherited: Who died with it, for whoever is given it next.
        is_asked: Whether there is a ``Try`` without a ``Tried``.
        told_turn: The turn in which ``hold`` was found out, while it is sought.
        next_try: When to try again, while it is sought.
    """

    __slots__ = ("hold", "inherited", "is_asked", "name", "next_try", "slot", "state", "told_turn", "waiting")

    def __init__(self, name: str, slot: int) -> None:
        self.name = name
        self.slot = slot
        self.state = LockState.MANAGED if slot == NO_SLOT else LockState.FREE
        self.waiting = WaitingList()
        self.hold: Hold | None = None
        self.inherited = ""
        self.is_asked = False
        self.told_turn = -1
        self.next_try: Deadline | None = None

    @property
    def title(self) -> str:
        """It, in messages, as ``lock 'db'``."""
        return title_of(self.name)


class LockTable:
    """All locks, by name and by slot.

    Args:
        slots: How many slots there are.

    Attributes:
        by_name: All of them.
        by_slot: Those that have a slot. A slot that was given back leads to the lock that had it last, until another
            lock gets it.
    """

    def __init__(self, slots: int) -> None:
        self.by_name: dict[str, Lock] = {}
        self._slots = slots
        self.by_slot: list[Lock] = []
        self._given_back: list[int] = []

    def open(self, name: str) -> Lock:
        """Return a lock, new if need be, in a slot as long as there is one left."""
        lock = self.by_name.get(name)
        if lock is None:
            slot = self._new_slot()
            lock = self.by_name[name] = Lock(name, slot)
            if slot == len(self.by_slot):
                self.by_slot.append(lock)
            elif slot != NO_SLOT:
                self.by_slot[slot] = lock
        return lock

    def forget_name(self, name: str) -> None:
        """Forget a lock, unless somebody waits for it, or has it.

        Its slot can be given to another lock: who knew it has forgotten it before.
        """
        lock = self.by_name.get(name)
        if lock is None:
            return
        if lock.state is LockState.FREE:
            self._given_back.append(lock.slot)
        elif lock.slot != NO_SLOT or lock.hold is not None or lock.waiting:
            return
        del self.by_name[name]

    def _new_slot(self) -> int:
        if self._given_back:
            return self._given_back.pop()
        return len(self.by_slot) if len(self.by_slot) < self._slots else NO_SLOT


def title_of(name: str) -> str:
    """Say what a lock is in messages, as ``lock 'db'``, also one that nobody has opened."""
    if name.startswith(CONDITION_PREFIX):
        return f"lock of condition {name[len(CONDITION_PREFIX) :]!r}"
    return f"lock {name!r}"
