"""Stores with runs that are worth exporting, and archives that somebody meddled with."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from holdfast.archive import ArchivedRun, Redaction, export, read_archive
from holdfast.core import events as e
from holdfast.core.contract import Contract
from holdfast.core.plan import Goal, Plan, Step
from holdfast.journal import codec
from holdfast.journal.base import Batch, Head, Journal, NewRun, Release
from holdfast.journal.sqlite import SqliteJournal

T0 = 1_700_000_000.125
PAY = Contract(tool="pay", safety="keyed", observes={"balance of {to}": "balance"})
PLAN = Plan(steps=(Step(id="a", tool="pay", args={"to": "ann", "of": {"$ref": "inputs.order"}}),))
LARGE = "é" * 12_000


@asynccontextmanager
async def store(path: Path) -> AsyncIterator[SqliteJournal]:
    """A store, which is there as long as it is used."""
    journal = SqliteJournal(path)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


async def written(
    journal: Journal,
    run_id: str,
    *batches: tuple[e.AnyEvent, ...],
    parent: str = "",
    contents: dict[str, bytes] | None = None,
    **of: Any,
) -> None:
    """A run with so many commits, a tenth of a second apart; where the last one ends it, it has ended."""
    started = e.RunStarted(run_id=run_id, agent="shop", parent=parent, **{"goal": Goal(text="buy"), "contracts": (PAY,), **of})
    new = NewRun(
        run_id=run_id, agent="shop", goal_digest="g", parent=parent, tenant=started.tenant, labels=started.labels, priority=2
    )
    claim = await journal.create(new, (started,), T0, worker="w", lease_seconds=1e9)
    assert claim is not None
    head = (await journal.read(run_id)).head
    ends = {e.RunCompleted: "completed", e.RunFailed: "failed", e.RunCancelled: "cancelled"}
    for number, events in enumerate(batches, 1):
        status: Any = ends.get(type(events[-1]))
        wrote = await journal.append(
            Batch(
                run_id=run_id, fence=claim.fence, head=head, at=T0 + number / 10, events=events, contents=contents or {},
                release=Release(status=status, due_at=None) if status is not None else None,
            )
        )  # fmt: skip
        assert isinstance(wrote, Head)
        head = wrote


def call(value: Any = "paid", **of: Any) -> tuple[tuple[e.AnyEvent, ...], ...]:
    """The commits of a run that makes one call and completes."""
    return (
        (e.ProposalRequested(turn=1),),
        (
            e.PlanAdopted(turn=1, revision=1, plan=PLAN),
            e.CallIntended(step="a", attempt=1, tool="pay", key="k", args={"to": "ann"}),
        ),
        (e.CallSucceeded(step="a", attempt=1, value=value, **of), e.RunCompleted(result={"a": value})),
    )


async def exported(journal: Journal, *run_ids: str, redaction: Redaction | None = None) -> bytes:
    """The bytes of an archive."""
    file = io.BytesIO()
    await export(journal, run_ids, file, redaction=redaction)
    return file.getvalue()


def read(archive: bytes) -> list[ArchivedRun]:
    """All of an archive, checked."""
    return list(read_archive(io.BytesIO(archive)))


def lines(archive: bytes) -> list[bytes]:
    """With their line breaks."""
    return archive.splitlines(keepends=True)


def closed(some: list[bytes]) -> bytes:
    """Lines with a closing line that fits them: what a forger would do."""
    body = b"".join(some)
    return body + f'{{"end":{len(some)},"sha256":"{hashlib.sha256(body).hexdigest()}"}}\n'.encode()


def resealed(header: bytes, **changes: Any) -> bytes:
    """A header with other fields, and a seal that fits them."""
    fields = json.loads(header) | changes | {"seal": ""}
    bare = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    fields["seal"] = codec.blob_digest(bare)
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
