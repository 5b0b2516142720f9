"""When to stop: the bounds of a run as fields."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.limits import WORDS, Limits, reached, within, wrong_limits

# Bounds that hold only where they are given.
MAY_BE_LEFT_OUT = {"tokens_max", "cost_usd_max"}


def test_a_run_within_its_bounds_has_reached_none() -> None:
    """Exactly as many steps as are allowed are allowed."""
    assert reached(Limits(steps_max=3), steps=3, started_at=0.0, now=1.0) is None


def test_one_step_too_many_is_reached() -> None:
    """With its name and its value, for the event."""
    assert reached(Limits(steps_max=3), steps=4, started_at=0.0, now=1.0) == ("steps_max", 3.0)


@given(st.floats(0, 4e9), st.floats(1e-3, 1e8))
def test_wall_time_is_reached_at_the_moment_for_which_the_run_is_woken(started_at: float, wall_seconds: float) -> None:
    """Whatever floats make of the sum: a run that wakes for its limit must find it reached, or it would wake for ever."""
    limits = Limits(wall_seconds=wall_seconds)
    assert reached(limits, steps=0, started_at=started_at, now=started_at + wall_seconds) == ("wall_seconds", wall_seconds)
    assert reached(limits, steps=0, started_at=started_at, now=math.nextafter(started_at + wall_seconds, 0)) is None


@pytest.mark.parametrize("name", [name for name in Limits.__struct_fields__ if name != "changes"])
def test_a_limit_under_which_nothing_could_run_is_wrong(name: str) -> None:
    """Each field: nothing, less than nothing, no number. The defaults are fine."""
    assert wrong_limits(Limits()) is None
    money = name == "cost_usd_max"
    assert wrong_limits(msgspec.structs.replace(Limits(), **{name: Decimal(1) if money else 1})) is None
    wrong: list[Any] = [-1, True, "3", math.nan] if name in MAY_BE_LEFT_OUT else [-1, True, "3", None, math.nan]
    wrong += [Decimal(-1), Decimal("NaN"), Decimal("Infinity"), 1] if money else [0]
    for value in wrong if not name.endswith("_seconds") else [*wrong, math.inf]:
        found = wrong_limits(msgspec.structs.replace(Limits(), **{name: value}))
        assert found is not None and found.startswith(name), value
    if not name.endswith("_seconds"):
        assert wrong_limits(msgspec.structs.replace(Limits(), **{name: 1.5})) is not None


def test_what_is_given_to_a_run_is_given_in_words_and_never_more_than_there_is() -> None:
    """As a plan file has them, or by the names of the fields; what is no limit says nothing."""
    most = Limits(attempts_max=50, wall_seconds=3600.0, changes={"credit": 10.0})
    assert within(most, {"attempts": 20, "wall": "30m", "changes": {"credit": 4, "seats": 2}}) == msgspec.structs.replace(
        most, attempts_max=20, wall_seconds=1800.0, changes={"credit": 4.0, "seats": 2.0}
    )
    assert within(most, {"attempts_max": 500, "wall": "7d", "changes": {"credit": 99}}) == most
    assert (
        within(most, {"attempts": "many", "turns": True, "steps": 2.5, "wall": "soon", "hold": 0, "x": 1, "children": 0}) == most
    )
    assert set(WORDS.values()) == set(Limits.__struct_fields__)


@pytest.mark.parametrize(
    "changes", [5, {"credit": -1.0}, {"credit": math.nan}, {"credit": math.inf}, {"credit": "much"}, {"credit": True}]
)
def test_what_may_be_changed_is_a_number_of_at_least_nothing(changes: Any) -> None:
    """By name; nothing at all is a bound too."""
    found = wrong_limits(msgspec.structs.replace(Limits(), changes=changes))
    assert found is not None and found.startswith("changes"), found
    assert wrong_limits(Limits(changes={"credit": 0, "seats": 2.5})) is None


def test_money_may_be_nothing_and_is_never_a_float() -> None:
    """A run that may spend nothing is a run that may spend nothing; a float would not be the amount that was written."""
    assert wrong_limits(Limits(cost_usd_max=Decimal(0))) is None
    assert wrong_limits(Limits(tokens_max=None, cost_usd_max=None)) is None
    wrong: Any = 0.5
    assert wrong_limits(Limits(cost_usd_max=wrong)) is not None


def test_what_may_be_spent_is_given_in_words_too() -> None:
    """An amount as a text or a number; where there is no bound yet, any amount is below it."""
    most = Limits(cost_usd_max=Decimal("2.00"))
    assert within(most, {"cost": "0.10"}).cost_usd_max == Decimal("0.10")
    assert within(most, {"cost": 5}).cost_usd_max == Decimal("2.00")
    assert within(Limits(), {"cost": 0.1, "tokens": 500}) == Limits(cost_usd_max=Decimal("0.1"), tokens_max=500)
    assert within(most, {"cost": "much"}) == most
