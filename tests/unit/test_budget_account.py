"""What a process notes on the sheet, and what all processes of the run read there."""

from __future__ import annotations

import mmap
import os
import threading

import pytest

from pytest_parpool.budget.account import Account
from pytest_parpool.budget.sheet import Sheet, size_bytes
from tests.sharing import Child

COMPUTES, IS_NOT_THERE = (True, 0, 0), (False, 0, 0)


@pytest.fixture
def sheet() -> Sheet:
    """A sheet for three workers and six slots, in memory that children see."""
    return Sheet.make(mmap.mmap(-1, size_bytes(3)), slots=6, rows=3)


@pytest.fixture
def account(sheet: Sheet) -> Account:
    """The account of the worker in the middle, which runs a test."""
    sheet.row(1).go_on()
    return Account(sheet, 1, {}, pid=os.getpid())


def test_a_new_sheet_is_empty(sheet: Sheet) -> None:
    """It says how many slots there are, and that nobody has any."""
    assert (sheet.slots, sheet.rows) == (6, 3)
    assert sheet.read() == [IS_NOT_THERE] * 3


def test_all_see_the_same_memory(sheet: Sheet) -> None:
    """What a child notes is read by its parent."""
    assert Child(sheet.row(2).go_on).result() is None
    assert sheet.read() == [IS_NOT_THERE, IS_NOT_THERE, COMPUTES]


def test_the_same_memory_is_the_same_sheet() -> None:
    """Who maps it elsewhere finds there how many slots and rows it has."""
    memory = mmap.mmap(-1, size_bytes(2))
    Sheet.make(memory, slots=5, rows=2).row(1).go_on()
    found = Sheet(memory)
    assert (found.slots, found.rows, found.read()) == (5, 2, [IS_NOT_THERE, COMPUTES])


def test_a_test_that_waits_lends(sheet: Sheet, account: Account) -> None:
    """It lends until the outermost wait is over, and is not there while its worker rests."""
    share = account.open_share()
    share.note(0, 1)
    with account.lending():
        with account.lending():
            assert sheet.read()[1] == (False, 0, 1)
        assert sheet.read()[1] == (False, 0, 1)
    assert sheet.read()[1] == (True, 0, 1)
    sheet.row(1).rest()
    assert sheet.read()[1] == (False, 0, 1)


def test_who_waits_for_nothing_lends_nothing(sheet: Sheet, account: Account) -> None:
    """When the last task is done the test has its slot again, also before its thread has woken up."""
    share = account.open_share()
    with account.lending():
        share.note(1, 1)
        assert sheet.read()[1] == (False, 1, 1)
        share.note(0, 0)
        assert sheet.read()[1] == COMPUTES


def test_a_test_that_is_new_lends_nothing(sheet: Sheet, account: Account) -> None:
    """Whatever the last one has left open."""
    left_open = account.lending()
    left_open.__enter__()
    account.open_share().note(0, 1)
    sheet.row(1).rest()
    sheet.row(1).go_on()
    assert sheet.read()[1] == (True, 0, 1)
    left_open.__exit__(None, None, None)


def test_another_thread_lends_nothing(sheet: Sheet, account: Account) -> None:
    """While it waits, the test may compute."""
    seen = []

    def wait() -> None:
        with account.lending():
            seen.append(sheet.read()[1])

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert seen == [COMPUTES]


def test_a_copy_lends_nothing(sheet: Sheet, account: Account) -> None:
    """A child of the test is not the test, and does not take part."""

    def wait() -> object:
        with account.lending():
            return account.is_own_process, sheet.read()[1]

    assert Child(wait).result() == (False, COMPUTES)
    assert account.is_own_process


def test_pools_are_noted_together(sheet: Sheet, account: Account) -> None:
    """Others see one process, and nothing is left of a pool that is closed."""
    first, second = account.open_share(), account.open_share()
    first.note(2, 3)
    second.note(1, 1)
    assert sheet.read()[1] == (True, 3, 4)
    first.close()
    assert sheet.read()[1] == (True, 1, 1)
    second.close()
    assert sheet.read()[1] == COMPUTES


def test_what_is_claimed_is_noted(sheet: Sheet, account: Account) -> None:
    """Others see it at once, as far as it is wanted, and what runs already stays."""
    share = account.open_share()
    assert share.claim(9) == 5
    assert sheet.read()[1] == (True, 5, 9)
    share.note(4, 9)
    for place in (0, 2):
        sheet.row(place).go_on()
    assert share.claim(2) == 2
    assert sheet.read()[1] == (True, 4, 2)


def test_who_cannot_take_part_has_a_fixed_number() -> None:
    """It is what the slots are for each worker, and at least one."""
    numbers = {}
    for slots in (2, 7, 9):
        sheet = Sheet.make(bytearray(size_bytes(3)), slots, 3)
        numbers[slots] = Account(sheet, 0, {}, pid=0).fixed_slots
    assert numbers == {2: 1, 7: 2, 9: 3}
    assert Sheet.alone(4).read() == [IS_NOT_THERE]
