"""The broker's process: has ``policy.broker`` decide, and performs what that says. One thread, one loop.

It ends when the run's own process has ended, or says goodbye. ``broker_main`` is how it begins, ``reception`` how it
hears and answers, ``party_watch`` how it learns of deaths.

Most of its start is spent on imports, and somebody waits for it; so this module, and what it imports, stay away from
``socket``, ``selectors``, ``subprocess`` and ``dataclasses``.
"""

from __future__ import annotations

import gc
import time
from typing import Final

from pytest_parpool.model.sync_moves import (
    Answer,
    AnswerWithMemory,
    CloseMemory,
    Free,
    Inspect,
    Inspected,
    Move,
    Passed,
    SyncNotice,
    Try,
)
from pytest_parpool.model.sync_requests import Status
from pytest_parpool.policy.broker.broker import Broker
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.runtime.sync_codec import WITHOUT_ANSWER, encode_reply
from pytest_parpool.sync.broker_memory import BrokerMemory
from pytest_parpool.sync.inspection import inspect
from pytest_parpool.sync.party_watch import PartyWatch
from pytest_parpool.sync.peers import Peer
from pytest_parpool.sync.poller import Poller
from pytest_parpool.sync.reception import Reception

_MOST_SECONDS: Final = 3600.0


class BrokerProcess:
    """Serves until the run is over. Owns the listener, all connections and the memory.

    Args:
        listener: A listening socket.
        owner_pid: The run's own process.
        token: The run's.

    Raises:
        ProcessLookupError: If that process has ended already.
    """

    def __init__(self, listener: RawSocket, owner_pid: int, token: str) -> None:
        self._is_over = False
        self._memory = BrokerMemory()
        self._broker = Broker(slots=self._memory.slot_count, owner_pid=owner_pid)
        self._poller = Poller()
        self._watch = PartyWatch(self._poller, owner_pid, self._end)
        self._reception = Reception(
            listener=listener,
            poller=self._poller,
            watch=self._watch,
            token=token,
            owner_pid=owner_pid,
            slots_fds=self._memory.slots_fds,
            handle=self._handle,
            end=self._end,
        )

    @property
    def address(self) -> str:
        """Where it listens; a path begins with a slash."""
        return self._reception.address

    def serve(self) -> None:
        """Serve until the run is over."""
        postponed = self._reception.postponed
        while not self._is_over:
            patience = self._pass_time()
            if postponed.later:
                patience = 0.0
                postponed.begin_turn()
            self._poller.react(patience)
            if postponed.due:
                for asked in postponed.end_turn():
                    self._handle(asked)
        # Who still has the memory is not to go on with a part of what there was: it asks, and hears that all is over.
        self._memory.mark_slots()

    def live(self) -> None:
        """Serve, as all that this process does. There is no terminal to show an error on: those who wait are told."""
        # There are no cycles to be found, and a collection would have everybody wait.
        gc.freeze()
        gc.disable()
        try:
            self.serve()
        except Exception:
            import traceback

            self._reception.tell_breakdown(traceback.format_exc())
            raise

    def _pass_time(self) -> float | None:
        """Do what is due by now; return how many seconds there are until something else is, or None."""
        now = time.monotonic()
        deadline = self._broker.next_deadline()
        if deadline is not None and now >= deadline:
            self._handle(Passed())
            deadline = self._broker.next_deadline()
        if self._watch.has_to_look:
            next_look = self._watch.look(now)
            deadline = next_look if deadline is None else min(deadline, next_look)
        if deadline is None:
            return None
        # A user may give infinity.
        return max(0.0, min(_MOST_SECONDS, deadline - now))

    def _end(self) -> None:
        self._is_over = True

    def _handle(self, notice: SyncNotice) -> None:
        """Tell the broker, and do what it says."""
        moves = self._broker.handle(notice, time.monotonic())
        for move in moves:
            self._perform(move)

    def _perform(self, move: Move) -> None:
        match move:
            case Answer(connection, number, status, value):
                peer = self._reception.peers.get(connection)
                if peer is not None and number != WITHOUT_ANSWER:
                    self._reception.send(peer, encode_reply(number, status, value))
            case AnswerWithMemory(connection, number, array, size_bytes):
                if peer := self._reception.peers.get(connection):
                    self._send_array(peer, number, array, size_bytes)
            case CloseMemory(array):
                self._memory.close_array(array)
            case Try(slot):
                self._handle(self._memory.try_slot(slot))
            case Free(slot):
                self._memory.free_slot(slot)
            case Inspect(pids):
                self._handle(Inspected(tuple(found for pid in pids if (found := inspect(pid)) is not None)))

    def _send_array(self, peer: Peer, number: int, array: int, size_bytes: int) -> None:
        try:
            fds = self._memory.open_array(self._reception.name, array, size_bytes)
        except (OSError, OverflowError) as error:
            text = f"no memory of {size_bytes} bytes: {error}"
            self._reception.send(peer, encode_reply(number, Status.UNFIT, text))
            return
        self._reception.send(peer, encode_reply(number, Status.DONE, array, has_memory=True), fds)
