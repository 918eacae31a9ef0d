"""``runtime.ledger``: an item is claimed or taken back, never both, whoever comes first."""

from __future__ import annotations

import os
import random
import time

import pytest

from pytest_parpool.model.ids import worker_ids
from pytest_parpool.runtime.ledger import Ledger, Page

GW0, GW1 = worker_ids(2)
ITEMS = 20_000


@pytest.fixture
def page() -> Page:
    """A worker's page, before its birth."""
    page = Ledger([GW0, GW1]).page(GW0)
    page.reset()
    return page


def test_everything_is_open_at_first(page: Page) -> None:
    """A worker may claim whatever it was given."""
    page.claim(3)
    assert page.is_open(3)
    assert Page.private().is_open(10**6)


def test_what_is_not_claimed_is_taken_back(page: Page) -> None:
    """Behind what is claimed the list is closed, until the worker has read that."""
    page.claim(2)
    assert page.take_back(1) == 2
    assert page.is_open(1)
    assert not page.is_open(2)  # It has to read first; then it finds that this one is its own.
    page.reopen()
    assert page.is_open(2)


def test_what_was_found_closed_is_not_begun(page: Page) -> None:
    """A worker may die before it has read so; what it was given meanwhile, in that place, is done by another one."""
    page.claim(1)
    assert page.take_back(1) == 1
    page.claim(2)
    assert not page.is_open(2)
    assert page.claimed == 1
    page.claim(1)
    page.reopen()
    page.claim(2)
    assert page.is_open(2)
    assert page.claimed == 2


def test_nothing_is_taken_back_twice_before_the_worker_has_read(page: Page) -> None:
    """A second attempt does nothing, so that the first message stays true."""
    assert page.take_back(4) == 4
    assert page.take_back(5) is None
    page.reopen()
    assert page.take_back(5) == 5


def test_each_worker_has_a_page_of_its_own() -> None:
    """What is closed for one is open for the other."""
    ledger = Ledger([GW0, GW1])
    for worker in (GW0, GW1):
        ledger.page(worker).reset()
    ledger.page(GW0).take_back(0)
    assert ledger.page(GW1).is_open(7)


def test_two_processes_agree_about_every_item(page: Page) -> None:
    """While one process claims item by item and another takes back, each item has one owner."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        for count in range(1, ITEMS):
            page.claim(count)
            if not page.is_open(count):
                os.write(write_end, str(count - 1).encode())  # so many were surely its own
                os._exit(0)
        os._exit(1)
    time.sleep(random.random() / 1000)  # Any moment will do.
    kept = page.take_back(0)
    _, status = os.waitpid(child, 0)
    os.close(write_end)
    owned = os.read(read_end, 100)
    os.close(read_end)
    assert kept is not None
    if owned:
        # The one it stopped at was claimed, too, and is its own if the controller has seen that.
        assert int(owned) <= kept <= int(owned) + 1
    else:
        assert os.waitstatus_to_exitcode(status) == 1
