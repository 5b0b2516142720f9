"""Runs that come whole and go whole, in SQL. See `journal/keeping.py`."""

from __future__ import annotations

import json
from collections.abc import Callable

import apsw

from holdfast.errors import JournalCorrupt
from holdfast.journal.base import Head, rank
from holdfast.journal.keeping import Adopted
from holdfast.journal.sqlite.file import one_row


def adoption(
    store: Callable[[apsw.Connection, dict[str, bytes]], None], run: Adopted, head: Head, fetched: frozenset[str]
) -> Callable[[apsw.Connection], bool]:
    """What takes over a run in a transaction. store: keeps large values; head: where its journal ends; fetched: the contents that
    it refers to and that were found in the store when it was checked."""
    due_at = None if run.imported else run.due_at
    stands = rank(run.changed_at if due_at is None else due_at, run.priority)

    def work(connection: apsw.Connection) -> bool:
        if is_taken(connection, run.run_id):
            return False
        for digest in fetched:  # Somebody may have pruned the only run that had it, since.
            if one_row(connection, "select 1 from contents where digest = ?", (digest,)) is None:
                raise JournalCorrupt(f"the content {digest[:12]} is missing", run_id=run.run_id)
        connection.execute(
            "insert into runs (run_id, agent, goal_digest, tenant, priority, labels, status, waits_for, due_at, rank, version,"
            " head, fence, created_at, changed_at, parent, ends_with_parent, imported, source)"
            " values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,?,?)",
            (
                run.run_id,
                run.agent,
                run.goal_digest,
                run.tenant,
                run.priority,
                json.dumps(run.labels, sort_keys=True),
                run.status,
                run.waits_for,
                due_at,
                stands,
                head.version,
                head.link,
                run.fence,
                run.created_at,
                run.changed_at,
                run.parent,
                run.imported,
                run.source,
            ),
        )
        number = connection.last_insert_rowid()
        connection.executemany(
            "insert into batches values (?,?,?,?,?,?,?)",
            [(number, batch.first, batch.count, batch.fence, batch.at, batch.body, batch.link) for batch in run.batches],
        )
        store(connection, run.contents)
        return True

    return work


def is_taken(connection: apsw.Connection, run_id: str) -> bool:
    """Whether no run may begin under this id."""
    taken = "select 1 from runs where run_id = ?1 union all select 1 from proofs where run_id = ?1"
    return one_row(connection, taken, (run_id,)) is not None
