"""Quantiles by order alone, and sizes of results."""

from __future__ import annotations

import random

import pytest

from holdfast.monitors.ranks import far_above, far_below, quantile
from holdfast.monitors.sizes import parts_of, size_of


def test_a_quantile_lies_between_two_of_the_values() -> None:
    """Of 100 values the median is the fiftieth, and surely between the 37th and the 64th."""
    found = quantile(range(1, 101), 0.5)
    assert found is not None
    assert (found.value, found.low, found.high) == (50, 37, 64)


@pytest.mark.parametrize(("count", "share"), [(0, 0.5), (7, 0.5), (100, 0.95), (3, 0.95)])
def test_of_too_few_nothing_is_said(count: int, share: float) -> None:
    """Between which values it lies cannot be told."""
    assert quantile(list(range(count)), share) is None


def test_the_true_median_lies_within_as_often_as_is_said() -> None:
    """99 of 100 times, whatever the distribution: here with a tail so long that it has no mean."""
    draw = random.Random(7)
    missed = 0
    for _ in range(1500):
        found = quantile([draw.paretovariate(0.8) for _ in range(60)], 0.5)
        assert found is not None
        missed += not found.low <= 2 ** (1 / 0.8) <= found.high
    assert missed / 1500 < 0.02


def test_far_is_measured_by_how_far_nine_of_ten_stay() -> None:
    """As a ratio; where all are the same it is the median itself."""
    values = [50.0] * 8 + [100.0] * 10 + [200.0] * 2
    assert far_above(values, 3.0) == 100.0
    assert far_above([*values, 200.0, 200.0], 3.0) == 800.0
    assert far_below([100.0] * 6 + [50.0] * 4, 2.0) == 25.0
    assert (far_above([5.0], 3.0), far_above([0.0, 0.0, 9.0], 3.0), far_below([0.0, 3.0, 3.0], 1.0)) == (5.0, 0.0, 0.0)


@pytest.mark.parametrize("value", [None, "", "  \n", [], {}, [None, ""], {"a": {"b": []}, "c": None}])
def test_what_says_nothing_is_empty(value: object) -> None:
    """However it is wrapped."""
    assert size_of(value).is_empty


@pytest.mark.parametrize(("value", "count"), [(0, 1), (False, 1), ("x", 1), ([0, [1, {"a": 2}]], 3)])
def test_zero_and_no_are_values(value: object, count: int) -> None:
    """They say something."""
    assert size_of(value).values == count


def test_a_table_has_parts() -> None:
    """Each by its name, and the whole; nesting has no limit."""
    deep: object = 1
    for _ in range(3000):
        deep = [deep]
    assert {name: size.values for name, size in parts_of({"a": [1, 2], "b": None}).items()} == {"": 2, "a": 2, "b": 0}
    assert parts_of([1, 2])[""].values == 2
    assert len(parts_of({str(n): n for n in range(500)})) == 51
