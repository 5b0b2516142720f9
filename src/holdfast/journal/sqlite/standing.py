"""What people approve in advance, in SQL, and the answers that are given by it."""

from __future__ import annotations

import json
from typing import Any

import apsw
import msgspec

from holdfast.journal import inbox as rules
from holdfast.journal.base import Batch
from holdfast.journal.people import OpenInterrupt, StandingApproval
from holdfast.journal.sqlite import directory, inbox
from holdfast.journal.sqlite.file import all_rows, one_row
from holdfast.journal.sqlite.rows import make_due, number_of

_ROW = "body, uses, revoked_at, revoked_by"
_body = msgspec.json.Decoder(StandingApproval)


def answer_opened(connection: apsw.Connection, batch: Batch) -> None:
    """Answer what a batch opened and is still open, as far as it is covered. To be called after the release was carried out: the
    word makes the run due again."""
    for opened in batch.opened:
        if opened.standing and (asked := inbox.one(connection, batch.run_id, opened.interrupt)) is not None:
            approvals = _of_tool(connection, asked.tool, batch.at)
            people = directory.those(connection, (one.by for one in approvals)) if approvals else None
            approval = rules.first_that_covers(approvals, asked, batch.at, people)
            if approval is not None:
                _answer(connection, approval, asked, batch.at)


def grant(connection: apsw.Connection, approval: StandingApproval) -> int:
    """See `PeopleStore.grant`."""
    approval = rules.replaced(approval, _one(connection, approval.id))
    connection.execute(
        "insert or replace into standing_approvals (id, tool, at, until, uses_max, uses, revoked_at, revoked_by, body)"
        " values (?,?,?,?,?,?,?,?,?)",
        (
            approval.id,
            approval.tool,
            approval.at,
            approval.until,
            approval.uses_max,
            approval.uses,
            approval.revoked_at,
            approval.revoked_by,
            msgspec.json.encode(approval).decode(),
        ),
    )
    kept, answered = _one(connection, approval.id), 0
    assert kept is not None
    people = directory.those(connection, (kept.by,))
    for asked in _open_calls(connection, kept.tool):
        covering = rules.covered(kept, asked, kept.at, people)
        if covering is not None and _answer(connection, covering, asked, kept.at):
            answered += 1
            kept = msgspec.structs.replace(kept, uses=kept.uses + 1)
    return answered


def revoke(connection: apsw.Connection, approval_id: str, by: str, at: float) -> StandingApproval | None:
    """See `PeopleStore.revoke`."""
    connection.execute(
        "update standing_approvals set revoked_at = ?, revoked_by = ? where id = ? and revoked_at is null", (at, by, approval_id)
    )
    return _one(connection, approval_id)


def listed(connection: apsw.Connection, now: float | None) -> list[StandingApproval]:
    """See `PeopleStore.standing_approvals`."""
    rows = all_rows(connection, f"select {_ROW} from standing_approvals order by at desc, id desc")
    found = [_read(row) for row in rows]
    if now is None:
        return found
    people = directory.those(connection, (approval.by for approval in found))
    return [approval for approval in found if rules.may_answer(approval, now) and rules.is_given(approval, people)]


def _answer(connection: apsw.Connection, approval: StandingApproval, asked: OpenInterrupt, at: float) -> bool:
    """Put the word into the mailbox of the run; False where somebody answered before."""
    word, number = rules.answer(approval, asked, at), number_of(connection, asked.run_id)
    connection.execute(
        "insert or ignore into messages (run, kind, slot, body, at) values (?,?,?,?,?)",
        (number, word.kind, word.slot, json.dumps(word.body), word.at),
    )
    if not connection.changes():
        return False
    connection.execute("update standing_approvals set uses = uses + 1 where id = ?", (approval.id,))
    make_due(connection, number, at)
    return True


def _open_calls(connection: apsw.Connection, tool: str) -> list[OpenInterrupt]:
    """What is open, about calls of a tool, and lets an approval answer; the oldest first."""
    rows = all_rows(
        connection,
        f"select {inbox.ROW} from {inbox.FROM} where tool = ? and standing and about = 'call'"
        " order by asked_at, run_id, interrupt",
        (tool,),
    )
    return [inbox.row_read(row) for row in rows]


def _of_tool(connection: apsw.Connection, tool: str, now: float) -> list[StandingApproval]:
    rows = all_rows(
        connection,
        f"select {_ROW} from standing_approvals where tool = ? and revoked_at is null and until > ? order by at, id",
        (tool, now),
    )
    return [_read(row) for row in rows]


def _one(connection: apsw.Connection, approval_id: str) -> StandingApproval | None:
    row = one_row(connection, f"select {_ROW} from standing_approvals where id = ?", (approval_id,))
    return _read(row) if row is not None else None


def _read(row: tuple[Any, ...]) -> StandingApproval:
    body, uses, revoked_at, revoked_by = row
    return msgspec.structs.replace(_body.decode(body), uses=uses, revoked_at=revoked_at, revoked_by=revoked_by)
