"""What the world owes to the runs of a store, as a list by when each is looked at next."""

from __future__ import annotations

import apsw

from holdfast.journal.base import Batch, Owed
from holdfast.journal.sqlite.file import all_rows


def owe(connection: apsw.Connection, batch: Batch, number: int) -> None:
    """Write what a batch says of it. number: of its run."""
    for step in batch.paid:
        connection.execute("delete from owed where run = ? and step = ?", (number, step))
    for owed in batch.owed:
        connection.execute(
            "insert or replace into owed (run, step, tool, about, owed_by, call_key, since, until, due_at)"
            " values (?,?,?,?,?,?,?,?,?)",
            (number, owed.step, owed.tool, owed.about, owed.by, owed.key, owed.since, owed.until, owed.due_at),
        )


def listed(connection: apsw.Connection, run_id: str | None, due_before: float | None, limit: int) -> list[Owed]:
    """See `Journal.owed`."""
    conditions = (("o.run = (select id from runs where run_id = ?)", run_id), ("o.due_at <= ?", due_before))
    given = [(condition, value) for condition, value in conditions if value is not None]
    where = f"where {' and '.join(condition for condition, _ in given)}" if given else ""
    rows = all_rows(
        connection,
        "select o.step, o.tool, o.about, o.owed_by, o.call_key, o.since, o.until, o.due_at, r.run_id"
        f" from owed o join runs r on r.id = o.run {where} order by o.due_at, o.run, o.step limit ?",
        (*(value for _, value in given), limit),
    )
    return [
        Owed(step=step, tool=tool, about=about, by=by, key=key, since=since, until=until, due_at=due_at, run_id=owner)
        for step, tool, about, by, key, since, until, due_at, owner in rows
    ]
