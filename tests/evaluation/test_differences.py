"""Differences of rates and of medians, with intervals that hold what they promise."""

from __future__ import annotations

from math import comb

import pytest

from holdfast.evaluation.differences import median_difference, newcombe, runs_needed


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        # Newcombe 1998, table II, method 10, as p1 - p2; here it is b less a.
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((2, 7), (6, 7), 0.0582, 0.8062),
        ((0, 29), (5, 56), -0.0381, 0.1926),
        ((0, 20), (0, 10), -0.1611, 0.2775),
        ((0, 10), (10, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_is_the_one_of_the_paper(a: tuple[int, int], b: tuple[int, int], low: float, high: float) -> None:
    """The examples that its author worked out."""
    found = newcombe(*a, *b)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([low, high], abs=6e-5)
    assert found.value == pytest.approx(b[0] / b[1] - a[0] / a[1])


@pytest.mark.parametrize("n", [5, 12, 30])
def test_the_interval_covers_the_true_difference(n: int) -> None:
    """Over all that can come of n runs on each side, weighed by how likely it is: 95 % on the average, and nowhere far below."""
    spans = {(x, y): found for x in range(n + 1) for y in range(n + 1) if (found := newcombe(x, n, y, n)) is not None}
    ways = [comb(n, hits) for hits in range(n + 1)]
    covered = []
    rates = [step / 20 for step in range(1, 20)]
    for p in rates:
        first = [ways[x] * p**x * (1 - p) ** (n - x) for x in range(n + 1)]
        for q in rates:
            second = [ways[y] * q**y * (1 - q) ** (n - y) for y in range(n + 1)]
            true = q - p
            covered.append(
                sum(first[x] * second[y] for (x, y), found in spans.items() if found.low - 1e-12 <= true <= found.high + 1e-12)
            )
    assert 0.945 <= sum(covered) / len(covered) <= 0.985
    assert min(covered) > 0.89


def test_the_other_way_round_it_is_the_same_with_the_other_sign() -> None:
    """Neither side is favoured."""
    one, other = newcombe(3, 9, 7, 11), newcombe(7, 11, 3, 9)
    assert one is not None and other is not None
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_of_nothing_there_is_no_interval() -> None:
    """On either side."""
    assert newcombe(0, 0, 1, 2) is None and newcombe(1, 2, 0, 0) is None and median_difference([[], []], 1) is None


def test_so_many_runs_are_enough_to_see_a_difference() -> None:
    """With as many as are named, a difference is told in about four cases of five, by enumeration; and with a third, it is not."""
    n = runs_needed(0.5, 0.8)
    assert n == 39

    def seen(count: int) -> float:
        def chance(hits: int, rate: float) -> float:
            return comb(count, hits) * rate**hits * (1 - rate) ** (count - hits)

        return sum(
            chance(x, 0.5) * chance(y, 0.8)
            for x in range(count + 1)
            for y in range(count + 1)
            if (found := newcombe(x, count, y, count)) is not None and found.is_told
        )

    assert 0.75 < seen(n) < 0.9 and seen(n // 3) < 0.5
    assert runs_needed(0.7, 0.7) is None and runs_needed(0.0, 1.0) == 2


def test_medians_are_resampled_case_by_case_and_the_same_for_a_seed() -> None:
    """A case whose runs are all alike stays what it is; the interval is of those that vary."""
    found = median_difference([[-1.0] * 5, [-3.0, 1.0, 2.0, -2.0, 0.5]], seed=3)
    assert found == median_difference([[-1.0] * 5, [-3.0, 1.0, 2.0, -2.0, 0.5]], seed=3)
    assert found is not None and found.value == -1.0 and found.low <= -1.0 <= found.high and not found.low > 0
    alike = median_difference([[2.0, 2.0], [2.0]], seed=1)
    assert alike is not None and (alike.value, alike.low, alike.high, alike.is_told) == (2.0, 2.0, 2.0, True)


def test_an_interval_of_medians_holds_the_true_one_most_of_the_time() -> None:
    """Of two hundred seeded samples with a median of 0, nine in ten at least."""
    import random

    draw, held = random.Random(11), 0
    for seed in range(200):
        found = median_difference([[draw.gauss(0, 1) for _ in range(15)]], seed, resamples=200)
        assert found is not None
        held += found.low <= 0 <= found.high
    assert held >= 180
