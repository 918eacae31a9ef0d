"""Arrays: what real processes see of them."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
from typing import Any

import numpy as np
import pytest

from pytest_parpool.sync.array import Array
from pytest_parpool.sync.errors import MismatchError, UnfitError
from pytest_parpool.sync.objects import SharedObjects
from tests.sharing import DEADLINE_SECONDS, Child


@pytest.mark.parametrize("code", "bBhHiIlLqQfd?")
def test_typecodes(objects: SharedObjects, code: str) -> None:
    """Whatever the type, it is zero at first, and what a child writes is seen here."""
    array = objects.array("a", code, 3)
    assert list(array) == [0, 0, 0]
    assert (len(array), array.shape) == (3, (3,))

    def write() -> None:
        array[1] = 1
        array[-1] = True

    Child(write).result()
    assert list(array) == [0, 1, 1]
    assert array.view.tolist() == [0, 1, 1]
    assert list(array[1:]) == [1, 1]
    with pytest.raises(IndexError):
        array[3]
    if code != "?":  # A text is true.
        with pytest.raises((ValueError, TypeError)):
            array[0] = "x"


def test_more_than_one_dimension(objects: SharedObjects) -> None:
    """Items have several indices; one index is a row, which is the same memory."""
    array = objects.array("a", "i", (2, 3, 4))
    assert array.shape == array.view.shape == (2, 3, 4)
    array[1, 2, 3] = 7
    row = array[-1]
    assert row.shape == (3, 4)
    assert row[2, 3] == 7
    row[0, 0] = 5
    assert array[1, 0, 0] == 5
    assert [part.tolist() for part in array] == array.view.tolist()
    for index in (2, -3):
        with pytest.raises(IndexError, match="array 'a' of length 2"):
            array[index]


def test_who_opens_it_in_another_way_is_told(objects: SharedObjects) -> None:
    """Type and shape are the same for all, and both are named; two names of one type are one type."""
    array = objects.array("a", "i", 6)
    array[0] = 1
    for dtype, shape in (("d", 6), ("i", 5), ("i", (2, 3)), ("I", 6)):
        with pytest.raises(MismatchError, match=r"array 'a' .*'i', \(6,\), 24.*with") as caught:
            objects.array("a", dtype, shape)
        assert repr(dtype) in str(caught.value)
    with pytest.raises(ValueError, match="array 'a'"):
        Child(lambda: objects.array("a", "d", 6)).result()
    assert objects.array("a", "i", (6,))[0] == 1
    objects.array("b", "l", 2)[0] = 3
    assert objects.array("b", "q" if objects.array("b", "l", 2).view.itemsize == 8 else "i", 2)[0] == 3


def add(array: Array, amount: float) -> None:
    """Run in a spawned child, which knows only what it was sent."""
    with array.get_lock():
        array[1, 1] += amount


def test_spawned_children_open_it_anew(objects: SharedObjects) -> None:
    """A proxy that was pickled is the same memory in a process that has inherited nothing."""
    array = objects.array("a", "d", (2, 2))
    child = multiprocessing.get_context("spawn").Process(target=add, args=(array, 2.5))
    child.start()
    child.join(DEADLINE_SECONDS)
    assert child.exitcode == 0
    assert array[1, 1] == 2.5
    again = pickle.loads(pickle.dumps(array))
    assert again == array
    assert again[1, 1] == 2.5


def test_no_increment_is_lost(objects: SharedObjects) -> None:
    """Under its lock, which is no other object's, what several processes do is done one after the other."""
    array = objects.array("a", "q", 1)

    def count() -> None:
        for _ in range(200):
            with array.get_lock():
                array[0] += 1

    with objects.lock("a"), objects.dict("a").get_lock():
        for child in [Child(count) for _ in range(4)]:
            child.result()
    assert array[0] == 800


def test_it_outlives_who_made_it_and_leaves_no_file(objects: SharedObjects) -> None:
    """Who is killed takes nothing along, and leaves no name in the file system."""
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    ready = objects.event("ready")

    def make() -> None:
        objects.array("a", "i", 10_000)[9_999] = 5
        ready.set()
        signal.pause()

    child = Child(make)
    assert ready.wait(DEADLINE_SECONDS)
    child.kill()
    assert objects.array("a", "i", 10_000)[9_999] == 5
    if os.path.isdir("/dev/shm"):
        assert not [name for name in set(os.listdir("/dev/shm")) - before if "parpool" in name]


def test_its_descriptor_is_closed(objects: SharedObjects) -> None:
    """A process has the memory, not the file; opening it again maps nothing."""
    objects.array("a", "i", 4)
    gc.collect()  # Other tests have left some behind.
    before = len(os.listdir("/proc/self/fd"))
    for name in "ab":
        for _ in range(5):
            objects.array(name, "i", 4)
    # Before 3.13 the mapping has a descriptor of its own.
    assert len(os.listdir("/proc/self/fd")) == before + (0 if sys.version_info >= (3, 13) else 1)


@pytest.mark.parametrize("length", [2**62, 2**70])
def test_more_than_there_is(objects: SharedObjects, length: int) -> None:
    """What cannot be had is refused, and the broker goes on."""
    for _ in range(2):
        with pytest.raises((UnfitError, OSError), match=r"no memory|Cannot allocate"):
            objects.array("huge", "d", length)
    assert objects.array("small", "d", 1)[0] == 0


# --- Numpy ------------------------------------------------------------------------------------------------------------


def test_numpy_sees_the_same_memory(objects: SharedObjects) -> None:
    """An array that was made with a typecode is one of numpy's, too."""
    array = objects.array("a", "d", (2, 3))
    whole = array.numpy()
    whole[1] += 2
    assert array[1, 2] == 2
    array[0, 0] = 1
    assert np.asarray(array).sum() == 7
    assert np.array(array, dtype="i4").dtype == np.int32
    copied = np.array(array)
    copied[:] = 0
    assert whole.sum() == 7
    assert Child(lambda: float(array.numpy().sum())).result() == 7
    assert objects.array("a", np.float64, (2, 3)) == array


@pytest.mark.parametrize(
    "dtype",
    ["float64", "<i4", ">i4", "complex128", "S5", "datetime64[ns]", [("x", "i4"), ("y", "f8")], "(2,)f4", float],
)
def test_types_of_numpy(objects: SharedObjects, dtype: Any) -> None:
    """Whatever numpy knows the size of can be shared, and is indexed as numpy does it."""
    array = objects.array("a", dtype, 4)
    expected = np.zeros(4, dtype)
    assert array[1:3].shape == expected[1:3].shape
    ones = np.ones(4, dtype) if dtype not in ("S5", "datetime64[ns]") else expected

    def write() -> None:
        objects.array("a", np.dtype(dtype), 4)[:] = ones

    Child(write).result()
    assert (array.numpy() == ones).all()
    assert array.view.nbytes == expected.nbytes
    again = pickle.loads(pickle.dumps(array))
    assert np.all(again[0] == array[0])
    with pytest.raises(MismatchError):
        objects.array("a", "S7", 4)
