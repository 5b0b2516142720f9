"""When to stop: the bounds of a run as fields."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.limits import Limits, reached, wrong_limits


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


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_a_limit_under_which_nothing_could_run_is_wrong(name: str) -> None:
    """Each field: nothing, less than nothing, no number. The defaults are fine."""
    assert wrong_limits(Limits()) is None
    assert wrong_limits(msgspec.structs.replace(Limits(), **{name: 1})) is None
    wrong: list[Any] = [0, -1, True, "3", None, math.nan]
    for value in wrong if not name.endswith("_seconds") else [*wrong, math.inf]:
        found = wrong_limits(msgspec.structs.replace(Limits(), **{name: value}))
        assert found is not None and found.startswith(name), value
    if not name.endswith("_seconds"):
        assert wrong_limits(msgspec.structs.replace(Limits(), **{name: 1.5})) is not None
