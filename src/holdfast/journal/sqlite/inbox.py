"""What people are asked, in SQL: a row an open interrupt, found by walking the index of the wanted order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import apsw
import msgspec

from holdfast.journal import inbox as rules
from holdfast.journal.base import Batch
from holdfast.journal.people import InboxFilter, OpenInterrupt
from holdfast.journal.sqlite import judged
from holdfast.journal.sqlite.file import all_rows, one_row

# What is read of one: the walk is over the narrow table, and the body is looked up for what it finds.
ROW = "b.body, comments, claimed_by, claimed_until"
FROM = "inbox cross join inbox_bodies b using (run_id, interrupt)"
# The answers to one that no worker has taken yet, found by their slots: of one person, and of several.
_WAITING = (
    "select m.id from runs r cross join messages m on m.run = r.id where r.run_id = inbox.run_id and {slots}"
    " and m.kind = 'answer' and m.taken_at is null"
)
_ALONE = _WAITING.format(slots="m.slot = inbox.interrupt")
_TOGETHER = _WAITING.format(slots="m.slot > inbox.interrupt || ':' and m.slot < inbox.interrupt || ';'")
_THEIRS = _WAITING.format(slots="m.slot = inbox.interrupt || ':' || ?")
_HEARD = f"(select json_group_array(id) from ({_ALONE} union all {_TOGETHER}))"
# What of several people are wanted is in the body, which is read only where somebody answered.
_LACKING = (
    "select json_extract(body, '$.people') - coalesce(json_array_length(body, '$.approvals'), 0) from inbox_bodies b"
    " where b.run_id = inbox.run_id and b.interrupt = inbox.interrupt"
)
_ENOUGH = f"select count(*) from ({_TOGETHER}) having count(*) > 0 and count(*) >= ({_LACKING})"
_ANSWERED = f"(exists ({_ALONE}) or exists ({_ENOUGH}))"
_ORDERS = {"due": "due", "oldest": "asked_at", "amount": "amount_order"}
# What is looked for as it is written.
_EQUAL = ("kind", "about", "rule", "policy", "tool", "agent", "tenant", "run_id")
_OF_BODY = (
    "due", "asked_at", "amount", "amount_order", "kind", "about", "rule", "policy", "tool", "agent", "tenant", "standing", "who",
    "barred", "words",
)  # fmt: skip
_OPEN = (
    f"insert into inbox (run_id, interrupt, {', '.join(_OF_BODY)}) values ({', '.join('?' * (len(_OF_BODY) + 2))})"
    f" on conflict (run_id, interrupt) do update set {', '.join(f'{name} = excluded.{name}' for name in _OF_BODY)}"
)
_body = msgspec.json.Decoder(OpenInterrupt)
_json = msgspec.json.Encoder(order="deterministic").encode


def follow(connection: apsw.Connection, batch: Batch) -> None:
    """Write what a batch says of it; for parts that are empty no statement is executed."""
    for asked in batch.opened:
        _open(connection, rules.as_opened(asked, batch.run_id, None))
    for interrupt in batch.commented:
        connection.execute(
            "update inbox set comments = comments + 1 where run_id = ? and interrupt = ?", (batch.run_id, interrupt)
        )
    for interrupt in batch.closed:
        _close(connection, "run_id = ? and interrupt = ?", (batch.run_id, interrupt), batch.at)
    judged.follow(connection, batch)


def end(connection: apsw.Connection, run_id: str, at: float) -> None:
    """Nothing of a run is open any more."""
    _close(connection, "run_id = ?", (run_id,), at)


def _open(connection: apsw.Connection, asked: OpenInterrupt) -> None:
    connection.execute(
        _OPEN,
        (
            asked.run_id,
            asked.interrupt,
            rules.due(asked),
            asked.asked_at,
            asked.amount,
            rules.amount_order(asked),
            asked.kind,
            asked.about,
            asked.rule,
            asked.policy,
            asked.tool,
            asked.agent,
            asked.tenant,
            asked.standing,
            _lines(asked.who),
            _lines(rules.barred(asked)),
            rules.words(asked),
        ),
    )
    connection.execute(
        "insert or replace into inbox_bodies (run_id, interrupt, body) values (?,?,?)",
        (asked.run_id, asked.interrupt, _json(asked).decode()),
    )


def _close(connection: apsw.Connection, condition: str, values: tuple[Any, ...], at: float) -> None:
    connection.execute(
        "insert or replace into inbox_left (run_id, interrupt, due, asked_at, amount_order, closed_at)"
        f" select run_id, interrupt, due, asked_at, amount_order, ? from inbox where {condition}",
        (at, *values),
    )
    if connection.changes():
        connection.execute(f"delete from inbox where {condition}", values)
        connection.execute("delete from inbox_left where closed_at < ?", (at - rules.LEFT_SECONDS,))


# --- reading ----------------------------------------------------------------------------------------------------------


def listed(connection: apsw.Connection, wanted: InboxFilter, now: float) -> list[OpenInterrupt]:
    """See `PeopleStore.inbox`."""
    conditions, values = _conditions(wanted, now)
    by = f"{_ORDERS[wanted.order]}, run_id, interrupt"
    if wanted.after is not None:
        stood = one_row(
            connection,
            f"select {by} from inbox where run_id = ?1 and interrupt = ?2 union all"
            f" select {by} from inbox_left where run_id = ?1 and interrupt = ?2",
            wanted.after,
        )
        if stood is not None:
            conditions.append(f"({by}) > (?, ?, ?)")
            values.extend(stood)
    rows = all_rows(
        connection,
        f"select {ROW}, {_HEARD} from {FROM} {_where(conditions)} order by {by} limit ?",
        (*values, max(wanted.limit, 0)),
    )
    return [rules.as_of(_heard(connection, row), now) for row in rows]


def count(connection: apsw.Connection, wanted: InboxFilter, now: float) -> int:
    """See `PeopleStore.inbox_count`."""
    conditions, values = _conditions(wanted, now)
    ((found,),) = all_rows(connection, f"select count(*) from inbox {_where(conditions)}", tuple(values))
    return int(found)


def one(connection: apsw.Connection, run_id: str, interrupt: str) -> OpenInterrupt | None:
    """See `PeopleStore.open_interrupt`."""
    row = one_row(connection, f"select {ROW}, {_HEARD} from {FROM} where run_id = ? and interrupt = ?", (run_id, interrupt))
    return _heard(connection, row) if row is not None else None


def row_read(row: tuple[Any, ...]) -> OpenInterrupt:
    """A row of ROW."""
    asked = _body.decode(row[0])
    if row[1:] == (0, "", 0.0):
        return asked
    return msgspec.structs.replace(asked, comments=row[1], claimed_by=row[2], claimed_until=row[3])


def _heard(connection: apsw.Connection, row: tuple[Any, ...]) -> OpenInterrupt:
    """A row of ROW, and the numbers of the answers that wait."""
    asked = row_read(row[:-1])
    if row[-1] == "[]":
        return asked
    rows = all_rows(
        connection, "select slot, body from messages where id in (select value from json_each(?)) order by id", row[-1:]
    )
    return rules.answered(asked, [json.loads(body) for slot, body in rows if rules.is_for(asked, slot)])


def _conditions(wanted: InboxFilter, now: float) -> tuple[list[str], list[Any]]:
    """What rows must fulfil, and the values of it."""
    given: list[tuple[str, tuple[Any, ...]]] = [
        (f"{name} = ?", (value,)) for name in _EQUAL if (value := getattr(wanted, name)) is not None
    ]
    for condition, value in (
        ("amount >= ?", wanted.amount_min),
        ("amount <= ?", wanted.amount_max),
        ("asked_at <= ?", wanted.asked_before),
        ("due <= ?", wanted.due_before),
    ):
        if value is not None:
            given.append((condition, (value,)))
    if wanted.claimed is not None:
        given.append(("(claimed_until > ? and claimed_by <> '') = ?", (now, wanted.claimed)))
    if wanted.answered is not None:
        given.append((_ANSWERED if wanted.answered else f"not {_ANSWERED}", ()))
    if wanted.answered is False and wanted.person is not None:
        given.append((f"not exists ({_THEIRS})", (wanted.person,)))
    if wanted.person is not None:
        given.append(("not instr(barred, ?)", (_lines((wanted.person,)),)))
    if wanted.who is not None:
        any_of = "".join(" or instr(who, ?)" for _ in wanted.who)
        given.append((f"(who = ''{any_of})", tuple(_lines((name,)) for name in wanted.who)))
    if wanted.search is not None:
        given.append(("instr(words, ?)", (wanted.search.casefold(),)))
    return [condition for condition, _ in given], [value for _, values in given for value in values]


def _where(conditions: list[str]) -> str:
    return f"where {' and '.join(conditions)}" if conditions else ""


def _lines(names: Iterable[str]) -> str:
    """Names so that a whole one is found as a text: as JSON none has a line break in it."""
    lines = [_json(name).decode() for name in names]
    return "\n".join(["", *lines, ""]) if lines else ""


# --- in hand, and seen ------------------------------------------------------------------------------------------------


def claim(connection: apsw.Connection, run_id: str, interrupt: str, by: str, now: float, until: float) -> OpenInterrupt | None:
    """See `PeopleStore.claim_interrupt`."""
    before = one(connection, run_id, interrupt)
    if before is None:
        return None
    after = rules.claimed(before, by, now, until)
    if after != before:
        connection.execute(
            "update inbox set claimed_by = ?, claimed_until = ? where run_id = ? and interrupt = ?",
            (after.claimed_by, after.claimed_until, run_id, interrupt),
        )
    return after


def saw(connection: apsw.Connection, run_id: str, interrupt: str, by: str, at: float) -> None:
    """See `PeopleStore.saw`."""
    connection.execute(
        "insert or ignore into sights (run_id, interrupt, person, at)"
        " select run_id, interrupt, ?, ? from inbox where run_id = ? and interrupt = ?",
        (by, at, run_id, interrupt),
    )


def seen_at(connection: apsw.Connection, run_id: str, interrupt: str, by: str) -> float | None:
    """See `PeopleStore.seen_at`."""
    row = one_row(connection, "select at from sights where run_id = ? and interrupt = ? and person = ?", (run_id, interrupt, by))
    return row[0] if row is not None else None
