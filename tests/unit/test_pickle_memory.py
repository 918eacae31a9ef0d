"""Pickles are the same wherever their memory comes from, and nobody writes into one that somebody still has."""

from __future__ import annotations

import pickle

import pytest

from pytest_parpool.workload.pickle_memory import PickleMemory

LARGE = bytes(range(256)) * 1024
SMALL = ["small"]

both = pytest.mark.parametrize("is_kept", [False, True])


@both
def test_sizes_in_any_order(is_kept: bool) -> None:
    """Large and small objects come out as they went in, whatever came before."""
    memory = PickleMemory(is_kept=is_kept)
    for value in (SMALL, LARGE, LARGE + b"!", SMALL, SMALL, LARGE, LARGE[1:], SMALL):
        assert pickle.loads(memory.dump(value)) == value


@both
def test_last_pickle_is_kept(is_kept: bool) -> None:
    """A pickle that somebody still has is not changed by the next ones."""
    memory = PickleMemory(is_kept=is_kept)
    values = [LARGE, LARGE[::-1], LARGE[1:], LARGE[2:]]
    pickles = [memory.dump(value) for value in values]
    assert [pickle.loads(data) for data in pickles] == values


def test_memory_is_kept() -> None:
    """The memory of the last large pickle is there for the next, in a process that says so."""
    sizes = {}
    for is_kept in (False, True):
        memory = PickleMemory(is_kept=is_kept)
        memory.dump(LARGE)
        memory.dump(LARGE)
        sizes[is_kept] = len(memory._file.getbuffer())
    assert sizes[False] == 0
    assert sizes[True] >= len(LARGE)


def test_much_memory_is_not_kept() -> None:
    """After a huge pickle the memory is let go, instead of being kept for as long as the process lives."""
    memory = PickleMemory(is_kept=True)
    memory.dump(LARGE)
    memory.dump(bytes(1 << 25))
    assert len(memory._file.getbuffer()) == 0


@both
def test_failure(is_kept: bool) -> None:
    """What cannot be pickled raises, and spoils nothing."""
    memory = PickleMemory(is_kept=is_kept)
    for value in (SMALL, LARGE):
        memory.dump(value)
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            memory.dump([LARGE, lambda: None])
        assert pickle.loads(memory.dump(value)) == value


@both
def test_buffers(is_kept: bool) -> None:
    """Buffers are handed to whoever asks for them, before and after a large pickle."""
    memory = PickleMemory(is_kept=is_kept)
    for _ in range(3):
        buffers: list[pickle.PickleBuffer] = []
        data = memory.dump([pickle.PickleBuffer(b"out of band"), LARGE], buffers.append)
        assert [bytes(buffer) for buffer in buffers] == [b"out of band"]
        assert pickle.loads(data, buffers=[b"elsewhere"]) == [b"elsewhere", LARGE]
