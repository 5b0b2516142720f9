"""Quantiles, and how sure they are, without any belief about how values are distributed: only their order is used."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, sqrt

import msgspec

# Of the normal distribution, for 99 % on both sides together. That two intervals of 99 % do not touch by chance is rarer than one
# in a thousand times: many tools are looked at, and often.
Z_99 = 2.5758293035489004


class Quantile(msgspec.Struct, frozen=True):
    """A quantile of some values: what it is among them, and between which of them the true one lies with 99 %."""

    value: float
    low: float
    high: float


def quantile(values: Sequence[float], share: float, z: float = Z_99) -> Quantile | None:
    """The least value that a `share` of all do not exceed; None where there are too few to say between which values it lies.

    Its interval is between two order statistics, whose ranks follow from the binomial distribution of how many values lie below
    the true quantile (here by its normal approximation): n × share ± z × √(n × share × (1 − share)). W. J. Conover, "Practical
    Nonparametric Statistics", 3rd edition, 1999, section 3.2.
    """
    count = len(values)
    if count == 0:
        return None
    ordered = sorted(values)
    width = z * sqrt(count * share * (1 - share))
    low, high = floor(count * share - width), ceil(count * share + width) + 1
    if low < 1 or high > count:
        return None
    return Quantile(ordered[max(ceil(count * share), 1) - 1], ordered[low - 1], ordered[high - 1])


def far_above(values: Sequence[float], spreads: float) -> float:
    """What is `spreads` times as far above the median as the value that nine of ten do not exceed. As a ratio, for costs and
    counts vary by factors: a median of 100, and nine of ten up to 200, give 800 for three spreads. 0 where the median is 0."""
    return _far(sorted(values), 0.9, spreads)


def far_below(values: Sequence[float], spreads: float) -> float:
    """What is `spreads` times as far below the median as the value that nine of ten reach; see `far_above`."""
    return _far(sorted(values, reverse=True), 0.9, spreads)


def _far(ordered: Sequence[float], share: float, spreads: float) -> float:
    middle, most = ordered[ceil(0.5 * len(ordered)) - 1], ordered[ceil(share * len(ordered)) - 1]
    return float(middle * (most / middle) ** spreads) if middle > 0 else 0.0
