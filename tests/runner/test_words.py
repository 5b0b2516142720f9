"""What tools say, as it can be written down. The rest of it is tested where it is said: test_perform.py."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from holdfast.runner.words import number, time_of

NOW = 1_800_000_000.0
NOON = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))


@pytest.mark.parametrize(
    ("until", "kept"),
    [
        (5e9, 5e9),
        (5_000_000_000, 5e9),
        ("5000000000", 5e9),
        ("48h", NOW + 172_800),
        ("1h30m", NOW + 5400),
        (datetime.timedelta(minutes=1), NOW + 60),
        (datetime.timedelta(minutes=-1), NOW - 60),
        (NOON, NOON.timestamp()),
        (NOON.astimezone(datetime.UTC), NOON.timestamp()),
        (0, 0.0),
        (NOON.replace(tzinfo=None), None),
        (datetime.date(2026, 11, 20), None),
        ("tomorrow", None),
        ("", None),
        (float("nan"), None),
        (float("inf"), None),
        (NOON.timestamp() * 1000, None),
        (1e300, None),
        (datetime.timedelta.max, None),
        (datetime.datetime.max.replace(tzinfo=datetime.UTC), 253_402_300_800.0),
        (True, None),
        (None, None),
        ([], None),
        (object(), None),
    ],
)
def test_times_that_tools_name(until: Any, kept: float | None) -> None:
    """Since the epoch, from now, or with a zone; what cannot be read as a time is none, and never an error."""
    assert time_of(until, NOW) == kept


@pytest.mark.parametrize(
    ("said", "kept"), [(20, 20.0), ("30", 30.0), ("soon", None), (10**400, None), (False, None), (None, None)]
)
def test_numbers_that_tools_name(said: Any, kept: float | None) -> None:
    """If they are numbers."""
    assert number(said) == kept
