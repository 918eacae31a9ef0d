"""Work for the processor: two ways to count primes have to agree, in twenty ranges.

Every case takes about as long as the others and none needs anything, so that two workers need half the time of one.
"""

from __future__ import annotations

import math

import pytest

RANGE = 10_000


def count_by_sieve(start: int, stop: int) -> int:
    """Return how many primes are in ``range(start, stop)``, by crossing out multiples from 2 on."""
    is_prime = bytearray([1]) * stop
    is_prime[:2] = b"\0\0"
    for number in range(2, math.isqrt(stop) + 1):
        if is_prime[number]:
            for multiple in range(number * number, stop, number):
                is_prime[multiple] = 0
    return sum(is_prime[start:])


def count_by_division(start: int, stop: int) -> int:
    """Return how many primes are in ``range(start, stop)``, by trying every odd divisor of each number."""
    return sum(is_prime(number) for number in range(start, stop))


def is_prime(number: int) -> bool:
    """Whether the number is prime, by trial division."""
    if number < 2 or number % 2 == 0:
        return number == 2
    return all(number % divisor for divisor in range(3, math.isqrt(number) + 1, 2))


@pytest.mark.parametrize("start", range(100_000, 300_000, RANGE))
def test_sieve_and_division_count_the_same(start: int) -> None:
    """Both ways find the same number of primes."""
    assert count_by_sieve(start, start + RANGE) == count_by_division(start, start + RANGE)
