"""Fixtures of wide scope: every worker has its own database, made once, and named after the worker.

``tmp_path_factory`` gives each worker a directory of its own, so nothing here can meet what another worker does.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

PRODUCTS = ("apple", "banana", "cherry", "date", "elderberry", "fig")

open_catalogues = 0
"""How many catalogues are open in this process. Each worker counts its own: a module is not shared after a fork."""


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A database file with the table of orders; made once per worker."""
    path = tmp_path_factory.mktemp("database") / f"orders-{worker_id}.sqlite"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("create table orders (product text, amount integer)")
    connection.close()
    return path


@pytest.fixture(scope="module")
def catalogue(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection that is shared by this module's tests; closed behind the last one that this worker runs."""
    global open_catalogues  # noqa: PLW0603 - the count is what the test below is about.
    open_catalogues += 1
    connection = sqlite3.connect(database)
    yield connection
    connection.close()
    open_catalogues -= 1


@pytest.fixture
def orders(catalogue: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """The shared connection, in a transaction that is undone after the test."""
    yield catalogue
    catalogue.rollback()


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("amount", [1, 20])
def test_an_order_is_the_only_one(orders: sqlite3.Connection, product: str, amount: int) -> None:
    """No test sees another's orders, neither of this worker nor of any other."""
    orders.execute("insert into orders values (?, ?)", (product, amount))
    assert orders.execute("select product, amount from orders").fetchall() == [(product, amount)]


def test_one_catalogue_is_open(catalogue: sqlite3.Connection) -> None:
    """A fixture of module scope is set up once for the tests of a module that follow each other in a worker."""
    assert catalogue.execute("select count(*) from orders").fetchone() == (0,)
    assert open_catalogues == 1


def test_the_database_bears_the_name_of_its_worker(database: Path, worker_id: str) -> None:
    """``worker_id`` is "gw0", "gw1" and so on, and "master" where nothing is distributed."""
    assert database.stem == f"orders-{worker_id}"
    assert worker_id == os.environ.get("PYTEST_XDIST_WORKER", "master")


def test_all_workers_know_the_same_run(testrun_uid: str) -> None:
    """``testrun_uid`` is the same in all workers; use it to name what they share."""
    assert testrun_uid == os.environ.get("PYTEST_XDIST_TESTRUNUID", testrun_uid)
