"""What is remembered, drawn from the records of `views.memory`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast.cli.drawing import CELL_MAX, Cell, minute, styled, table
from holdfast.cli.text import as_json, one_line
from holdfast.views import cut, span

if TYPE_CHECKING:
    from holdfast.views.memory import MemoryLine

_STANDS = {"in force": "green", "expired": "yellow", "superseded": "dim", "forgotten": "dim"}


def listed(lines: Iterable[MemoryLine]) -> None:
    """The table of `holdfast memory list`."""
    headers = ("id", "tenant", "thread", "kind", "name", "value", "is", "source", "sure", "age", "until", "from", "by")
    table(headers, (_cells(one) for one in lines))


def _cells(one: MemoryLine) -> tuple[Cell, ...]:
    gone = one.stands == "forgotten"
    source = f"corrected by {one.corrected_by}" if one.corrected_by else one.source
    return (
        (one.id, "bold"),
        (one.tenant, ""),
        (one.thread, ""),
        (one.kind, "dim"),
        (cut(one.name, CELL_MAX), "bold"),
        ("" if gone else value_words(one), ""),
        (one.stands + (f" ({one.superseded_by})" if one.superseded_by else ""), _STANDS[one.stands]),
        (source, "yellow" if one.source == "inferred" else ""),
        ("" if gone or one.confidence == 1 else f"{one.confidence:.0%}", ""),
        (span(one.age_seconds), "cyan"),
        ("" if one.valid_until is None else minute(one.valid_until), ""),
        (f"{one.run_id} {one.step}".strip(), "dim"),
        (one.forgotten_by if gone else cut(one.by, CELL_MAX), "dim"),
    )


def line(one: MemoryLine) -> None:
    """A memory in one line."""
    styled((one.id, "bold"), ("  ", ""), (one_line(one.name), ""), (" = ", "dim"), (value_words(one), ""))


def value_words(one: MemoryLine) -> str:
    """A value in one line; a text as it is."""
    return cut(one_line(one.value if isinstance(one.value, str) else as_json(one.value)), CELL_MAX)
