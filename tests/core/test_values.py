"""Plain JSON: what is taken reads back the same, and what cannot be is refused with a reason."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given

from holdfast.core.values import DEPTH_MAX, REDACTED, SECRET_NAMES, plain, plain_secrets, redacted_in
from tests import strategies as s


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@dataclasses.dataclass
class Point:
    x: float


@given(s.json_values)
def test_plain_json_is_left_as_it_is(value: Any) -> None:
    """Nothing is lost, and it reads back the same."""
    assert plain(value) == value == msgspec.json.decode(msgspec.json.encode(plain(value)))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ((1, 2), [1, 2]),
        ({1: "a"}, {"1": "a"}),
        (Point(1.5), {"x": 1.5}),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2026, 11, 20), "2026-11-20"),
        (10**30, 10**30),
        (-(2**70), -(2**70)),
        ("[" * 500, "[" * 500),
        ([None, 1.5], [None, 1.5]),
        (nested(DEPTH_MAX), nested(DEPTH_MAX)),
    ],
)
def test_what_has_a_form_takes_it(value: Any, read: Any) -> None:
    """And keeps it from then on."""
    assert plain(value) == read
    assert plain(read) == read


def circle() -> Any:
    """A list in itself."""
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (math.nan, "NaN"),
        ([math.inf], "NaN and infinity"),
        ({"a": Point(math.nan)}, "NaN"),
        ({"a": [None, {"b": -math.inf}]}, "NaN"),
        ("\ud800", "surrogates"),
        ({"\udfff": 1}, "surrogates"),
        ({1, 2}, "a set"),
        ([{"a": frozenset()}], "a set"),
        (object(), "object"),
        (1j, "complex"),
        (lambda: 1, "function"),
        (nested(DEPTH_MAX + 1), "deeper"),
        (nested(5000), "."),
        (circle(), "."),
        pytest.param(10**5000, ".", id="a number of 5000 digits"),
    ],
)
def test_what_has_no_form_is_refused(value: Any, why: str) -> None:
    """With a ValueError of one line, whatever is behind it."""
    with pytest.raises(ValueError, match=why) as caught:
        plain(value)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


def test_secrets_are_found_by_name_wherever_they_stand() -> None:
    """A `{$secret: NAME}` in their place is what is wanted."""
    names = SECRET_NAMES | {"pin"}
    value = {
        "user": {"password": "x"},
        "list": [{"pin": 1}, {"api_key": {"$secret": "KEY"}}],
        "token": "fine",
        "Password": "fine",
    }
    assert list(plain_secrets(value, names)) == ["password", "pin"]
    assert list(plain_secrets({"password": {"$ref": "inputs.x"}}, names)) == ["password"]
    assert list(plain_secrets("password", names)) == []


def test_what_was_not_written_down_is_found() -> None:
    """It must not be taken for a value."""
    assert redacted_in({"a": [{"b": REDACTED}]})
    assert not redacted_in({"a": [f"see {REDACTED}"], REDACTED: 1})
