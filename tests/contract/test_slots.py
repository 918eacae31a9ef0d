"""``runtime.slots``: one process at a time has a slot, its death frees it, and its note tells who it was."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from pytest_parpool.model.sync_moves import Holder
from pytest_parpool.model.sync_requests import Origin
from pytest_parpool.runtime.memory import make_memory
from pytest_parpool.runtime.slots import SLOT_BYTES, SLOTS, BrokerSlots, PartySlots, keep_fd

TEST = "tests/test_a.py::test_x (call)"
WHERE = "tests/test_a.py:12"


@pytest.fixture(scope="module")
def broker() -> BrokerSlots:
    """The broker's side; never closed, as in the broker."""
    return BrokerSlots()


@pytest.fixture(scope="module")
def party(broker: BrokerSlots) -> PartySlots:
    """A party's side, as it is after its descriptor has arrived."""
    return PartySlots(keep_fd(os.dup(broker.fd)))


@pytest.fixture
def slot(party: PartySlots) -> Iterator[int]:
    """A slot, free again afterwards."""
    yield 7
    party.wipe(7)
    party.let_go(7)


def in_child(function: Callable[[], int]) -> int:
    """Return what a function returns in a forked child, a small number."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            code = function()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Taker:
    """A child that takes a slot, writes a note, and keeps both until it is told to end."""

    def __init__(self, party: PartySlots, slot: int) -> None:
        ready_read, ready_write = os.pipe()
        self._end_read, self._end_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._end_write)
            if party.try_take(slot):
                party.write_note(slot, "gw1", os.getpid(), 5, TEST, WHERE, 1.5)
                os.write(ready_write, b"x")
            os.read(self._end_read, 1)
            os._exit(0)
        os.close(ready_write)
        self.is_holder = os.read(ready_read, 1) == b"x"
        os.close(ready_read)
        os.close(self._end_read)

    def end(self, *, is_killed: bool) -> None:
        """Have it end, and wait for that."""
        if is_killed:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._end_write)
        os.waitpid(self.pid, 0)


def test_one_process_at_a_time(party: PartySlots, slot: int) -> None:
    """What one process has taken, another one does not get, until it was let go; other slots are free."""
    assert party.try_take(slot)
    assert in_child(lambda: party.try_take(slot)) == 0
    assert in_child(lambda: party.try_take(slot + 1)) == 1
    party.let_go(slot)
    assert in_child(lambda: party.try_take(slot)) == 1


def test_the_own_process_may_take_again(party: PartySlots, slot: int) -> None:
    """The kernel does not tell the threads of a process apart: whoever uses this has to."""
    assert party.try_take(slot)
    assert party.try_take(slot)


@pytest.mark.parametrize("is_killed", [False, True])
def test_death_frees_the_slot_and_leaves_the_note(
    party: PartySlots, broker: BrokerSlots, slot: int, is_killed: bool
) -> None:
    """However its holder ends, the slot is free then, and the note says who it was."""
    taker = Taker(party, slot)
    assert taker.is_holder
    assert not party.try_take(slot)
    taker.end(is_killed=is_killed)
    assert party.try_take(slot)
    assert party.has_note(slot)
    assert broker.read_note(slot) == Holder("gw1", taker.pid, Origin(5, TEST, WHERE), 1.5)
    party.wipe(slot)
    assert not party.has_note(slot)
    assert broker.read_note(slot) is None


def test_a_fork_does_not_inherit_and_its_end_frees_nothing(party: PartySlots, slot: int) -> None:
    """A child that closes its copy of the descriptor, or ends, has nothing of its parent's to lose."""
    assert party.try_take(slot)

    def close_and_end() -> int:
        os.close(party.fd)
        return 0

    assert in_child(close_and_end) == 0
    assert in_child(lambda: party.try_take(slot)) == 0


def test_marks_are_seen_by_all(party: PartySlots, broker: BrokerSlots, slot: int) -> None:
    """A party sees the broker's mark, also in a child, and only on that slot."""
    assert not party.is_marked(slot)
    broker.mark(slot)
    assert party.is_marked(slot)
    assert in_child(lambda: party.is_marked(slot)) == 1
    assert not party.is_marked(slot + 1)
    broker.unmark(slot)
    assert not party.is_marked(slot)


def test_first_and_last_slot_do_not_touch_their_neighbours(party: PartySlots, broker: BrokerSlots) -> None:
    """The last slot ends where the memory does."""
    for slot in (0, SLOTS - 1):
        party.write_note(slot, "x" * 100, 1, 1, "t" * 1000, "w" * 1000, 0.0)
        broker.mark(slot)
    assert not any(party.has_note(slot) or party.is_marked(slot) for slot in (1, SLOTS - 2))
    for slot in (0, SLOTS - 1):
        party.wipe(slot)
        broker.unmark(slot)


@pytest.mark.parametrize("letter", ["a", "\U0001f600", "\udce4"])
def test_long_texts_are_cut_to_fit(party: PartySlots, slot: int, letter: str) -> None:
    """Whatever the texts are, the note fits; their ends are kept, which tell most."""
    party.write_note(slot, letter * 300 + "gw1", 1, 2, letter * 5000 + "::test_x (call)", letter * 3000 + "a.py:3", 4.0)
    holder = party.read_note(slot)
    assert holder is not None
    assert holder.party_name.endswith("gw1")
    assert holder.origin.test.endswith("::test_x (call)")
    assert holder.origin.where.endswith("a.py:3")
    assert (holder.pid, holder.origin.lane, holder.since) == (1, 2, 4.0)


def test_a_note_is_not_cut_without_need(party: PartySlots, slot: int) -> None:
    """Usual names are kept whole."""
    test = "tests/test_a.py::" + "x" * 200
    party.write_note(slot, "gw1", 1, 2, test, WHERE, 0.0)
    holder = party.read_note(slot)
    assert holder is not None
    assert holder.origin.test == test


def test_half_a_note_is_none(party: PartySlots, slot: int) -> None:
    """What a dying writer left behind is not believed."""
    party.write_note(slot, "gw1", 1, 2, TEST, WHERE, 0.0)
    start = slot * SLOT_BYTES
    party._memory[start + 2 : start + 4] = (20).to_bytes(2, sys.byteorder)
    assert party.has_note(slot)
    assert party.read_note(slot) is None


def test_a_descriptor_that_a_test_has_closed_is_missed() -> None:
    """A party notices that its descriptor is closed, or another file, and goes on with a new one."""
    memory = make_memory("parpool-test", SLOTS * SLOT_BYTES)
    spare = os.dup(memory)
    party = PartySlots(memory)
    party.wipe(0)
    assert party.is_connected()
    os.close(memory)
    assert not party.is_connected()
    other, write_end = os.pipe()
    os.dup2(other, memory)
    assert not party.is_connected()
    party.replace_fd(spare)
    assert party.is_connected()
    assert party.try_take(0)
    for fd in {other, write_end, memory}:
        os.close(fd)


def test_kept_descriptors_are_out_of_the_way() -> None:
    """A kept descriptor has a high number, is the same file, and is not inherited by programs."""
    read_end, write_end = os.pipe()
    inode = os.fstat(read_end).st_ino
    os.set_inheritable(read_end, True)
    kept = keep_fd(read_end)
    assert kept >= 200
    assert os.fstat(kept).st_ino == inode
    assert not os.get_inheritable(kept)
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(read_end)
    os.close(kept)
    os.close(write_end)
