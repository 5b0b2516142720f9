"""What is written in one transaction with a run: its creation, and what a batch says beside its events."""

from __future__ import annotations

import json
from collections.abc import Callable

import apsw

from holdfast.core.events import AnyEvent
from holdfast.errors import Superseded
from holdfast.journal import codec
from holdfast.journal.base import ENDED, Batch, Claim, NewRun, Release, rank
from holdfast.journal.sqlite import inbox, mail, memories, notices, owed, places, standing
from holdfast.journal.sqlite.file import all_rows, one_row


def creation(
    store: Callable[[apsw.Connection, dict[str, bytes]], None], run: NewRun, events: tuple[AnyEvent, ...], at: float,
    worker: str = "", lease_seconds: float = 0.0,
) -> Callable[[apsw.Connection], Claim | None]:  # fmt: skip
    """What creates a run in a transaction. store: keeps large values."""
    body, blobs = codec.encode(events)
    fence = 1
    head = codec.link(b"", run.run_id, 1, fence, at, body)
    until = at + lease_seconds if worker else 0.0

    def work(connection: apsw.Connection) -> Claim | None:
        connection.execute(
            "insert or ignore into runs (run_id, agent, goal_digest, tenant, priority, labels, status, due_at, rank, version,"
            " head, fence, worker, lease_until, created_at, changed_at, parent, parent_step, ends_with_parent)"
            " select ?1,?2,?3,?4,?5,?6,'running',?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18"
            " where not exists (select 1 from proofs where run_id = ?1)",
            (
                run.run_id,
                run.agent,
                run.goal_digest,
                run.tenant,
                run.priority,
                json.dumps(run.labels, sort_keys=True),
                at,
                rank(at, run.priority),
                len(events),
                head,
                fence,
                worker,
                until,
                at,
                at,
                run.parent,
                run.parent_step,
                run.ends_with_parent,
            ),
        )
        if not connection.changes():
            return None
        number = connection.last_insert_rowid()
        store(connection, blobs)
        connection.execute("insert into batches values (?,?,?,?,?,?,?)", (number, 1, len(events), fence, at, body, head))
        if run.parent and run.ends_with_parent:
            mail.begin_orphan(connection, number, run.parent, at)
        return Claim(run_id=run.run_id, agent=run.agent, fence=fence, worker=worker, until=until)

    return work


def superseded(batch: Batch) -> Superseded:
    """For whoever no longer has the run, or does not know all of it."""
    return Superseded("another worker has written to it since", run_id=batch.run_id)


def check_writer(connection: apsw.Connection, batch: Batch, number: int) -> None:
    """For a batch that is not written: whoever has lost the run is told that, and stands in no line."""
    if one_row(connection, "select fence, version from runs where id = ?", (number,)) != (batch.fence, batch.head.version):
        raise superseded(batch)


def follow_up(connection: apsw.Connection, batch: Batch, number: int) -> None:
    """What a batch says beside its events. For parts that are empty no statement is executed."""
    if batch.freed or batch.settled:
        places.give_back_slots(connection, batch, number)
    if batch.slots:
        places.take_slots(connection, batch, number)
    for message in batch.taken:
        connection.execute("update messages set taken_at = ? where id = ? and run = ?", (batch.at, message, number))
    for token in batch.tokens:
        mail.know(connection, number, token)
    if batch.owed or batch.paid:
        owed.owe(connection, batch, number)
    if batch.memories:
        memories.remember(connection, batch.memories)
    if batch.notices:
        notices.keep(connection, batch.notices)
    if batch.opened or batch.closed or batch.commented or batch.judged or batch.decided:
        inbox.follow(connection, batch)
    if batch.release is not None:
        release(connection, batch.run_id, number, batch.fence, batch.release, batch.at)
    if batch.opened:
        standing.answer_opened(connection, batch)


def release(connection: apsw.Connection, run_id: str, number: int, fence: int, release: Release, at: float | None) -> None:
    """Give a claim back, where it is still the one in force: when the run is due again, or that it has ended and who is told. at:
    of the batch that says so; None where none does."""
    # A message that came in the meantime keeps the run due: whoever parks it has not seen that word.
    rows = all_rows(
        connection,
        "update runs set worker = '', lease_until = 0, status = ?1, waits_for = ?2, changed_at = coalesce(?3, changed_at),"
        " due_at = case when ?1 not in ('completed', 'failed', 'cancelled') and not ?7"
        " and exists (select 1 from messages where run = ?4 and taken_at is null) then coalesce(?3, changed_at) else ?5 end,"
        " rank = coalesce(?5, ?3, changed_at) - priority * 60 where id = ?4 and fence = ?6"
        " returning parent, parent_step, changed_at",
        (release.status, release.waits_for, at, number, release.due_at, fence, release.aside),
    )
    if rows and release.status in ENDED:
        connection.execute("delete from slots where run = ? and until is null", (number,))
        connection.execute("delete from checkpoints where run = ?", (number,))
        connection.execute("delete from owed where run = ?", (number,))
        inbox.end(connection, run_id, rows[0][2])
        mail.tell_family(connection, run_id, release, rows[0])
