"""What keepers of a store see: what goes, what is left of it, how the store is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.cli.drawing import Cell, minute, status_cell, styled, table
from holdfast.cli.options import command
from holdfast.cli.text import one_line, put, say
from holdfast.views import listed, moment, span
from holdfast.views.words import size

if TYPE_CHECKING:
    from holdfast.journal.base import RunRow
    from holdfast.journal.keeping import Copied, Proof
    from holdfast.views.health import Finding

_STYLES = {"ok": "green", "warning": "yellow", "broken": "red"}


def going(rows: Iterable[RunRow]) -> list[dict[str, Any]]:
    """The runs that would go, for machines."""
    return [
        {
            "run_id": row.run_id, "agent": row.agent, "status": row.status, "ended_at": moment(row.changed_at),
            "entries": row.version,
        }
        for row in rows
    ]  # fmt: skip


def preview(rows: Sequence[RunRow], now: float, *, dry_run: bool) -> None:
    """What would go: by status how many, of how many entries, and the longest ended. rows: the longest ended first."""
    tell = put if dry_run else say
    for status in dict.fromkeys(row.status for row in rows):
        those = [row for row in rows if row.status == status]
        ago = span(max(now - those[0].changed_at, 0.0))
        tell(
            f"  {status:<10} {_count(len(those), 'run'):>12} of {_count(sum(row.version for row in those), 'entry')},"
            f" the oldest ended {ago} ago: {one_line(those[0].run_id)}"
        )
    tell(f"{_count(len(rows), 'run')} of {_count(sum(row.version for row in rows), 'entry')} would go")


def pruned(found: Sequence[Proof], db: str) -> None:
    """What went."""
    put(f"{_count(len(found), 'run')} of {_count(sum(proof.version for proof in found), 'entry')} pruned")
    if found:
        say(f"what is left of them: {command(db, 'prune', '--proofs')}; the file keeps its size, and its room is used again")


def passed_over(run_ids: Sequence[str], gone: Sequence[str] = ()) -> None:
    """What did not go, and what somebody else pruned meanwhile."""
    if gone:
        say(f"{_count(len(gone), 'run')} pruned by another command meanwhile: {one_line(listed(gone))}")
    if run_ids:
        say(f"{_count(len(run_ids), 'run')} passed over: {one_line(listed(run_ids))}")
        say("  the run that started it goes on, or it still keeps others from doing what it did")


def proofs(found: Iterable[Proof]) -> None:
    """The table of `prune --proofs`."""
    table(
        ("id", "agent", "status", "entries", "ended", "pruned", "by", "last link"),
        (
            (
                (proof.run_id, "bold"), (proof.agent, ""), status_cell(proof.status, True), (str(proof.version), ""),
                (minute(proof.ended_at), "dim"), (minute(proof.pruned_at), "dim"), (proof.by, ""), (proof.link, "dim"),
            )
            for proof in found
        ),
    )  # fmt: skip


def copied(file: str, made: Copied, seconds: float) -> None:
    """What was copied."""
    put(f"{file}  {size(made.bytes)}, {_count(made.runs, 'run')}, copied in {span(seconds)}")


def findings(found: Iterable[Finding]) -> None:
    """A line each; what to do stands below it."""
    for one in found:
        cells: tuple[Cell, ...] = ((f"{one.level:<8}", _STYLES[one.level]), (f"{one_line(one.name):<10}", "bold"))
        styled(*cells, (f" {one_line(one.what)}", ""))
        if one.hint and one.level != "ok":
            styled((f"{'':<19}→ {one_line(one.hint)}", "dim"))


def _count(number: int, noun: str) -> str:
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"
