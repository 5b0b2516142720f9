"""Is one version better than another, and how sure is that? Differences of two rates and of two medians, with their intervals."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import ceil, sqrt
from statistics import median

import msgspec

from holdfast.figures.interval import Z_95, wilson

# Of the normal distribution, for 80 % on one side: how often a difference that is there is to be seen.
Z_POWER_80 = 0.8416212335729143
RESAMPLES = 2000


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The second less the first, and where it lies with 95 % confidence."""

    value: float
    low: float
    high: float

    @property
    def is_told(self) -> bool:
        """Whether it can be told from nothing."""
        return self.low > 0 or self.high < 0


def newcombe(hits_a: int, of_a: int, hits_b: int, of_b: int) -> Difference | None:
    """The difference of two rates, b less a, with the interval of Newcombe's method 10 (hybrid score); None where one is of
    nothing.

    It is made of the two score intervals of the rates, so it never leaves -1 to 1, and is no point where both are 0 or 1, as
    the usual one (± z × standard error) is. R. G. Newcombe, "Interval estimation for the difference between independent
    proportions: comparison of eleven methods", Statistics in Medicine 17 (1998), 873-890, method 10 (after E. B. Wilson, 1927).
    """
    first, second = wilson(hits_a, of_a), wilson(hits_b, of_b)
    if first is None or second is None:
        return None
    a, b = hits_a / of_a, hits_b / of_b
    low = (b - a) - sqrt((b - second.low) ** 2 + (first.high - a) ** 2)
    high = (b - a) + sqrt((second.high - b) ** 2 + (a - first.low) ** 2)
    return Difference(value=b - a, low=max(low, -1.0), high=min(high, 1.0))


def runs_needed(rate_a: float, rate_b: float) -> int | None:
    """How many runs on each side would tell these two rates apart, at 95 % confidence and in 80 % of cases; None where they are
    equal.

    J. L. Fleiss, "Statistical Methods for Rates and Proportions", the sample size for two proportions, without continuity
    correction.
    """
    if rate_a == rate_b:
        return None
    middle = (rate_a + rate_b) / 2
    spread = Z_95 * sqrt(2 * middle * (1 - middle)) + Z_POWER_80 * sqrt(rate_a * (1 - rate_a) + rate_b * (1 - rate_b))
    return max(2, ceil((spread / (rate_a - rate_b)) ** 2))


def median_difference(strata: Sequence[Sequence[float]], seed: int, resamples: int = RESAMPLES) -> Difference | None:
    """The median of paired differences, with a bootstrap interval (percentiles, 95 %); None of nothing. strata: the differences
    of each case; each is drawn from anew by itself, for the cases are what they are and only their runs vary. The same seed
    gives the same.

    B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentiles) and 8 (one- and two-sample
    problems).
    """
    filled = [list(stratum) for stratum in strata if stratum]
    every = [value for stratum in filled for value in stratum]
    if not every:
        return None
    value = median(every)
    if min(every) == max(every):
        return Difference(value=value, low=value, high=value)
    draw = random.Random(seed)
    found = sorted(median([one for stratum in filled for one in draw.choices(stratum, k=len(stratum))]) for _ in range(resamples))
    return Difference(value=value, low=found[int(0.025 * resamples)], high=found[ceil(0.975 * resamples) - 1])
