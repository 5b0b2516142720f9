"""Words from outside: mailboxes, what runs tell those that started them and that they started, and what comes by token."""

from __future__ import annotations

import json
from typing import Any

import apsw

from holdfast.journal import mail, retention
from holdfast.journal.base import ENDED as ENDED_STATUSES
from holdfast.journal.base import REFUSALS_MAX, Delivery, Message, Release, Token
from holdfast.journal.sqlite.file import all_rows, one_row
from holdfast.journal.sqlite.rows import ENDED, RANK, make_due, row_of


def _put(connection: apsw.Connection, number: int, message: Message) -> int:
    connection.execute(
        "insert into messages (run, kind, slot, body, at) values (?,?,?,?,?)",
        (number, message.kind, message.slot, json.dumps(message.body), message.at),
    )
    return connection.last_insert_rowid()


def send(connection: apsw.Connection, run_id: str, message: Message) -> int:
    """See `Journal.send`."""
    number, status, imported = row_of(connection, run_id, "id, status, imported")
    if imported:
        raise retention.only_looked_at(run_id)
    first = None
    if message.slot is not None:
        first = one_row(connection, "select id, kind, body from messages where run = ? and slot = ?", (number, message.slot))
    if first is not None and mail.says_the_same(message, *first[1:]):
        return int(first[0])
    if status in ENDED_STATUSES:
        raise mail.run_ended(run_id, status)
    if first is not None:
        raise mail.slot_used(run_id, message, *first[1:])
    identifier = _put(connection, number, message)
    make_due(connection, number, message.at)
    return identifier


def unread(connection: apsw.Connection, run_id: str) -> list[Message]:
    """See `Journal.messages`."""
    rows = all_rows(
        connection,
        "select m.id, m.kind, m.body, m.slot, m.at from messages m join runs r on r.id = m.run"
        " where r.run_id = ? and m.taken_at is null order by m.id",
        (run_id,),
    )
    return [Message(id=i, kind=kind, body=json.loads(body), slot=slot, at=at) for i, kind, body, slot, at in rows]


def mailboxes(connection: apsw.Connection) -> set[str]:
    """See `Journal.mailboxes`."""
    rows = all_rows(
        connection,
        "select distinct r.run_id from messages m join runs r on r.id = m.run"
        f" where m.taken_at is null and r.status not in {ENDED}",
    )
    return {row[0] for row in rows}


# --- runs that started one another ------------------------------------------------------------------------------------


def tell_family(connection: apsw.Connection, run_id: str, release: Release, row: tuple[str, str, float]) -> None:
    """This run has ended: the one that waits for it is told, those that end with it are asked to. row: parent, parent_step
    and when it ended."""
    parent, parent_step, at = row
    if parent:
        above = one_row(connection, f"select id from runs where run_id = ? and status not in {ENDED} and not imported", (parent,))
        if above is not None:
            _put(connection, above[0], mail.child_ended(run_id, parent_step, release.report, at))
            make_due(connection, above[0], at)
    word = mail.parent_ended(run_id, at)
    those = f"parent = ?2 and parent <> '' and ends_with_parent and status not in {ENDED}"
    connection.execute(
        f"insert or ignore into messages (run, kind, slot, body, at) select id, ?3, ?4, ?5, ?1 from runs where {those}",
        (at, run_id, word.kind, word.slot, json.dumps(word.body)),
    )
    if connection.changes():
        connection.execute(
            f"update runs set due_at = ?1, rank = {RANK} where {those} and (due_at is null or due_at > ?1)", (at, run_id)
        )


def begin_orphan(connection: apsw.Connection, number: int, parent: str, at: float) -> None:
    """A run that ends with its parent is being created by a worker that does not know that the parent has ended."""
    over = f"select 1 from runs where run_id = ?1 and status in {ENDED} union all select 1 from proofs where run_id = ?1"
    if one_row(connection, over, (parent,)) is not None:
        _put(connection, number, mail.parent_ended(parent, at))


# --- what comes by token ----------------------------------------------------------------------------------------------


def know(connection: apsw.Connection, number: int, token: Token) -> None:
    """Let a token be good from now on; one that is known and not used gets the new time."""
    connection.execute(
        "insert into tokens (digest, run, step, call_key, expires_at) values (?,?,?,?,?)"
        " on conflict (digest) do update set expires_at = excluded.expires_at where used_at is null",
        (token.digest, number, token.step, token.key, token.expires_at),
    )


def belongs(connection: apsw.Connection, digest: str) -> tuple[str, str] | None:
    """See `Journal.token`."""
    row = one_row(connection, "select r.run_id, t.step from tokens t join runs r on r.id = t.run where t.digest = ?", (digest,))
    return (row[0], row[1]) if row is not None else None


def deliver(connection: apsw.Connection, digest: str, body: dict[str, Any], at: float) -> Delivery:
    """See `Journal.deliver`."""
    row = one_row(
        connection,
        "select t.run, t.step, t.call_key, t.expires_at, t.used_at, t.refusals, r.run_id, r.status"
        " from tokens t join runs r on r.id = t.run where t.digest = ?",
        (digest,),
    )
    if row is None:
        raise mail.unknown_token()
    number, step, key, expires_at, used_at, refusals, run_id, status = row
    why = mail.refusal(used_at=used_at, expires_at=expires_at, status=status, at=at)
    if not why:
        _put(connection, number, mail.delivered(digest, step, key, body, at))
        connection.execute("update tokens set used_at = ? where digest = ?", (at, digest))
    elif refusals < REFUSALS_MAX:
        _put(connection, number, mail.refused(step, key, body, why, at))
        connection.execute("update tokens set refusals = refusals + 1 where digest = ?", (digest,))
    if status not in ENDED_STATUSES and (not why or refusals < REFUSALS_MAX):
        make_due(connection, number, at)
    return Delivery(run_id=run_id, step=step, refused=why)
