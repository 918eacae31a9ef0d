"""Locks, which parties also take by themselves, through slots in shared memory.

A lock is *free* as far as the broker is concerned (a party may have it by itself), *sought* (its slot is marked,
because somebody waits, but a party has it by itself), or *managed* (the broker has taken it, and gives it to one after
the other). Theory of operation: docs/explanation/shared-objects.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from pytest_parpool.model.sync_moves import Free, Holder, Tried, Try
from pytest_parpool.model.sync_requests import AcquireLock, LockLetGo, OpenLock, ReleaseLock, Status
from pytest_parpool.policy.broker import explanations
from pytest_parpool.policy.broker.calls import Call, Hold
from pytest_parpool.policy.broker.desk import Desk
from pytest_parpool.policy.broker.kinds import Handler, ObjectKind, Obstacles
from pytest_parpool.policy.broker.lock_table import NO_SLOT, Lock, LockState, LockTable, title_of
from pytest_parpool.policy.broker.parties import Party

TRY_AGAIN_SECONDS = 1.0  # A process can lose its lock without a word, by closing the file; this finds it.


class Locks(ObjectKind):
    """All locks.

    Args:
        desk: Where calls are answered.
        slots: How many locks can be taken by parties themselves.
        party_of: Returns the living party of a process id, if there is one.
        death_of: Returns how a process died, by its name and id; empty if not known.
    """

    def __init__(
        self,
        desk: Desk,
        slots: int,
        party_of: Callable[[int], Party | None],
        death_of: Callable[[str, int], str],
    ) -> None:
        super().__init__(desk)
        self._table = table = LockTable(slots)
        self._locks: Mapping[str, Lock] = table.by_name
        self._party_of = party_of
        self._death_of = death_of
        # Told of the name of a lock, and of the text, when somebody died with it: conditions want to know.
        self.tell_orphaned: Callable[[str, str], None] = lambda _name, _text: None

    def handlers(self) -> Mapping[type[Any], Handler]:
        """See `ObjectKind.handlers`."""
        return {
            OpenLock: self._open,
            AcquireLock: self._acquire,
            ReleaseLock: self._release,
            LockLetGo: self._see_let_go,
        }

    # --- Requests ----------------------------------------------------------------------------------------------------

    def _open(self, call: Call, request: OpenLock) -> None:
        self._desk.answer(call, self._table.open(request.name).slot)

    def _acquire(self, call: Call, request: AcquireLock) -> None:
        lock = self._table.open(request.name)
        if lock.state is LockState.MANAGED:
            if lock.hold is None:
                self._give(lock, call)
            else:
                self._desk.wait(call, lock.waiting, request.timeout)
            return
        lock.state = LockState.SOUGHT
        self._try(lock)
        # Also with a timeout of 0: what comes of it is known after the `Try`, and that is before any time passes.
        self._desk.enqueue(call, lock.waiting, request.timeout)

    def _release(self, call: Call, request: ReleaseLock) -> None:
        lock = self._locks.get(request.name)
        if lock is None or lock.state is not LockState.MANAGED or lock.hold is None:
            self._desk.refuse(
                call, Status.NOT_HELD, f"{title_of(request.name)} is not held by anybody, nothing to release"
            )
            return
        self._desk.answer(call)
        self._pass_on(lock)

    def _see_let_go(self, call: Call, request: LockLetGo) -> None:
        lock = self._locks.get(request.name)
        if lock is not None and lock.state is LockState.SOUGHT:
            self._try(lock)

    # --- What came of it ---------------------------------------------------------------------------------------------

    def handle_tried(self, tried: Tried) -> None:
        """Go on with what came of a ``Try``."""
        by_slot = self._table.by_slot
        if not 0 <= tried.slot < len(by_slot):
            return
        lock = by_slot[tried.slot]
        lock.is_asked = False
        if lock.state is LockState.MANAGED:
            self._free_if_unused(lock)
            return
        if tried.is_taken:
            self._take(lock, tried.holder)
            return
        lock.hold = self._known(tried.holder) if tried.holder is not None else None
        lock.told_turn = self._desk.turn
        for call in lock.waiting:
            if call.timeout is not None and call.timeout <= 0:
                self.time_out(call)
        for call in lock.waiting:
            self._desk.look_for_deadlock(call)
            if call.timeout is None and call.is_waiting:
                break  # All others have the same holder in their way.
        self._free_if_unused(lock)

    def probe(self, name: str) -> None:
        """Find out whether somebody died with a lock, though nobody may be waiting for it."""
        lock = self._locks.get(name)
        if lock is not None and lock.state is not LockState.MANAGED:
            lock.state = LockState.SOUGHT
            self._try(lock)

    def _try(self, lock: Lock) -> None:
        """Ask for a try, if that was not done already, and see to it that there is another one."""
        if not lock.is_asked:
            lock.is_asked = True
            self._desk.moves.append(Try(lock.slot))
        if lock.next_try is None:
            at = self._desk.now + TRY_AGAIN_SECONDS
            lock.next_try = self._desk.deadlines.add(at, functools.partial(self._try_again, lock))

    def _try_again(self, lock: Lock) -> None:
        lock.next_try = None
        lock.is_asked = False
        self._try(lock)

    def _take(self, lock: Lock, dead: Holder | None) -> None:
        """Give away what the broker has now."""
        self._end_trying(lock)
        lock.state = LockState.MANAGED
        lock.hold = None
        if dead is not None:
            self._inherit(lock, self._known(dead), self._death_of(dead.party_name, dead.pid))
        self._pass_on(lock)

    # --- Giving and taking -------------------------------------------------------------------------------------------

    def _pass_on(self, lock: Lock) -> None:
        """Take a managed lock from whoever has it, and give it to the next."""
        lock.hold = None
        first = lock.waiting.first
        if first is not None:
            self._give(lock, first)
        else:
            self._desk.change()
            self._free_if_unused(lock)

    def _give(self, lock: Lock, call: Call) -> None:
        inherited, lock.inherited = lock.inherited, ""
        hold = lock.hold = Hold.of(call, self._desk.now)
        self._desk.change()

        def undo() -> None:
            if lock.hold is hold:
                # Who gets it now has to hear of the death; whoever was told did not look at it.
                lock.inherited = inherited
                self._pass_on(lock)

        self._desk.grant(call, inherited, undo)

    def _free_if_unused(self, lock: Lock) -> None:
        """Leave a lock to the parties if nobody waits, unless somebody has it, or is to be told whom it comes from."""
        if lock.slot == NO_SLOT or lock.state is LockState.FREE or lock.waiting:
            return
        # What comes of a try may be that somebody died, and a lock that is kept because of that must not be freed by a
        # move that was decided on before.
        if lock.is_asked:
            return
        if lock.state is LockState.MANAGED and (lock.hold is not None or lock.inherited):
            return
        self._end_trying(lock)
        lock.state = LockState.FREE
        lock.hold = None
        self._desk.moves.append(Free(lock.slot))

    def _end_trying(self, lock: Lock) -> None:
        if lock.next_try is not None:
            self._desk.deadlines.cancel(lock.next_try)
            lock.next_try = None

    # --- Deaths ------------------------------------------------------------------------------------------------------

    def bury(self, party: Party, how: str) -> None:
        """See `ObjectKind.bury`. What the party took by itself the kernel has freed: those sought are tried again."""
        for lock in self._locks.values():
            if lock.state is LockState.SOUGHT:
                self._try(lock)
            elif lock.hold is not None and lock.hold.party is party:
                self._inherit(lock, lock.hold, how)
                self._pass_on(lock)

    def _inherit(self, lock: Lock, dead: Hold, how: str) -> None:
        lock.inherited = explanations.inheritance(dead, how, lock.title)
        self.tell_orphaned(lock.name, lock.inherited)

    # --- Waiting -----------------------------------------------------------------------------------------------------

    def forget(self, call: Call) -> None:
        """See `ObjectKind.forget`."""
        self._free_if_unused(self._locks[call.name])

    def title(self, call: Call) -> str:
        """See `ObjectKind.title`."""
        return title_of(call.name)

    def explain(self, call: Call) -> str:
        """See `ObjectKind.explain`."""
        lock = self._locks[call.name]
        if lock.hold is None:
            held = "is held by a process that has just taken it, or has not said who it is"
        else:
            held = f"is held by {explanations.holder(lock.hold, self._desk.now)}"
        return f"{lock.title} {held}{explanations.ahead(lock.waiting.before(call))}"

    def obstacles(self, call: Call) -> Obstacles:
        """See `ObjectKind.obstacles`."""
        hold = self._locks[call.name].hold
        return Obstacles(() if hold is None else (hold,))

    def is_current(self, call: Call) -> bool:
        """See `ObjectKind.is_current`."""
        lock = self._locks[call.name]
        if lock.state is LockState.MANAGED or (lock.told_turn == self._desk.turn and not lock.is_asked):
            return True
        self._try(lock)
        return False

    # --- Names -------------------------------------------------------------------------------------------------------

    def forget_name(self, name: str) -> None:
        """See `ObjectKind.forget_name`."""
        self._table.forget_name(name)

    def _known(self, holder: Holder) -> Hold:
        return Hold(holder.party_name, self._party_of(holder.pid), holder.origin, holder.since)
