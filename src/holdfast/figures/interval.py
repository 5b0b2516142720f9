"""How sure a rate is that was counted, and whether a split of a record is more than chance."""

from __future__ import annotations

from math import exp, lgamma, sqrt

import msgspec

# Of the normal distribution, for 95 % on both sides together.
Z_95 = 1.959963984540054


class Interval(msgspec.Struct, frozen=True):
    """Where a rate lies with 95 % confidence; both ends are from 0 to 1."""

    low: float
    high: float


def wilson(hits: int, of: int, z: float = Z_95) -> Interval | None:
    """The score interval of a share, without continuity correction; None of nothing.

    It holds for few cases and for rates near 0, where the usual one (share ± z × its standard error) says "0 ± 0".
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927; R. G. Newcombe, "Two-sided
    confidence intervals for the single proportion", 1998, method 3.
    """
    if of <= 0:
        return None
    share = hits / of
    middle = share + z * z / (2 * of)
    width = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    low = 0.0 if hits == 0 else max(0.0, (middle - width) / scale)
    high = 1.0 if hits == of else min(1.0, (middle + width) / scale)
    return Interval(low, high)


def by_chance(hits_below: int, below: int, hits: int, of: int) -> float:
    """How likely it is that at most so many of all hits are among the `below` of all cases, where hits have nothing to do with
    it: the lower tail of the hypergeometric distribution."""
    fewest = max(0, hits - (of - below))
    ways = (
        exp(_log_ways(hits, few) + _log_ways(of - hits, below - few) - _log_ways(of, below))
        for few in range(fewest, min(hits_below, below, hits) + 1)
    )
    return min(1.0, sum(ways))


def _log_ways(of: int, chosen: int) -> float:
    """The logarithm of the number of ways to choose; the number itself would have thousands of digits."""
    return lgamma(of + 1) - lgamma(chosen + 1) - lgamma(of - chosen + 1)
