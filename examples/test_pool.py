"""A pool inside of tests: each test spreads its work over the CPU slots that other tests leave free.

With ``-n 2`` two tests run side by side, each with one task at a time; the last one, alone, has two. With ``-n 0`` each
test has all CPUs.
"""

from __future__ import annotations

import math

import pytest

import pytest_parpool

STEP = 5_000


def count_twins(start: int) -> int:
    """Return how many twin primes begin in ``range(start, start + STEP)``, by trial division."""
    return sum(is_prime(number) and is_prime(number + 2) for number in range(start, start + STEP))


def is_prime(number: int) -> bool:
    """Whether the number is prime."""
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


@pytest.mark.parametrize(("limit", "twins"), [(10_000, 205), (20_000, 342), (100_000, 1224)])
def test_twin_primes(parpool_pool: pytest_parpool.Pool, limit: int, twins: int) -> None:
    """Below each limit there are as many as the tables say."""
    assert sum(parpool_pool.map(count_twins, range(0, limit, STEP))) == twins


def test_the_first_large_ones(parpool_pool: pytest_parpool.Pool) -> None:
    """Results are taken one after another, and no more is computed than is wanted."""
    starts = range(1_000_000, 2_000_000, STEP)
    found = next(count for count in parpool_pool.imap(count_twins, starts) if count)
    assert found == count_twins(1_000_000)
