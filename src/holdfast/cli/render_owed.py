"""What is owed, what was done another way, and who started whom, drawn from the records of `views`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli.drawing import CELL_MAX, REASON_MAX, STYLES, Cell, minute, status_cell, styled, table, when
from holdfast.cli.text import one_line
from holdfast.views import ABOUT, amount, cut, listed, owed_words, replaced_words, span

if TYPE_CHECKING:
    from holdfast.views import ChildView, Counted, GateView, OwedLine, OwedView, Summary


def pending(lines: Iterable[OwedLine], now: float) -> None:
    """The table of `holdfast pending`."""
    headers = ("run", "step", "tool", "owed", "by", "since", "until", "left", "next look")
    table(headers, (_pending_cells(line, now) for line in lines))


def _pending_cells(line: OwedLine, now: float) -> tuple[Cell, ...]:
    left = "overdue" if line.overdue else span(line.until - now)
    return (
        (line.run_id, "bold"),
        (line.step, ""),
        (line.tool, ""),
        (ABOUT.get(line.about, line.about), ""),
        (cut(line.by, CELL_MAX), ""),
        (minute(line.since), "dim"),
        (minute(line.until), ""),
        (left, "yellow" if line.overdue else ""),
        (when(line.due_at, now), "cyan"),
    )


_CIRCUITS = {"closed": "green", "open": "red", "half_open": "yellow"}


def gates(views: Iterable[GateView], now: float) -> None:
    """The table of `holdfast gates`."""
    rows = (((view.tool, "bold"), (view.circuit.replace("_", "-"), _CIRCUITS[view.circuit]), (view.words, "")) for view in views)
    table(("tool", "circuit", "what is known"), rows)


def owed(views: Sequence[OwedView], now: float, *, ended: bool) -> None:
    """What a run is owed: a line for each, and below it how often it was looked for, and what comes at the deadline."""
    for one in views:
        if ended:
            styled(("  was owed   ", "yellow"), (one_line(f"{one.what}, by {cut(one.by, CELL_MAX)}"), ""))
            continue
        styled(("  owed       ", "cyan"), (one_line(owed_words(one)), ""), (f"   since {minute(one.since)}", "dim"))
        details = (
            f"known there as {cut(one.handle, CELL_MAX)}" if one.handle and not one.child else "",
            f"items: {listed(one.items)}" if one.items and one.about != "rest" else "",
            _looks(one, now),
            "" if one.interrupt else f"at the deadline {one.at_deadline}" if one.at_deadline else "",
            f"a person is asked: {one.interrupt}" if one.interrupt else "",
        )
        styled(("             " + one_line("; ".join(filter(None, details))), "dim"))


def _looks(one: OwedView, now: float) -> str:
    if one.due_at is None:
        return ""
    often = "not looked for yet" if not one.looks else "looked for once" if one.looks == 1 else f"looked for {one.looks} times"
    last = f", the last {span(max(now - one.looked_at, 0.0))} ago" if one.looked_at is not None else ""
    said = f", {one.found}" if one.found else ""
    looked = f"{often}{last}{said}{f' ({cut(one.message, CELL_MAX)})' if one.message else ''}"
    return looked if one.interrupt else f"{looked}, next {when(one.due_at, now)}"


def differently(run: Summary) -> None:
    """What was done another way, in part, not at all for good reason, or taken back; a line for each that there is."""
    lines = (
        ("in part", listed(run.partial), "yellow"),
        ("replaced", replaced_words(run.replaced), ""),
        ("held back", listed(f"{step} (would repeat {other})" for step, other in run.suppressed.items()), "cyan"),
        ("kept", listed(run.kept) + (", which cannot be undone" if run.kept and run.undoing else ""), "yellow"),
        ("changed", listed(map(_counted, run.changes)), ""),
    )
    for name, words, style in lines:
        if words:
            styled((f"  {name:<9}  ", STYLES.get(name, style)), (one_line(cut(words, REASON_MAX)), ""))


def _counted(one: Counted) -> str:
    return f"{one.name} {amount(one.amount)}" + (f" of {amount(one.allowed)}" if one.allowed is not None else "")


def children(views: Sequence[ChildView], now: float) -> None:
    """The runs that a run started."""
    rows = (
        (
            (view.run.run_id, "bold"),
            (view.step, ""),
            (view.run.agent, ""),
            status_cell(view.run.status, view.run.whole),
            (when(view.run.due_at, now) if view.run.status != "blocked" else "", ""),
            (cut(view.run.reason or view.run.waits_for, CELL_MAX), ""),
        )
        for view in views
    )
    table(("started run", "by step", "agent", "status", "due", "why"), rows, indent=2)
