"""Locks: transfers between accounts that all tests use, in whatever worker they run.

The accounts are files that the first test opens for all. Who moves money locks both accounts, in the order of their
names: then no two tests can wait for each other.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pytest_parpool import SharedObjects

OWNERS = ("Ada", "Ben", "Cleo")
DEPOSIT = 100


class Bank:
    """A bank with accounts that all workers see."""

    def __init__(self, folder: Path, shared: SharedObjects) -> None:
        self._folder = folder
        self._shared = shared

    def balance(self, owner: str) -> int:
        """Return what somebody has."""
        return int((self._folder / owner).read_text(encoding="utf-8"))

    def _set_balance(self, owner: str, amount: int) -> None:
        (self._folder / owner).write_text(str(amount), encoding="utf-8")

    def transfer(self, payer: str, payee: str, amount: int) -> None:
        """Move money, and let nobody see it half moved."""
        first, second = sorted([payer, payee])
        with self._shared.lock(first).within(60), self._shared.lock(second).within(60):
            self._set_balance(payer, self.balance(payer) - amount)
            self._set_balance(payee, self.balance(payee) + amount)

    def total(self) -> int:
        """Return what all have together, with all accounts locked."""
        with self._shared.lock(OWNERS[0]), self._shared.lock(OWNERS[1]), self._shared.lock(OWNERS[2]):
            return sum(self.balance(owner) for owner in OWNERS)


def open_accounts(folder: Path) -> Path:
    """Give everybody a deposit."""
    for owner in OWNERS:
        (folder / owner).write_text(str(DEPOSIT), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def bank(parpool: SharedObjects, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """The bank: its accounts are opened by the worker that comes first, and the others are told where they are."""
    folder: Path = parpool.once("accounts", lambda: open_accounts(tmp_path_factory.mktemp("accounts")))
    return Bank(folder, parpool)


@pytest.mark.parametrize(("payer", "payee"), list(itertools.permutations(OWNERS, 2)))
@pytest.mark.parametrize("amount", [1, 20])
def test_no_money_is_lost(bank: Bank, payer: str, payee: str, amount: int) -> None:
    """However many transfers are under way, all accounts together have what was paid in."""
    for _ in range(5):
        bank.transfer(payer, payee, amount)
        assert bank.total() == DEPOSIT * len(OWNERS)
