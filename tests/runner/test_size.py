"""What is kept of a result that is too large: the shape of the whole, as far as there is room."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.runner.size import shortened
from tests import strategies as s


def size(value: Any) -> int:
    """Bytes of JSON."""
    return len(msgspec.json.encode(value))


@given(s.json_values, st.integers(2, 300))
def test_what_is_kept_has_room_and_what_has_room_is_kept(value: Any, room: int) -> None:
    """Whatever it is, and however little room there is."""
    kept = shortened(value, room)
    assert size(kept) <= max(room, 4)
    if size(value) <= room:
        assert kept == value


@pytest.mark.parametrize(
    ("value", "room", "kept"),
    [
        ("x" * 1000, 20, "x" * 15 + "…"),
        ("é" * 1000, 21, "é" * 8 + "…"),
        ('"' * 1000, 25, '"' * 10 + "…"),
        (list(range(1000)), 12, [0, 1, 2, 3, 4]),
        (["x" * 1000, "y"], 30, ["x" * 22 + "…"]),
        ({"id": 7, "text": "x" * 1000, "ok": True}, 50, {"id": 7, "text": "x" * 18 + "…", "ok": True}),
        ({"rows": [1] * 1000, "next": "page 2"}, 60, {"rows": [1] * 16, "next": "page 2"}),
        ({"a": "x" * 1000, "b": "y" * 1000}, 60, {"a": "x" * 19 + "…", "b": "y" * 19 + "…"}),
        ({"deep": {"deeper": ["x" * 1000]}}, 50, {"deep": {"deeper": ["x" * 20 + "…"]}}),
        (10**300, 256, None),
        ("x" * 10, 1, None),
    ],
)
def test_texts_lose_their_end_and_lists_their_last_items(value: Any, room: int, kept: Any) -> None:
    """The small things beside something large stay whole."""
    assert shortened(value, room) == kept
    assert size(kept) > room * 0.7 or kept is None


def test_a_table_of_very_many_entries_keeps_the_first_ones() -> None:
    """And not a letter of each."""
    kept = shortened({f"k{n}": n for n in range(100_000)}, 1000)
    assert list(kept) == [f"k{n}" for n in range(len(kept))]
    assert len(kept) > 25


@pytest.mark.parametrize(
    "value",
    [
        "x" * 20_000_000,
        [{"number": n, "text": "x" * 80} for n in range(100_000)],
        {"a": {"b": {"c": {"d": ["y" * 1000] * 10_000}}}},
    ],
    ids=["text", "rows", "deep"],
)
def test_the_work_is_bounded(value: Any) -> None:
    """Large values take about as long as writing them a few times."""
    began = time.process_time()
    kept = shortened(value, 1_000_000)
    assert time.process_time() - began < 2
    assert 900_000 < size(kept) <= 1_000_000
