"""Schedules and what became of their times, drawn from the records of `views.schedules`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli.drawing import CELL_MAX, REASON_MAX, STYLES, Cell, minute, status_cell, styled, table
from holdfast.cli.text import as_json, one_line, put
from holdfast.views import cut
from holdfast.views.schedules import firing_words

if TYPE_CHECKING:
    from holdfast.views.schedules import FiringLine, ScheduleLine

_STATES = {"on": "green", "paused": "yellow", "over": "dim"}
_BECAME = {"begun": "green", "waiting": "cyan", "skipped": "yellow", "missed": "yellow", "refused": "red", "dropped": "red"}


def line(one: ScheduleLine) -> None:
    """A schedule in one line, and when it fires next."""
    styled((one_line(one.name), "bold"), ("  ", ""), (one.state, _STATES[one.state]), (f"  {_next(one)}", ""))


def _next(one: ScheduleLine) -> str:
    if one.next_at is None:
        return "no time is to come"
    return f"next {one.next_local} ({one.next_utc})" if one.state != "paused" else ""


def listed(lines: Iterable[ScheduleLine]) -> None:
    """The table of `holdfast schedule list`."""
    headers = ("name", "agent", "when", "zone", "is", "next", "in UTC", "overlap", "catch up", "waiting", "run", "note")
    table(headers, (_cells(one) for one in lines))


def _cells(one: ScheduleLine) -> tuple[Cell, ...]:
    on = one.state != "paused"
    return (
        (one.name, "bold"),
        (one.agent, ""),
        (one.when, ""),
        (one.timezone, ""),
        (one.state, _STATES[one.state]),
        (one.next_local if on else "", ""),
        (one.next_utc if on else "", "dim"),
        (one.overlap, "dim"),
        (one.catch_up, "dim"),
        (str(one.waiting or ""), "cyan"),
        (one.current if one.running else "", ""),
        (one.note, "yellow"),
    )


def show(one: ScheduleLine, firings: Sequence[FiringLine]) -> None:
    """`holdfast schedule show`: how it stands, and what became of its times."""
    line(one)
    facts = (
        ("agent", one.agent),
        ("when", f"{one.when}  ({one.timezone})"),
        ("overlap", one.overlap),
        ("catch up", one.catch_up),
        ("goal", cut(one.goal, REASON_MAX) if one.goal is not None else ""),
        ("inputs", cut(as_json(one.inputs), REASON_MAX) if one.inputs else ""),
        ("tenant", one.tenant),
        ("priority", str(one.priority or "")),
        ("labels", " ".join(f"{name}={value}" for name, value in one.labels.items())),
        ("since", minute(one.created_at)),
        ("run", f"{one.current} goes on" if one.running else ""),
        ("waiting", str(one.waiting or "")),
        ("note", one.note),
    )
    for name, words in facts:
        if words:
            styled((f"  {name:<8}  ", "dim"), (one_line(words), ""))
    if firings:
        put()
        table(("time", "in UTC", "became", "run", "run is", "why"), (_firing_cells(each) for each in firings), indent=2)


def _firing_cells(one: FiringLine) -> tuple[Cell, ...]:
    until = f" to {one.until_local}" if one.until_local else ""
    status = status_cell(one.status) if one.status else ("", "")
    return (
        (one.local + until, ""),
        (one.utc, "dim"),
        (firing_words(one), _BECAME.get(one.became, STYLES.get(one.became, ""))),
        (one.run_id, "bold"),
        status,
        (cut(one.why, CELL_MAX), ""),
    )
