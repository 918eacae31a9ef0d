"""The figures behind the table: paired ratios, their median and the interval that holds it.

The interval is made of order statistics, so nothing is assumed about how times are distributed and nothing is drawn at
random: the chance that the median lies below the k-th smallest of n values is the chance of fewer than k heads in n
tosses of a coin (David and Nagaraja, Order Statistics, section 7.1).
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    """Two of the measured values, with the median of all possible ones between them.

    Attributes:
        low: The lower end, itself a measured value.
        high: The upper end, itself a measured value.
        coverage: The probability, from 0 to 1, that such an interval holds the median.
    """

    low: float
    high: float
    coverage: float


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """How one contender compares with another: below 1 it needs less."""

    median: float
    interval: Interval


def median_interval(values: Iterable[float], *, confidence: float = CONFIDENCE) -> Interval:
    """Return the narrowest symmetric interval that holds the median with at least this confidence.

    With fewer than six values even the whole range does not reach 95 %; then the whole range is returned, and
    ``coverage`` says what it is worth.

    Raises:
        ValueError: If there are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("an interval needs at least one value")
    rank, coverage = 1, _coverage(len(ordered), 1)
    for candidate in range(2, len(ordered) // 2 + 1):
        narrower = _coverage(len(ordered), candidate)
        if narrower < confidence:
            break
        rank, coverage = candidate, narrower
    return Interval(low=ordered[rank - 1], high=ordered[-rank], coverage=coverage)


def _coverage(count: int, rank: int) -> float:
    """Return the probability that the median is between the rank-th smallest and the rank-th largest of the values."""
    outside = 2 * sum(math.comb(count, heads) for heads in range(rank))
    return max(0.0, 1 - math.ldexp(outside, -count))


def paired_ratios(subject: Sequence[float], reference: Sequence[float]) -> tuple[float, ...]:
    """Return subject / reference, round by round.

    Ratios within a round are compared because the machine is faster in one round than in the next.

    Raises:
        ValueError: If the two do not have the same number of rounds, or a reference is not positive.
    """
    if len(subject) != len(reference):
        raise ValueError(f"rounds come in pairs: got {len(subject)} and {len(reference)}")
    if any(value <= 0 for value in reference):
        raise ValueError("a ratio needs a positive reference")
    return tuple(ours / theirs for ours, theirs in zip(subject, reference, strict=True))


def compare(subject: Sequence[float], reference: Sequence[float]) -> Comparison:
    """Return the median of the paired ratios and its 95 % interval.

    Raises:
        ValueError: As ``paired_ratios`` and ``median_interval`` do.
    """
    ratios = paired_ratios(subject, reference)
    interval = median_interval(ratios)
    return Comparison(median=statistics.median(ratios), interval=interval)
