"""The rows of runs: found by id, read, made due."""

from __future__ import annotations

import json
from typing import Any

import apsw

from holdfast.journal import retention
from holdfast.journal.base import AGEING_SECONDS, RunRow
from holdfast.journal.keeping import Proof
from holdfast.journal.sqlite.file import one_row

COLUMNS = (
    "run_id, agent, goal_digest, tenant, priority, labels, status, waits_for, due_at, version, fence, worker, lease_until, "
    "created_at, changed_at, parent, imported, source"
)
PROOF = "run_id, agent, status, version, link, created_at, ended_at, pruned_at, pruned_by"
ENDED = "('completed', 'failed', 'cancelled')"
# The rank of a run that is due at ?1; see `rank` in base.py.
RANK = f"?1 - priority * {AGEING_SECONDS}"


def row_of(connection: apsw.Connection, run_id: str, columns: str) -> tuple[Any, ...]:
    """Some columns of a run; RunNotFound, and RunPruned where it was there."""
    row = one_row(connection, f"select {columns} from runs where run_id = ?", (run_id,))
    if row is None:
        raise retention.not_found(run_id, proof_of(connection, run_id))
    return row


def proof_of(connection: apsw.Connection, run_id: str) -> Proof | None:
    """What is left of a run that was pruned; None where it was not."""
    row = one_row(connection, f"select {PROOF} from proofs where run_id = ?", (run_id,))
    return proof_row(row) if row is not None else None


def proof_row(row: tuple[Any, ...]) -> Proof:
    """A row of PROOF."""
    run_id, agent, status, version, link, created_at, ended_at, pruned_at, by = row
    return Proof(
        run_id=run_id, agent=agent, status=status, version=version, link=bytes(link).hex(), created_at=created_at,
        ended_at=ended_at, pruned_at=pruned_at, by=by,
    )  # fmt: skip


def number_of(connection: apsw.Connection, run_id: str) -> int:
    """The number by which other tables know a run; RunNotFound."""
    return int(row_of(connection, run_id, "id")[0])


def make_due(connection: apsw.Connection, number: int, at: float) -> None:
    """A word came for this run: it is due from then on, if it is not already."""
    connection.execute(
        f"update runs set due_at = ?1, rank = {RANK} where id = ?2 and (due_at is null or due_at > ?1)", (at, number)
    )


def run_row(row: tuple[Any, ...]) -> RunRow:
    """A row of COLUMNS."""
    values = dict(zip(COLUMNS.split(", "), row, strict=True))
    values["labels"] = json.loads(values["labels"])
    values["imported"] = bool(values["imported"])
    return RunRow(**values)
