"""Rates and how sure they are."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.figures.interval import by_chance, wilson


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_the_published_one(hits: int, of: int, low: float, high: float) -> None:
    """Newcombe 1998, table I, method 3."""
    interval = wilson(hits, of)
    assert interval is not None
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_of_nothing_there_is_no_interval() -> None:
    """None, and not 0 to 1."""
    assert wilson(0, 0) is None


@given(st.integers(1, 10_000), st.data())
def test_the_share_lies_within(of: int, data: st.DataObject) -> None:
    """And the interval within 0 and 1."""
    hits = data.draw(st.integers(0, of))
    interval = wilson(hits, of)
    assert interval is not None
    assert 0 <= interval.low <= hits / of <= interval.high <= 1
    assert interval.low < interval.high


def test_chance_is_counted_exactly() -> None:
    """Three of ten are hits and none is among the lowest five: 10 of 120 ways."""
    assert by_chance(0, 5, 3, 10) == pytest.approx(comb(5, 3) / comb(10, 3))
    assert by_chance(3, 5, 3, 10) == pytest.approx(1)
    assert by_chance(1, 5, 3, 10) == pytest.approx((10 + 5 * 10) / 120)
    assert by_chance(2, 9, 3, 10) == pytest.approx(3 / 10)
    assert 0 <= by_chance(2, 60_000, 500, 100_000) < 1e-100
