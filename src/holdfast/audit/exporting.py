"""An audit as a stream of records, and written as JSON lines or as a table."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from holdfast.audit.lines import contents_of, lines_of, standing_lines
from holdfast.audit.records import AuditLine, AuditRecord, Proof, ProofBatch, Tally, is_within
from holdfast.journal.base import Journal, StoredBatch

# More runs than this are in no store.
RUNS_MAX = 100_000_000
# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


async def audit(
    journal: Journal, run_ids: Iterable[str] | None = None, *, agent: str | None = None, tenant: str | None = None,
    since: float | None = None, until: float | None = None, proof: bool = True,
) -> AsyncIterator[AuditRecord]:  # fmt: skip
    """The audit of some runs, or of all of an agent or tenant; run by run, so that no more than one is in memory.

    since, until: only decisions of that time (the end is not in it). Runs without one are left out, unless they are named.
    proof: whether it can be checked; without, it is much smaller. RunNotFound; JournalCorrupt where a journal is not what was
    written.
    """
    named = list(dict.fromkeys(run_ids)) if run_ids is not None else None
    tally = Tally()
    for line in standing_lines(await journal.standing_approvals(), named, agent, tenant):
        if is_within(line.at, since, until):
            yield tally.counted(line)
    for run_id in named if named is not None else await _all_runs(journal, agent, tenant):
        stored = await journal.batches(run_id)
        contents = await contents_of(journal, stored)
        lines = [line for line in lines_of(run_id, stored, contents) if is_within(line.at, since, until)]
        for line in lines:
            yield tally.counted(line)
        if proof and (lines or named is not None):
            yield tally.counted(_proof(run_id, stored, contents, since, until))
    if proof:
        yield tally.end()


async def _all_runs(journal: Journal, agent: str | None, tenant: str | None) -> list[str]:
    rows = await journal.rows(agent=agent, tenant=tenant, limit=RUNS_MAX)
    return [row.run_id for row in sorted(rows, key=lambda row: (row.created_at, row.run_id))]


def _proof(
    run_id: str, stored: list[StoredBatch], contents: Mapping[str, bytes], since: float | None, until: float | None
) -> Proof:
    """All of a run's journal, and where it ends."""
    return Proof(
        proof=run_id,
        entries=sum(batch.count for batch in stored),
        head=stored[-1].link.hex() if stored else "",
        batches=tuple(
            ProofBatch(
                first=batch.first,
                count=batch.count,
                fence=batch.fence,
                at=batch.at,
                link=batch.link.hex(),
                body=b64encode(batch.body).decode(),
            )
            for batch in stored
        ),
        since=since,
        until=until,
        contents={digest: b64encode(body).decode() for digest, body in sorted(contents.items())},
    )


async def json_lines(records: AsyncIterable[AuditRecord]) -> AsyncIterator[bytes]:
    """Each record as a line of JSON with its line break."""
    async for record in records:
        yield msgspec.json.encode(record) + b"\n"


COLUMNS = AuditLine.__struct_fields__


async def csv_lines(records: AsyncIterable[AuditRecord]) -> AsyncIterator[str]:
    """The decisions as a table with a heading, a row with its line break each (RFC 4180). Tables and lists stand in a cell as
    JSON. A text that a spreadsheet would take for a formula gets a `'` in front. It has no proof in it: that needs JSON
    lines."""
    yield _csv_row(COLUMNS)
    async for record in records:
        if isinstance(record, AuditLine):
            yield _csv_row([_cell(name, getattr(record, name)) for name in COLUMNS])


def _csv_row(cells: Sequence[Any]) -> str:
    row = io.StringIO()
    csv.writer(row).writerow(cells)
    return row.getvalue()


def _cell(name: str, value: Any) -> Any:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    if not isinstance(value, str) or name == "value":
        value = msgspec.json.encode(value).decode() if value not in ((), {}) else ""
    return f"'{value}" if value.startswith(FORMULA) else value
