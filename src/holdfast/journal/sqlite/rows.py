"""The rows of runs: found by id, read, made due."""

from __future__ import annotations

import json
from typing import Any

import apsw

from holdfast.errors import RunNotFound
from holdfast.journal.base import AGEING_SECONDS, RunRow
from holdfast.journal.sqlite.file import one_row

COLUMNS = (
    "run_id, agent, goal_digest, tenant, priority, labels, status, waits_for, due_at, version, fence, worker, lease_until, "
    "created_at, changed_at, parent"
)
ENDED = "('completed', 'failed', 'cancelled')"
# The rank of a run that is due at ?1; see `rank` in base.py.
RANK = f"?1 - priority * {AGEING_SECONDS}"


def row_of(connection: apsw.Connection, run_id: str, columns: str) -> tuple[Any, ...]:
    """Some columns of a run; RunNotFound."""
    row = one_row(connection, f"select {columns} from runs where run_id = ?", (run_id,))
    if row is None:
        raise RunNotFound("there is no such run in this store", run_id=run_id, hint="`holdfast runs` lists them")
    return row


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
    return RunRow(**values)
